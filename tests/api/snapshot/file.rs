//! The file: its content, path and permissions.

use std::os::unix::fs::PermissionsExt;
use std::{fs, path::Path};

use serde_json::json;
use slipway::live::snapshot::{SnapshotError, read};
use slipway::secrets::Keyring;

use super::super::harness::{NOW, TestApp, in_tenant};
use super::damage::{Frames, unpacked};
use super::{Fixture, files_in, keyring};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_graceful_stop_saves_what_was_served(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let files = stopped.files();
    assert_eq!(files.len(), 1);
    let snapshot = read(&fs::read(&files[0]).unwrap(), &keyring()).unwrap();
    assert_eq!(snapshot.as_of.to_rfc3339(), NOW.replace('Z', "+00:00"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files[0]), 0o600);
    assert_eq!(mode(files[0].parent().unwrap()), 0o700);
}

async fn no_secret_is_written_in_the_clear(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let bytes = fs::read(&stopped.files()[0]).unwrap();
    let frames = Frames::of(&bytes);
    let mut written = bytes.clone();
    for block in &frames.blocks {
        written.extend(unpacked(block));
    }
    let holds = |text: &str| written.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(
        holds(&stopped.client.app_key),
        "the test looks in the right place"
    );
    assert!(!holds(&stopped.client.secret));
    let key = stopped.merchant.device.token().rsplit('_').next().unwrap();
    assert!(!holds(key));
    assert!(!holds(super::SECRET_KEY));
}

async fn another_key_reads_nothing_and_a_rotated_one_reads_it_all(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let bytes = fs::read(&stopped.files()[0]).unwrap();
    let another = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let refused = read(&bytes, &Keyring::parse(another).unwrap()).err();
    assert!(
        matches!(refused, Some(SnapshotError::KeyMissing(_))),
        "{refused:?}"
    );
    let both = Keyring::parse(&format!("{another},{}", super::SECRET_KEY)).unwrap();
    assert!(read(&bytes, &both).is_ok());
}

async fn three_generations_are_kept_and_nothing_is_saved_twice(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let database = fixture.app.database.again().await;
    let (stopped, _) = fixture.stop().await;
    let mut newest = Vec::new();
    for round in 0..3 {
        let node = super::node(database.again().await, stopped.data_dir.path()).await;
        let admin = stopped.merchant.admin.at(&node);
        let write = json!({"package_name": format!("com.hema.a{round}"), "app_name": "New"});
        admin.post(&in_tenant("/apps"), &write).await.expect(201);
        node.running.stop().await.unwrap();
        let files = stopped.files();
        assert!(files.len() <= 3, "{files:?}");
        newest.push(files.last().unwrap().clone());
    }
    assert_eq!(stopped.files().len(), 3);
    assert!(
        newest.is_sorted(),
        "by their names too, though the clock stood still"
    );

    // A node that started from a snapshot and never reached its database has nothing to add.
    let before = stopped.files();
    let node = super::node(TestDatabase::unavailable().await, stopped.data_dir.path()).await;
    node.running.stop().await.unwrap();
    assert_eq!(stopped.files(), before);
}

async fn a_running_node_saves_what_has_changed(database: TestDatabase) {
    let data_dir = tempfile::TempDir::new().unwrap();
    let app = TestApp::start_with(database, |config| {
        data_dir.path().clone_into(&mut config.data_dir);
        config.snapshot_interval_s = 1;
    })
    .await;
    app.merchant().await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while files_in(data_dir.path()).is_empty() {
        assert!(std::time::Instant::now() < deadline, "no snapshot is saved");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let metrics = app.anyone().get("/metrics").await.text;
    for metric in ["slipway_snapshot_bytes", "slipway_snapshot_timestamp_seconds"] {
        assert!(metrics.contains(metric), "{metric}");
    }
}

on_both_databases!(
    a_graceful_stop_saves_what_was_served,
    no_secret_is_written_in_the_clear,
    another_key_reads_nothing_and_a_rotated_one_reads_it_all,
    three_generations_are_kept_and_nothing_is_saved_twice,
    a_running_node_saves_what_has_changed,
);
