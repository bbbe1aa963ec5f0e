//! Rules of writing transactions.

use std::fs;

use crate::source::Sources;

/// A write that can change an answer must advance the tenant's revision. Only a catalog transaction permits such a
/// write, and its commit advances the revision.
#[test]
fn what_checks_are_answered_from_is_written_in_catalog_transactions_alone() {
    let catalog = [
        "tenants",
        "org_directories",
        "apps",
        "resources",
        "releases",
        "pins",
        "credentials/device_keys",
        "credentials/app_keys",
    ];
    for noun in catalog {
        let text = fs::read_to_string(format!("src/storage/{noun}.rs")).expect("each noun has its file");
        let text = text
            .replace("\npub fn ", "\npub async fn ")
            .replace("\npub(super) fn ", "\npub async fn ");
        for function in text.split("\npub async fn ").skip(1) {
            let writes = [
                "Entity::insert",
                "Entity::update",
                "Entity::delete",
                "upsert::<Entity>",
            ]
            .iter()
            .any(|call| function.contains(call));
            let signature = function.split('{').next().unwrap_or_default();
            assert!(
                !writes || signature.contains("tx: &CatalogTx"),
                "storage/{noun}.rs writes outside a CatalogTx: {signature}"
            );
        }
    }
    let credentials = fs::read_to_string("src/storage/credentials/mod.rs").expect("the file is there");
    for function in credentials.split("\npub async fn ").skip(1) {
        let writes = ["Entity::insert", "Entity::update", "Entity::delete"];
        assert!(
            !writes.iter().any(|call| function.contains(call)) || function.contains("tx: &K::Tx"),
            "credentials are written in the transaction of their kind"
        );
    }
    for (file, kind) in [("device_keys", "DeviceKey"), ("app_keys", "AppKey")] {
        let text =
            fs::read_to_string(format!("src/storage/credentials/{file}.rs")).expect("the file is there");
        let table = text.split(&format!("impl StoredCredential for {kind}")).nth(1);
        assert!(
            table.is_some_and(|table| table
                .split("fn ")
                .next()
                .unwrap_or_default()
                .contains("type Tx = CatalogTx;")),
            "{kind} is written outside a CatalogTx"
        );
    }
    let transactions = fs::read_to_string("src/storage/transaction.rs").expect("the file is there");
    let catalog_tx = transactions
        .split("impl CatalogTx")
        .nth(1)
        .expect("CatalogTx has methods");
    let commits = catalog_tx.matches(".commit_with(").count() + catalog_tx.matches(".commit()").count();
    assert_eq!(commits, 1, "CatalogTx must end in one way only");
    let with_commit = catalog_tx.split(".commit_with(").nth(1).unwrap_or_default();
    assert!(
        with_commit.starts_with("Command::Query(advance))")
            && catalog_tx.contains("let advance = advance_tenant("),
        "the revision is advanced with the commit"
    );
}

/// A credential may end while a request waits. Writes on behalf of a caller therefore use a transaction in the caller's
/// name, which verifies the credential again.
#[test]
fn what_a_caller_writes_is_written_in_the_callers_name() {
    for module in Sources::read().layer("services") {
        for function in module.text.split("async fn ").skip(1) {
            let is_for_a_caller = function
                .split('{')
                .next()
                .unwrap_or_default()
                .contains("caller: &Caller");
            let begins_as_the_program = [
                "db().begin()",
                "db().begin_catalog(",
                "db.begin()",
                "db.begin_catalog(",
            ]
            .iter()
            .any(|call| function.contains(call));
            assert!(
                !is_for_a_caller || !begins_as_the_program,
                "{}: {} begins a transaction in the program's own name; take Context::begin or Context::begin_catalog",
                module.file.display(),
                function.split('(').next().unwrap_or_default()
            );
        }
    }
}
