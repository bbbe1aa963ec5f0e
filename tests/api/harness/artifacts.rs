//! Artifacts of a tenant, and packages for them.

use std::io::Cursor;

use serde_json::json;
use slipway::storage::artifacts;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::{Artifact, ArtifactFacts, DownloadKey, DownloadLink};
use slipway_domain::catalog::ids::{ArtifactId, TenantId};
use slipway_domain::catalog::text::{FileName, Md5, Sha256};
use slipway_package::{Limits, inspect};
use slipway_package_maker::{Apk, Signing, TestKey};

use slipway_test_support::database::TestDatabase;

/// Base URL of downloads.
pub(crate) const DOWNLOADS: &str = "https://downloads.example";

/// Builds a signed package.
pub(crate) fn apk(package: &str, version_code: u64) -> Vec<u8> {
    apk_with(package, version_code, &Signing::of(TestKey::App), |_| {})
}

pub(crate) fn apk_with(
    package: &str,
    version_code: u64,
    signing: &Signing,
    change: impl FnOnce(&mut Apk),
) -> Vec<u8> {
    let mut apk = Apk::new(package, version_code, &format!("2.0.{version_code}"));
    change(&mut apk);
    apk.signed(signing)
}

/// Stores an artifact, and returns its digest.
pub(crate) async fn plant_artifact(database: &TestDatabase, tenant: i64, bytes: &[u8]) -> String {
    let facts = inspect(Cursor::new(bytes), &Limits::default()).unwrap();
    let facts: ArtifactFacts = serde_json::from_value(json!(facts)).unwrap();
    let scope = TenantScope::internal(TenantId::parse(tenant).unwrap());
    let tx = database.db.begin().await.unwrap();
    let usage = artifacts::lock_usage(&tx, scope).await.unwrap();
    let artifact = Artifact {
        id: slipway::random::id::<ArtifactId>(),
        sha256: Sha256::parse(&sha256(bytes)).unwrap(),
        md5: Md5::parse(&md5(bytes)).unwrap(),
        size: bytes.len().try_into().unwrap(),
        filename: FileName::parse("收银.apk").unwrap(),
        facts,
        icon: None,
        link: new_link(usage.last_link + 1),
        keep: false,
        created_by: "a test".to_owned(),
        damage: None,
    };
    artifacts::insert(&tx, scope, &usage, artifact, super::NOW.parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    sha256(bytes)
}

pub(crate) fn new_link(number: i64) -> DownloadLink {
    DownloadLink {
        number,
        key: DownloadKey::new(uuid::Uuid::new_v4().into_bytes()),
    }
}

pub(crate) fn md5(bytes: &[u8]) -> String {
    use md5::Digest as _;
    hex::encode(md5::Md5::digest(bytes))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}
