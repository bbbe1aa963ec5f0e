//! Rotation of a secret key in the data directory, with SQLite.

use std::fs;
use std::path::Path;

use serde_json::json;
use slipway::secrets::Keyring;
use tempfile::TempDir;

use super::harness::{TENANT, TestApp, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::program;

async fn start(database: TestDatabase, directory: &Path) -> TestApp {
    let directory = directory.to_owned();
    TestApp::start_with(database, |config| {
        config.data_dir = directory;
        config.secret_key = None;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_in_the_data_directory_is_rotated_by_its_lines() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("secret.key");
    let database = TestDatabase::sqlite().await;
    let app = start(database.again().await, directory.path()).await;
    let admin = app.tenant_admin(TENANT).await;
    let key = json!({"name": "SDK", "role": "device"});
    admin.post(&in_tenant("/app-keys"), &key).await.expect(201);
    app.running.stop().await.unwrap();

    let old = fs::read_to_string(&file).unwrap();
    assert!(
        old.ends_with('\n'),
        "another key is appended on a line of its own"
    );
    let new = Keyring::generate_text().unwrap();
    for keys in [format!("{old}{new}\n"), format!("{new}\n{old}")] {
        fs::write(&file, keys).unwrap();
        let app = start(database.again().await, directory.path()).await;
        app.platform_admin().await;
        app.running.stop().await.unwrap();
    }

    let variables = [("SLIPWAY_DATABASE_URL", database.url.as_str())];
    let rekey = async |arguments: &[&str]| {
        let outcome = program::run(directory.path(), arguments, &variables, "").await;
        outcome.expect_success()
    };
    let said = rekey(&["rekey", "--status"]).await;
    assert!(said.contains("app_secret\t1\tneeds key"), "{said}");
    let said = rekey(&["rekey"]).await;
    assert!(said.contains("app keys sealed again: 1"), "{said}");
    assert!(said.contains("nothing needs it"), "{said}");
    fs::write(&file, &new).unwrap();
    let app = start(database.again().await, directory.path()).await;
    app.platform_admin().await;
}
