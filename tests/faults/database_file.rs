//! The SQLite file is deleted, replaced or truncated, before a start and under a running server.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use slipway_test_support::embedded::EmbeddedServer;

const TENANTS: &str = "/api/v1/tenants";

fn tenant(number: i64) -> Value {
    json!({"id": number, "name": format!("Tenant {number}")})
}

/// Returns a data directory in which a server with one tenant has run.
async fn installation() -> TempDir {
    let directory = TempDir::new().unwrap();
    let server = EmbeddedServer::start(directory.path()).await;
    let admin = server.sign_in().await;
    server.make(TENANTS, &admin, &tenant(1)).await;
    server.stop().await;
    directory
}

async fn refusal(data_dir: &Path, settings: &[(&str, &str)]) -> String {
    match EmbeddedServer::try_start_with(data_dir, settings).await {
        Ok(_) => panic!("it started"),
        Err(why) => why,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_of_its_installation_a_server_refuses_to_start() {
    let directory = installation().await;
    let database = directory.path().join("slipway.db");
    let aside = directory.path().join("aside.db");
    fs::rename(&database, &aside).unwrap();
    let missing = refusal(directory.path(), &[]).await;
    assert!(
        missing.contains("secret.key") && missing.contains("is missing"),
        "{missing}"
    );
    assert!(!database.exists(), "nothing is made in its place");

    // An orchestrator supplies the key; only the directory shows that a database existed.
    let key = fs::read_to_string(directory.path().join("secret.key")).unwrap();
    fs::rename(
        directory.path().join("secret.key"),
        directory.path().join("aside.key"),
    )
    .unwrap();
    let missing = refusal(directory.path(), &[("SLIPWAY_SECRET_KEY", key.trim())]).await;
    assert!(missing.contains("installation.id"), "{missing}");
    fs::rename(
        directory.path().join("aside.key"),
        directory.path().join("secret.key"),
    )
    .unwrap();

    fs::write(&database, "").unwrap();
    let empty = refusal(directory.path(), &[]).await;
    assert!(empty.contains("an empty file"), "{empty}");
    fs::write(
        &database,
        "no database, but longer than its header is: ".repeat(99),
    )
    .unwrap();
    let other = refusal(directory.path(), &[]).await;
    assert!(
        other.contains("cannot be opened") && other.contains("damaged"),
        "{other}"
    );
    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();
    let is_directory = refusal(directory.path(), &[]).await;
    assert!(is_directory.contains("directory"), "{is_directory}");
    fs::remove_dir(&database).unwrap();

    let elsewhere = format!("sqlite://{}", directory.path().join("elsewhere.db").display());
    let missing = refusal(directory.path(), &[("SLIPWAY_DATABASE_URL", &elsewhere)]).await;
    assert!(missing.contains("elsewhere.db is missing"), "{missing}");

    fs::rename(&aside, &database).unwrap();
    let server = EmbeddedServer::start(directory.path()).await;
    let admin = server.sign_in().await;
    assert_eq!(server.get("/api/v1/tenants/1", &admin).await.0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_database_is_not_thrown_away() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("slipway.db-wal"), "changes").unwrap();
    let refused = refusal(directory.path(), &[]).await;
    assert!(refused.contains("slipway.db-wal"), "{refused}");
    assert!(directory.path().join("slipway.db-wal").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_key_is_missing_gets_no_other_key() {
    let directory = installation().await;
    let key = directory.path().join("secret.key");
    let aside = directory.path().join("aside.key");
    fs::rename(&key, &aside).unwrap();
    let refused = refusal(directory.path(), &[]).await;
    assert!(refused.contains("secret.key is missing"), "{refused}");
    assert!(!key.exists(), "no other key is made");
    fs::rename(&aside, &key).unwrap();
    EmbeddedServer::start(directory.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_installation_is_logged_as_a_warning() {
    let directory = TempDir::new().unwrap();
    let server = EmbeddedServer::start(directory.path()).await;
    let warned = server.logged("WARN").join("\n");
    assert!(warned.contains("a new installation is created"), "{warned}");
    server.stop().await;
    let server = EmbeddedServer::start(directory.path()).await;
    assert!(!server.logged("WARN").join("\n").contains("new installation"));
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_its_file_is_gone_a_server_refuses_writes_and_makes_no_other() {
    let directory = TempDir::new().unwrap();
    let server = EmbeddedServer::start(directory.path()).await;
    let admin = server.sign_in().await;
    server.make(TENANTS, &admin, &tenant(1)).await;
    let aside = directory.path().join("aside.db");

    fs::rename(server.database(), &aside).unwrap();
    assert_refused(&server, &admin, 2).await;
    server.until_writes_fail_for(json!("file_missing")).await;
    assert!(!server.database().exists(), "no connection makes it");

    // A copy with the same content is still a different file.
    fs::copy(&aside, server.database()).unwrap();
    assert_refused(&server, &admin, 3).await;

    fs::rename(&aside, server.database()).unwrap();
    server.until_writes_fail_for(Value::Null).await;
    server.make(TENANTS, &admin, &tenant(4)).await;

    // The write-ahead log holds data that is not in the database file yet.
    let log = directory.path().join("slipway.db-wal");
    fs::rename(&log, &aside).unwrap();
    assert_refused(&server, &admin, 5).await;
    fs::rename(&aside, &log).unwrap();
    server.until_writes_fail_for(Value::Null).await;

    server.stop().await;
    let server = EmbeddedServer::start(directory.path()).await;
    for (number, status) in [(1, 200), (2, 404), (3, 404), (4, 200), (5, 404)] {
        let path = format!("{TENANTS}/{number}");
        assert_eq!(server.get(&path, &admin).await.0, status, "{path}");
    }
    fs::OpenOptions::new()
        .write(true)
        .open(server.database())
        .and_then(|file| file.set_len(0))
        .unwrap();
    // The server detects the damage or the empty file first, depending on its cache.
    let (status, problem) = server.post(TENANTS, &admin, &tenant(6)).await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("unavailable")),
        "{problem}"
    );
    server.until_writes_fail_for(json!("file_missing")).await;
    server.kill();
}

async fn assert_refused(server: &EmbeddedServer, admin: &str, number: i64) {
    let (status, problem) = server.post(TENANTS, admin, &tenant(number)).await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("unavailable")),
        "{problem}"
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("missing"), "{detail}");
}
