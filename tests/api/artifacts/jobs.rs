//! Background jobs: leftovers, retention and verification; and an unavailable store.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use slipway::clock::Clock as _;
use slipway::services::artifacts::jobs::{ArtifactJobs, JobReport, probe};

use super::fixture::{Fixture, TestStorage, on_every_store, upload};
use super::{in_tenant, sha256};
use crate::api::harness::{DEADLINE, NOW};
use slipway_test_support::wait::until;

pub(super) async fn run(fixture: &Fixture, jobs: &mut ArtifactJobs) -> JobReport {
    jobs.run_once(&fixture.app.running.context).await.unwrap()
}

/// Moves the clock past the lease of the node's own jobs.
pub(super) fn pass(fixture: &Fixture, time: TimeDelta) {
    let now = fixture.app.clock.now();
    fixture.app.clock.set(now + time);
}

async fn unused_artifacts_are_deleted_after_their_days_unless_they_are_kept(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let mut jobs = ArtifactJobs::default();
    fixture.upload(b"unused", "").await.expect(201);
    fixture.upload(b"kept", "").await.expect(201);
    let kept = Fixture::path(&sha256(b"kept"));
    fixture
        .admin
        .patch(&kept, &json!({"keep": true}))
        .await
        .expect(200);
    pass(&fixture, TimeDelta::days(30) - TimeDelta::seconds(1));
    assert_eq!(run(&fixture, &mut jobs).await.deleted, 0);
    pass(&fixture, TimeDelta::seconds(2));
    assert_eq!(run(&fixture, &mut jobs).await.deleted, 1);
    fixture
        .admin
        .get(&Fixture::path(&sha256(b"unused")))
        .await
        .problem(404, "not_found");
    fixture.admin.get(&kept).await.expect(200);
    assert_eq!(fixture.stored_files().len(), 1);
}

async fn leftovers_are_deleted_after_a_day(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let mut jobs = ArtifactJobs::default();
    let stored = fixture.upload(b"stored", "").await.expect(201);
    let leftover = fixture.stored_files()[0].with_file_name(format!(
        "{}-0191d7a0-0000-7000-8000-000000000001",
        stored["sha256"].as_str().unwrap()
    ));
    std::fs::write(&leftover, b"stored").unwrap();
    let abandoned = fixture.spool.join("upload-abandoned");
    std::fs::write(&abandoned, b"half").unwrap();
    let foreign = fixture.folder.join("artifacts/10000000/notes.txt");
    std::fs::write(&foreign, b"not ours").unwrap();
    // The files have the real time, and the test's clock is behind it.
    fixture.app.clock.set("2100-01-01T00:00:00Z".parse().unwrap());
    let report = run(&fixture, &mut jobs).await;
    assert_eq!((report.abandoned_uploads, report.leftovers), (1, 1));
    assert!(!leftover.exists() && !abandoned.exists() && foreign.exists());
}

async fn a_node_deletes_its_old_leftovers_when_it_starts(storage: TestStorage) {
    let mut abandoned = None;
    let fixture = Fixture::start_with(storage, |config| {
        let folder = config.artifacts.url.as_ref().unwrap().strip_prefix("file://");
        let spool = folder.map_or(config.data_dir.clone(), Into::into).join("uploads");
        std::fs::create_dir_all(&spool).unwrap();
        for (name, modified) in [("upload-old", "2026-02-28T02:00:00Z"), ("upload-new", NOW)] {
            let file = std::fs::File::create(spool.join(name)).unwrap();
            let modified: DateTime<Utc> = modified.parse().unwrap();
            file.set_modified(modified.into()).unwrap();
        }
        abandoned = Some(spool);
    })
    .await;
    assert_eq!(Some(&fixture.spool), abandoned.as_ref());
    until("the old file is deleted", DEADLINE, async || {
        fixture.files_being_uploaded() == [fixture.spool.join("upload-new")]
    })
    .await;
}

async fn a_scrub_finds_damage_and_the_repair(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let mut jobs = ArtifactJobs::default();
    let stored = fixture.upload(b"content", "").await.expect(201);
    let file = fixture.stored_files().remove(0);
    pass(&fixture, TimeDelta::days(29));
    assert_eq!(run(&fixture, &mut jobs).await.scrubbed, 0);
    std::fs::write(&file, b"tnetnoc").unwrap();
    pass(&fixture, TimeDelta::hours(20));
    pass(&fixture, TimeDelta::hours(5));
    // The retention of 30 days must not end before.
    fixture
        .admin
        .patch(&Fixture::path(&sha256(b"content")), &json!({"keep": true}))
        .await
        .expect(200);
    let report = run(&fixture, &mut jobs).await;
    assert_eq!((report.scrubbed, report.damaged), (1, 1));
    let path = Fixture::path(&sha256(b"content"));
    assert_eq!(fixture.admin.get(&path).await.expect(200)["damage"], "altered");
    assert_eq!(fixture.download(&stored).await, 503);
    probe(&fixture.app.running.context).await;
    let ready = fixture.app.anyone().get("/readyz").await.expect(200);
    assert_eq!(
        (&ready["status"], &ready["damaged_artifacts"]),
        (&json!("degraded"), &json!(1))
    );

    let repaired = upload(&fixture.admin, &in_tenant("/artifacts"), b"content", &[])
        .await
        .expect(200);
    assert_eq!(repaired["damage"], json!(null));
    assert_eq!(std::fs::read(&file).unwrap(), b"content");

    std::fs::remove_file(&file).unwrap();
    pass(&fixture, TimeDelta::days(31));
    assert_eq!(run(&fixture, &mut jobs).await.damaged, 1);
}

async fn an_unreachable_or_another_store_degrades_readiness(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    fixture.upload(b"before", "").await.expect(201);
    let away = fixture.folder.with_extension("away");
    std::fs::rename(&fixture.folder, &away).unwrap();
    let state = async || {
        probe(&fixture.app.running.context).await;
        let ready = fixture.app.anyone().get("/readyz").await.expect(200);
        (ready["status"].clone(), ready["artifacts"].clone())
    };
    let degraded = (json!("degraded"), json!("unreachable"));
    assert_eq!(state().await, degraded);
    fixture.upload(b"meanwhile", "").await.problem(503, "unavailable");
    // An empty directory in its place, like that of an unmounted volume.
    std::fs::create_dir(&fixture.folder).unwrap();
    assert_eq!(state().await, degraded);
    fixture.upload(b"meanwhile", "").await.problem(503, "unavailable");
    std::fs::remove_dir_all(&fixture.folder).unwrap();
    std::fs::rename(&away, &fixture.folder).unwrap();
    assert_eq!(state().await, (json!("ready"), json!("reachable")));
    fixture.upload(b"afterwards", "").await.expect(201);
}

on_every_store!(
    unused_artifacts_are_deleted_after_their_days_unless_they_are_kept,
    leftovers_are_deleted_after_a_day,
    a_node_deletes_its_old_leftovers_when_it_starts,
    a_scrub_finds_damage_and_the_repair,
    an_unreachable_or_another_store_degrades_readiness,
);
