//! Addresses of artifacts in a snapshot: those of the node that saved it, until the database is available again.

use std::path::Path;

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::postgres::PostgresServer;

use super::start::until;
use crate::api::harness::{Caller, PACKAGE, TENANT, TestApp, apk, check_fields, plant_artifact};

async fn node(database: TestDatabase, data_dir: &Path, public_url: &str) -> TestApp {
    TestApp::start_with(database, |config| {
        data_dir.clone_into(&mut config.data_dir);
        config.snapshot_interval_s = 86_400;
        config.public_url = Some(public_url.to_owned());
        config.artifacts.download_url = None;
    })
    .await
}

/// Returns true if a device is offered the file at an address with this base.
async fn is_offered_at(device: &Caller, base: &str) -> bool {
    let answer = device.post("/v1/check", &check_fields()).await.expect(200);
    let address = answer["data"][0]["download_url"].as_str().unwrap().to_owned();
    address.starts_with(&format!("{base}/dl/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_have_the_nodes_own_addresses_once_the_database_is_back() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let data_dir = tempfile::TempDir::new().unwrap();
    let (old, new) = ("https://old.example", "https://new.example");
    let app = node(TestDatabase::of(&server).await, data_dir.path(), old).await;
    let merchant = app.merchant().await;
    let artifact = plant_artifact(&app.database, TENANT, &apk(PACKAGE, 240)).await;
    let release = json!({"identifier": PACKAGE, "version_code": 240, "artifact": artifact, "publish": true});
    merchant.create(&release).await.expect(201);
    assert!(is_offered_at(&merchant.device, old).await);
    app.running.stop().await.unwrap();
    let database = app.database.again().await;
    server.stop();

    let app = node(database, data_dir.path(), new).await;
    let device = merchant.device.at(&app);
    assert!(is_offered_at(&device, old).await);
    server.start_again();
    until(async || is_offered_at(&device, new).await).await;
}
