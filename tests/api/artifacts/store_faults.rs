//! A store that is down, slow, full or refuses access, and files that are damaged on the disk.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::TimeDelta;
use serde_json::{Value, json};
use slipway::services::artifacts::jobs::{ArtifactJobs, probe};

use super::fixture::{Fixture, TestStorage, on_every_store};
use super::jobs::{pass, run};
use crate::api::harness::{DEADLINE, Merchant, PACKAGE, apk, check_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::s3_server::{S3Fault, S3Server};
use slipway_test_support::small_disk::SmallDisk;
use slipway_test_support::wait::until;

/// Longer than one part of a multipart upload.
const LARGE: usize = 9 << 20;

/// Publishes a release of the usual app from a file of this version.
async fn release(fixture: &Fixture, merchant: &Merchant, version_code: u64) -> Value {
    let stored = fixture.upload(&apk(PACKAGE, version_code), "").await.expect(201);
    let fields = json!({
        "identifier": PACKAGE, "version_code": version_code, "artifact": stored["sha256"], "publish": true,
    });
    merchant.create(&fields).await.expect(201)
}

/// Returns the version of the app offered to a device without it.
async fn offered(merchant: &Merchant) -> Option<i64> {
    let check = with(check_fields(), json!({"version_code": 1}));
    let answer = merchant.device.post("/v1/check", &check).await.expect(200);
    answer["data"][0]["version_code"].as_i64()
}

async fn until_offered(merchant: &Merchant, version: i64) {
    until(&format!("{version} is offered"), DEADLINE, async || {
        offered(merchant).await == Some(version)
    })
    .await;
}

fn server(fixture: &Fixture) -> &S3Server {
    fixture.bucket.as_ref().unwrap()
}

async fn readiness(fixture: &Fixture) -> (Value, Value) {
    probe(&fixture.app.running.context).await;
    let ready = fixture.app.anyone().get("/readyz").await.expect(200);
    (ready["status"].clone(), ready["artifacts"].clone())
}

/// While the service fails, uploads and downloads give 503, readiness reports it, and checks continue.
async fn a_failing_service_is_unavailable(fault: S3Fault) {
    let fixture = Fixture::start(TestStorage::bucket().await).await;
    let merchant = fixture.merchant().await;
    release(&fixture, &merchant, 60).await;
    let stored = fixture.upload(b"stored", "").await.expect(201);
    server(&fixture).set(fault);
    let (upload, download, ready, version) = tokio::join!(
        fixture.upload(b"meanwhile", ""),
        fixture.download(&stored),
        readiness(&fixture),
        offered(&merchant),
    );
    upload.problem(503, "unavailable");
    assert_eq!((download, version), (503, Some(60)));
    assert_eq!(ready, (json!("degraded"), json!("unreachable")));
    assert!(fixture.files_being_uploaded().is_empty());

    server(&fixture).set(S3Fault::None);
    assert_eq!(readiness(&fixture).await, (json!("ready"), json!("reachable")));
    assert_eq!(fixture.download(&stored).await, 200);
    fixture.upload(b"meanwhile", "").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_is_unavailable() {
    a_failing_service_is_unavailable(S3Fault::Gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_respond_is_unavailable() {
    a_failing_service_is_unavailable(S3Fault::Silent("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_refuses_access_is_unavailable() {
    a_failing_service_is_unavailable(S3Fault::Forbidden).await;
}

/// A pipe without a writer, at which readers block.
struct SilentFile(PathBuf);

impl SilentFile {
    fn replace(path: &Path) -> Self {
        std::fs::remove_file(path).unwrap();
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
        Self(path.to_owned())
    }
}

impl Drop for SilentFile {
    /// Unblocks the readers. Otherwise the runtime waits for them.
    fn drop(&mut self) {
        let _ = OpenOptions::new().read(true).write(true).open(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_respond_is_unavailable() {
    let storage = TestStorage::folder(TestDatabase::sqlite().await);
    let fixture = Fixture::start(storage).await;
    let stored = fixture.upload(b"stored", "").await.expect(201);
    let _silent = SilentFile::replace(&fixture.stored_files()[0]);
    assert_eq!(fixture.download(&stored).await, 503);
    fixture.upload(b"meanwhile", "").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_uploads_until_it_has_space() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let storage = TestStorage::folder(TestDatabase::sqlite().await);
    let fixture = Fixture::start_with(storage, |config| {
        config.artifacts.url = Some(format!("file://{}", disk.path().display()));
    })
    .await;
    let stored = fixture.upload(&vec![1; 5 << 20], "").await.expect(201);
    let full = fixture.upload(&vec![2; 5 << 20], "").await;
    full.problem(507, "insufficient_storage");
    assert!(fixture.files_being_uploaded().is_empty());
    assert_eq!(fixture.stored_files().len(), 1);
    assert_eq!(fixture.download(&stored).await, 200);
    let path = Fixture::path(stored["sha256"].as_str().unwrap());
    fixture.admin.delete(&path).await.expect(204);
    fixture.upload(&vec![2; 5 << 20], "").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_service_refuses_uploads_until_it_has_space() {
    let fixture = Fixture::start(TestStorage::bucket().await).await;
    let stored = fixture.upload(b"stored", "").await.expect(201);
    for bytes in [vec![1; 1_000], vec![1; LARGE]] {
        server(&fixture).set(S3Fault::Full);
        let full = fixture.upload(&bytes, "").await;
        full.problem(507, "insufficient_storage");
        assert!(fixture.files_being_uploaded().is_empty());
        assert_eq!(fixture.stored_files().len(), 1);
        assert_eq!(fixture.download(&stored).await, 200);
        server(&fixture).set(S3Fault::None);
        let again = fixture.upload(&bytes, "").await.expect(201);
        assert_eq!(fixture.download(&again).await, 200);
        let path = Fixture::path(again["sha256"].as_str().unwrap());
        fixture.admin.delete(&path).await.expect(204);
    }
    assert_eq!(server(&fixture).parts(), Vec::<PathBuf>::new());
}

/// Damage to a file on the disk.
type Damage = fn(&Path);

async fn a_damaged_file_is_found_and_not_offered(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let merchant = fixture.merchant().await;
    release(&fixture, &merchant, 60).await;
    let newest = release(&fixture, &merchant, 61).await;
    let file = fixture.stored_file(newest["artifact"].as_str().unwrap());
    let intact = std::fs::read(&file).unwrap();
    let mut jobs = ArtifactJobs::default();
    let damages: [(&str, Damage); 3] = [
        ("altered", |file| {
            let length = std::fs::metadata(file).unwrap().len();
            std::fs::write(file, vec![7_u8; length.try_into().unwrap()]).unwrap();
        }),
        ("altered", |file| std::fs::write(file, b"short").unwrap()),
        ("missing", |file| std::fs::remove_file(file).unwrap()),
    ];
    for (kind, damage) in damages {
        until_offered(&merchant, 61).await;
        damage(&file);
        pass(&fixture, TimeDelta::days(31));
        let report = run(&fixture, &mut jobs).await;
        assert_eq!((report.scrubbed, report.damaged), (2, 1), "{kind}");
        let path = Fixture::path(newest["artifact"].as_str().unwrap());
        let artifact = fixture.admin.get(&path).await.expect(200);
        assert_eq!(artifact["damage"], kind);
        assert_eq!(merchant.read(&newest).await["file_damaged"], true);
        until_offered(&merchant, 60).await;
        assert_eq!(fixture.download(&artifact).await, 503);

        // A restored file is detected within a day, before the other one is verified again.
        std::fs::write(&file, &intact).unwrap();
        pass(&fixture, TimeDelta::hours(23));
        assert_eq!(run(&fixture, &mut jobs).await.scrubbed, 0);
        pass(&fixture, TimeDelta::hours(2));
        let report = run(&fixture, &mut jobs).await;
        assert_eq!((report.scrubbed, report.damaged), (1, 0), "{kind}");
        assert_eq!(merchant.read(&newest).await["file_damaged"], false);
        assert_eq!(fixture.download(&artifact).await, 200);
    }
}

on_every_store!(a_damaged_file_is_found_and_not_offered);
