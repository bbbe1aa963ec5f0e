//! A server with its own artifact store: a folder, or a bucket of an S3 service.

use std::path::{Path, PathBuf};

use reqwest::{Client, Method};
use serde_json::Value;
use slipway::config::Config;
use tempfile::TempDir;

use crate::api::harness::{Answer, Caller, Merchant, PACKAGE, TENANT, TestApp, app_fields, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::s3_server::S3Server;

/// Database and artifact store of a test.
pub(super) struct TestStorage {
    database: TestDatabase,
    /// `None` if the store is a folder.
    bucket: Option<S3Server>,
}

impl TestStorage {
    pub(super) fn folder(database: TestDatabase) -> Self {
        Self {
            database,
            bucket: None,
        }
    }

    pub(super) async fn bucket() -> Self {
        Self {
            database: TestDatabase::sqlite().await,
            bucket: Some(S3Server::start().await),
        }
    }
}

/// Turns each `async fn(TestStorage)` into tests with a folder on SQLite and on PostgreSQL, and one with a bucket.
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let database = slipway_test_support::database::TestDatabase::sqlite().await;
                super::$test(crate::api::artifacts::fixture::TestStorage::folder(database)).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let database = slipway_test_support::database::TestDatabase::postgres().await;
                super::$test(crate::api::artifacts::fixture::TestStorage::folder(database)).await;
            }
        )*}

        mod bucket {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::api::artifacts::fixture::TestStorage::bucket().await).await;
            }
        )*}
    };
}
pub(super) use on_every_store;

/// A running server, its tenant's administrator, and the files of its store.
pub(super) struct Fixture {
    pub(super) app: TestApp,
    pub(super) admin: Caller,
    /// Folder of the stored objects. Those of a bucket are files, too.
    pub(super) folder: PathBuf,
    /// Folder of the uploads in progress.
    pub(super) spool: PathBuf,
    /// `None` if the store is a folder.
    pub(super) bucket: Option<S3Server>,
    _data: TempDir,
}

impl Fixture {
    pub(super) async fn start(storage: TestStorage) -> Self {
        Self::start_with(storage, |_| {}).await
    }

    pub(super) async fn start_with(storage: TestStorage, change: impl FnOnce(&mut Config)) -> Self {
        let TestStorage { database, bucket } = storage;
        let data = TempDir::new().unwrap();
        let mut url = String::new();
        let app = TestApp::start_with(database, |config| {
            data.path().clone_into(&mut config.data_dir);
            if let Some(bucket) = &bucket {
                config.artifacts.url = Some(bucket.url());
                config.artifacts.bucket_variables = bucket.variables();
            }
            change(config);
            url = config.artifacts.url.clone().unwrap();
        })
        .await;
        let folder = bucket.as_ref().map_or_else(
            || PathBuf::from(url.trim_start_matches("file://")),
            S3Server::folder,
        );
        let spool = if bucket.is_some() {
            data.path()
        } else {
            folder.as_path()
        }
        .join("uploads");
        let admin = app.tenant_admin(TENANT).await;
        Self {
            admin: app.pipeline(&admin, "admin").await,
            app,
            folder,
            spool,
            bucket,
            _data: data,
        }
    }

    /// URL of the store.
    pub(super) fn artifacts_url(&self) -> String {
        match &self.bucket {
            Some(bucket) => bucket.url(),
            None => format!("file://{}", self.folder.display()),
        }
    }

    pub(super) async fn upload(&self, bytes: &[u8], query: &str) -> Answer {
        upload(&self.admin, &in_tenant(&format!("/artifacts{query}")), bytes, &[]).await
    }

    pub(super) fn path(sha256: &str) -> String {
        in_tenant(&format!("/artifacts/{sha256}"))
    }

    /// Creates the usual app with a device.
    pub(super) async fn merchant(&self) -> Merchant {
        let admin = self.admin.clone();
        let device = self.app.device(&admin, TENANT).await;
        let app = admin.post(&in_tenant("/apps"), &app_fields(PACKAGE)).await;
        app.expect(201);
        Merchant { admin, device }
    }

    pub(super) fn stored_files(&self) -> Vec<PathBuf> {
        files_below(self.folder.join("artifacts"))
    }

    /// Returns the stored file with the content of an artifact.
    pub(super) fn stored_file(&self, sha256: &str) -> PathBuf {
        let is_its = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(sha256);
        self.stored_files().into_iter().find(is_its).unwrap()
    }

    pub(super) fn files_being_uploaded(&self) -> Vec<PathBuf> {
        files_below(self.spool.clone())
    }

    /// Returns the status of a download.
    pub(super) async fn download(&self, stored: &Value) -> u16 {
        let url = format!("{}{}", self.app.url, local(stored));
        browser().get(url).send().await.unwrap().status().as_u16()
    }
}

fn files_below(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.as_ref().to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                files.push(entry);
            }
        }
    }
    files
}

/// Sends raw bytes.
pub(super) async fn upload(caller: &Caller, path: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Answer {
    let mut request = caller
        .request(Method::POST, path)
        .header("content-type", "application/octet-stream")
        .body(bytes.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// Returns a client without a credential that follows no redirect.
pub(super) fn browser() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Returns the local path of a download URL.
pub(super) fn local(stored: &Value) -> String {
    let url = stored["download_url"].as_str().unwrap();
    url.trim_start_matches("https://files.example").to_owned()
}
