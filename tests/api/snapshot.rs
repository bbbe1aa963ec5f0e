//! The snapshot file: its content, its validation, and a node that starts from it without its database.

mod addresses;
mod damage;
mod file;
mod opening;
mod start;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slipway::secrets::Keyring;
use tempfile::TempDir;

use super::harness::{
    CHECK, CHUKU, Caller, Merchant, PACKAGE, SECRET_KEY, TENANT, TestApp, TopClient, check_fields, in_tenant,
    with,
};
use slipway_test_support::database::TestDatabase;

/// The tests' usual instant in the gateway's wall clock.
const TIMESTAMP: &str = "2026-03-02 10:00:00";

/// A node with its own data directory, and a merchant with objects of every kind.
struct Fixture {
    app: TestApp,
    merchant: Merchant,
    /// Administrator of another tenant.
    neighbour: Caller,
    client: TopClient,
    data_dir: TempDir,
}

impl Fixture {
    async fn set(database: TestDatabase) -> Self {
        let data_dir = TempDir::new().unwrap();
        let app = node(database, data_dir.path()).await;
        let merchant = app.merchant().await;
        let directory = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"], "name": "A store"}]});
        merchant
            .admin
            .put(&in_tenant("/org-directory"), &directory)
            .await
            .expect(200);
        merchant.published(CHUKU, 230).await;
        let targeted = json!({
            "org_scopes": [{"l1Code": "HM"}],
            "attribute_rules": [{"name": "os", "op": "semver", "value": ">=8"}],
            "config_json": {"tills": [1, 2]},
        });
        merchant.published_with(CHUKU, 235, targeted).await;
        let part = json!({"rollout": {"percent": 99.99}, "device_ids": ["PDA002"]});
        merchant.published_with(CHUKU, 240, part).await;
        let pin = json!({
            "package_name": PACKAGE, "identifier": CHUKU, "device_id": "PDA003",
            "mode": "ceiling", "version_code": 235, "reason": "a trial",
        });
        merchant.admin.put(&in_tenant("/pins"), &pin).await.expect(200);
        let client = app.top_client(&merchant.admin, TENANT, "device").await;
        let neighbour = app.tenant_admin(TENANT + 1).await;
        let neighbour = app.device(&neighbour, TENANT + 1).await;
        Self {
            app,
            merchant,
            neighbour,
            client,
            data_dir,
        }
    }

    /// Returns the answers to devices and gateways at a node.
    async fn answers_at(&self, node: &TestApp) -> Vec<(u16, String, Value)> {
        let device = self.merchant.device.at(node);
        let store = json!({"org_info": {"l3Code": "8007"}, "attributes": {"os": "9"}});
        let checks = [
            json!({}),
            json!({"device_id": "PDA002", "old_versions": {CHUKU: 235}}),
            with(store.clone(), json!({"device_id": "PDA003"})),
            store,
            json!({"package_name": "com.nobody"}),
        ];
        let mut answers = Vec::new();
        for check in checks {
            let answer = device.post("/v1/check", &with(check_fields(), check)).await;
            let revision = answer.header("slipway-revision").to_owned();
            answers.push((answer.status, revision, answer.body));
        }
        let answer = self.neighbour.at(node).post("/v1/check", &check_fields()).await;
        answers.push((answer.status, String::new(), answer.body));
        answers.push(self.gateway_answer_at(node).await);
        answers
    }

    async fn gateway_answer_at(&self, node: &TestApp) -> (u16, String, Value) {
        let client = TopClient {
            url: format!("{}/router/rest", node.url),
            ..self.client.clone()
        };
        let fields = [
            ("package_name", PACKAGE),
            ("version_code", "50"),
            ("device_id", "PDA001"),
            ("tenant_id", "10000000"),
        ];
        let mut answer = client.send(&client.call(CHECK, TIMESTAMP, &fields)).await;
        for whole in answer.body.as_object_mut().unwrap().values_mut() {
            // Each answer has its own request id.
            whole["request_id"] = json!("");
        }
        let revision = answer.header("slipway-revision").to_owned();
        (answer.status, revision, answer.body)
    }

    /// Stops the node, which saves a snapshot. Returns the stopped node and its earlier answers.
    async fn stop(self) -> (StoppedNode, Vec<(u16, String, Value)>) {
        let answers = self.answers_at(&self.app).await;
        assert!(answers.iter().all(|(status, ..)| *status == 200), "{answers:#?}");
        let Self {
            app,
            merchant,
            neighbour,
            client,
            data_dir,
        } = self;
        // The initial snapshot of a new installation's journal.
        for file in files_in(data_dir.path()) {
            fs::remove_file(file).unwrap();
        }
        app.running.stop().await.unwrap();
        let stopped = StoppedNode {
            merchant,
            neighbour,
            client,
            data_dir,
            database: app.database,
        };
        (stopped, answers)
    }
}

/// Data of a fixture after its node has stopped.
struct StoppedNode {
    merchant: Merchant,
    neighbour: Caller,
    client: TopClient,
    data_dir: TempDir,
    database: TestDatabase,
}

impl StoppedNode {
    /// Starts a node in the same data directory.
    async fn start_again(self, database: TestDatabase) -> Fixture {
        Fixture {
            app: node(database, self.data_dir.path()).await,
            merchant: self.merchant,
            neighbour: self.neighbour,
            client: self.client,
            data_dir: self.data_dir,
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        files_in(self.data_dir.path())
    }
}

/// Starts a node that saves snapshots at its start and its end, but not in between.
async fn node(database: TestDatabase, data_dir: &Path) -> TestApp {
    TestApp::start_with(database, |config| {
        data_dir.clone_into(&mut config.data_dir);
        config.snapshot_interval_s = 86_400;
    })
    .await
}

/// Returns all snapshots, oldest first.
fn files_in(data_dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(data_dir.join("snapshots"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|kind| kind != "journal"))
        .collect();
    files.sort();
    files
}

fn keyring() -> Keyring {
    Keyring::parse(SECRET_KEY).unwrap()
}
