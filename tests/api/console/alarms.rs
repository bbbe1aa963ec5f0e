//! Alarms of the overviews: damaged files and held catalogs.

use sea_orm::ConnectionTrait as _;
use serde_json::json;
use slipway::services::artifacts::jobs::probe;
use slipway::storage::artifacts;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::{Damage, DamageKind};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::Sha256;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, stream_of, until_changed};
use crate::api::harness::{
    ADMIN, NOW, PACKAGE, PASSWORD, TENANT, TestApp, apk, app_fields, in_app, in_tenant, plant_artifact,
};
use crate::api::held_catalog::publish_nine;
use crate::api::operations::make_person;

const OTHER: i64 = 20_000_000;
const DAMAGED: &str = "Damaged files: 1";

async fn damage(app: &TestApp, sha256: &str) {
    let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
    let tx = app.database.db.begin_catalog(scope).await.unwrap();
    let sha256 = Sha256::parse(sha256).unwrap();
    let before = artifacts::find(&tx, scope, &sha256).await.unwrap().unwrap();
    let damage = Damage {
        kind: DamageKind::Missing,
        found_at: NOW.parse().unwrap(),
    };
    artifacts::set_damage(&tx, &before, Some(damage), NOW.parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    probe(&app.running.context).await;
}

async fn damaged_files_raise_an_alarm(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let (bad, good) = (apk(PACKAGE, 1), apk(PACKAGE, 2));
    let digest = plant_artifact(&app.database, TENANT, &bad).await;
    let intact = plant_artifact(&app.database, TENANT, &good).await;
    let fields = json!({"identifier": PACKAGE, "version_code": 1, "artifact": digest});
    let release = merchant.create(&fields).await.expect(201);
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let tenant = format!("/console/tenants/{TENANT}");
    let page = browser.get(&tenant).await;
    assert!(!page.text.contains("Damaged files"), "{}", page.text);
    let mut streams = Vec::new();
    for path in [&tenant, "/console"] {
        let page = browser.get(path).await;
        let address = stream_of(&page);
        assert!(address.starts_with(path), "{address}");
        streams.push(browser.open(&address).await);
    }

    damage(&app, &digest).await;
    for stream in &mut streams {
        until_changed(stream).await;
    }
    let page = browser.get(&tenant).await;
    let list = format!("{tenant}/artifacts?damaged=true");
    assert!(page.text.contains(DAMAGED), "{}", page.text);
    assert!(page.text.contains(&format!("href=\"{list}\"")), "{}", page.text);
    let page = browser.get(&list).await;
    assert!(
        page.text.contains(&digest) && !page.text.contains(&intact),
        "{}",
        page.text
    );
    let listed = merchant
        .admin
        .get(&in_tenant("/artifacts?damaged=false"))
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let page = browser.get(&format!("{tenant}/artifacts/{digest}")).await;
    assert!(page.text.contains("The stored file is missing."), "{}", page.text);
    let id = release["id"].as_str().unwrap();
    let page = browser
        .get(&format!("{tenant}/apps/{PACKAGE}/releases/{id}"))
        .await;
    assert!(page.text.contains("The stored file is damaged."), "{}", page.text);
    // A platform administrator sees the total, another tenant nothing.
    assert!(
        browser
            .get("/console")
            .await
            .text
            .contains("Damaged files of all tenants: 1")
    );
    let stranger = app.tenant_admin(OTHER).await;
    make_person(&stranger, OTHER, "stranger", "viewer").await;
    let mut stranger = Browser::signed_in(&app, "stranger", PASSWORD).await;
    let page = stranger.get(&format!("/console/tenants/{OTHER}")).await;
    assert!(!page.text.contains("Damaged files"), "{}", page.text);
}

async fn a_held_catalog_raises_an_alarm_until_it_is_accepted(database: TestDatabase) {
    const HELD: &str = "implausible catalog";
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    admin
        .post(&in_tenant("/apps"), &app_fields(PACKAGE))
        .await
        .expect(201);
    publish_nine(&admin).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let tenant = format!("/console/tenants/{TENANT}");
    assert!(!browser.get(&tenant).await.text.contains(HELD));
    let connection = sea_orm::Database::connect(&app.database.url).await.unwrap();
    connection
        .execute_unprepared("DELETE FROM releases")
        .await
        .unwrap();
    let renamed = json!({"app_name": "Renamed"});
    admin.patch(&in_app(""), &renamed).await.expect(200);
    let page = browser.get(&tenant).await;
    assert!(page.text.contains(HELD), "{}", page.text);
    let page = browser.get("/console").await;
    assert!(
        page.text
            .contains("because the database has an implausible one: 1"),
        "{}",
        page.text
    );
    let stranger = app.tenant_admin(OTHER).await;
    make_person(&stranger, OTHER, "stranger", "viewer").await;
    let mut stranger = Browser::signed_in(&app, "stranger", PASSWORD).await;
    let page = stranger.get(&format!("/console/tenants/{OTHER}")).await;
    assert!(!page.text.contains(HELD), "{}", page.text);
    // An audited deletion explains the loss.
    admin.delete(&in_app("")).await.expect(204);
    let page = browser.get(&tenant).await;
    assert!(!page.text.contains(HELD), "{}", page.text);
}

on_both_databases!(
    damaged_files_raise_an_alarm,
    a_held_catalog_raises_an_alarm_until_it_is_accepted,
);
