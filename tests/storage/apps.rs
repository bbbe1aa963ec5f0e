//! Apps with their names, and resources.

use slipway::storage::{StorageError, UniqueKey, apps, resources};
use slipway_domain::catalog::app::{Resource, ResourceKind};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::text::{Identifier, Url};

use super::values::{
    app, change, identifier, is_conflict, name, now, package, prepare_app, prepare_tenant, scope,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    apps_are_found_by_their_current_name_with_the_old_ones,
    names_are_unique_in_a_tenant,
    lists_are_sorted_bytewise_in_pages,
    what_changed_meanwhile_is_not_overwritten,
    a_resource_is_unique_in_its_app,
);

async fn apps_are_found_by_their_current_name_with_the_old_ones(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let mut wms = app("com.hema.wms");
    // Not in alphabetical order: answers contain the first old name.
    wms.old_package_names = vec![package("com.hema.z"), package("com.hema.a")];
    wms.icon_url = Some(Url::parse("https://files.example/i.png").unwrap());
    change(db, 1, async |tx| {
        apps::insert(tx, wms.clone(), now()).await.map(drop)
    })
    .await;
    let found = async |text: &str| {
        let found = apps::find_by_package_name(db, scope(1), &package(text))
            .await
            .unwrap();
        found.map(|stored| stored.value)
    };
    assert_eq!(found("com.hema.wms").await.as_ref(), Some(&wms));
    for text in ["com.hema.z", "com.hema.b"] {
        assert_eq!(found(text).await, None);
    }

    wms.old_package_names = vec![package("com.hema.b")];
    wms.enabled = false;
    change(db, 1, async |tx| {
        let stored = apps::find_by_package_name(tx, scope(1), &wms.package_name)
            .await?
            .unwrap();
        apps::update(tx, &stored, wms.clone(), now()).await.map(drop)
    })
    .await;
    assert_eq!(found("com.hema.wms").await, Some(wms));
    // The name is free again.
    let other = app("com.hema.z");
    change(db, 1, async |tx| {
        apps::insert(tx, other.clone(), now()).await.map(drop)
    })
    .await;
    assert_eq!(found("com.hema.z").await, Some(other));
}

async fn names_are_unique_in_a_tenant(database: TestDatabase) {
    let db = &database.db;
    let mut first = prepare_app(db, "com.hema.wms", &[]).await;
    first.old_package_names = vec![package("com.hema.old")];
    change(db, 1, async |tx| {
        let stored = apps::find_by_id(tx, scope(1), first.id).await?.unwrap();
        apps::update(tx, &stored, first, now()).await.map(drop)
    })
    .await;
    let mut with_old = app("com.hema.other");
    with_old.old_package_names = vec![package("com.hema.wms")];
    for clashing in [app("com.hema.wms"), app("com.hema.old"), with_old] {
        let tx = db.begin_catalog(scope(1)).await.unwrap();
        let outcome = apps::insert(&tx, clashing, now()).await;
        assert!(is_conflict(&outcome, UniqueKey::PackageName), "{outcome:?}");
    }
    // Another tenant may have the same names.
    prepare_tenant(db, 2).await;
    change(db, 2, async |tx| {
        apps::insert(tx, app("com.hema.wms"), now()).await.map(drop)
    })
    .await;
}

async fn lists_are_sorted_bytewise_in_pages(database: TestDatabase) {
    let db = &database.db;
    // A locale would sort 'a' before 'B' and ignore punctuation.
    let sorted = ["B.a", "a-b", "a.B", "a.b", "a:b", "aa", "a_b"];
    let mut expected = sorted.to_vec();
    expected.sort_unstable();
    prepare_app(db, "Z", &["b", "B", "a.b", "a_b"]).await;
    change(db, 1, async |tx| {
        for text in sorted {
            apps::insert(tx, app(text), now()).await?;
        }
        Ok(())
    })
    .await;
    expected.insert(1, "Z");
    let (mut page, mut seen) = (PageRequest::first(3), Vec::new());
    loop {
        let apps = apps::list(db, scope(1), &page).await.unwrap();
        seen.extend(
            apps.items
                .iter()
                .map(|stored| stored.value.package_name.to_string()),
        );
        match apps.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    let exact = apps::list(db, scope(1), &PageRequest::first(8)).await.unwrap();
    assert_eq!((exact.items.len(), exact.next), (8, None));

    let app = apps::find_by_package_name(db, scope(1), &package("Z"))
        .await
        .unwrap()
        .unwrap();
    let identifiers = resources::list_identifiers(db, scope(1), app.value.id)
        .await
        .unwrap();
    let identifiers: Vec<_> = identifiers.iter().map(Identifier::as_str).collect();
    assert_eq!(identifiers, ["B", "a.b", "a_b", "b"]);
}

async fn what_changed_meanwhile_is_not_overwritten(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    let before = apps::find_by_id(db, scope(1), wms.id).await.unwrap().unwrap();
    change(db, 1, async |tx| {
        apps::update(tx, &before, wms.clone(), now()).await.map(drop)
    })
    .await;
    let tx = db.begin_catalog(scope(1)).await.unwrap();
    let outcome = apps::update(&tx, &before, wms, now()).await;
    assert!(matches!(outcome, Err(StorageError::Changed)), "{outcome:?}");
}

async fn a_resource_is_unique_in_its_app(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    let tx = db.begin_catalog(scope(1)).await.unwrap();
    resources::insert(&tx, Resource::first_seen(&wms, identifier("a")), now()).unwrap();
    let outcome = tx.commit().await;
    assert!(is_conflict(&outcome, UniqueKey::Resource), "{outcome:?}");

    let stored = resources::find(db, scope(1), wms.id, &identifier("a"))
        .await
        .unwrap()
        .unwrap();
    let mut value = stored.value.clone();
    (value.name, value.kind, value.repair_on_mismatch) = (Some(name("出库")), ResourceKind::Miniapp, true);
    change(db, 1, async |tx| {
        let after = resources::update(tx, &stored, value, now())?;
        assert_eq!(
            resources::find(tx, scope(1), wms.id, &identifier("a")).await?,
            Some(after)
        );
        Ok(())
    })
    .await;
    let page = resources::list(db, scope(1), wms.id, &PageRequest::first(1))
        .await
        .unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
}
