//! A node that is killed while its database is down resumes at its last state, even if it received that state just
//! before.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use slipway_test_support::cluster::Cluster;
use slipway_test_support::node::NodeProcess;
use slipway_test_support::proxy::Mode;
use slipway_test_support::wait::until;

const TENANT: i64 = 10_000_000;
const PACKAGE: &str = "com.hema.wms";
const WITHIN: Duration = Duration::from_mins(1);
/// State that a node has served for this long must survive `kill -9`.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
const ROUNDS: i64 = 4;

struct Fixture {
    node: NodeProcess,
    _cluster: Cluster,
    admin: String,
    device: String,
}

impl Fixture {
    async fn set() -> Self {
        let cluster = Cluster::start().await;
        let settings = vec![("SLIPWAY_SNAPSHOT_INTERVAL_S", "86400".to_owned())];
        let node = NodeProcess::start(0, cluster.target.clone(), settings).await;
        let admin = node.sign_in().await;
        let mut fixture = Self {
            node,
            _cluster: cluster,
            admin,
            device: String::new(),
        };
        let tenant = json!({"id": TENANT, "name": "A tenant"});
        fixture.make("/api/v1/tenants", &tenant).await;
        let app = json!({"package_name": PACKAGE, "app_name": "An app"});
        fixture.make(&in_tenant("/apps"), &app).await;
        let key = fixture
            .make(&in_tenant("/device-keys"), &json!({"name": "devices"}))
            .await;
        key["device_key"]
            .as_str()
            .unwrap()
            .clone_into(&mut fixture.device);
        fixture
    }

    async fn make(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .node
            .call(Method::POST, path, Some(&self.admin), body, WITHIN)
            .await
            .unwrap();
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// Publishes a version and returns the release's path.
    async fn publish(&self, version: i64) -> String {
        let releases = in_tenant(&format!("/apps/{PACKAGE}/releases"));
        let release = json!({
            "identifier": PACKAGE, "version_code": version, "version_name": version.to_string(),
            "download_url": format!("https://files.example/{version}.apk"),
            "md5": format!("{version:032x}"), "size": 1_000, "publish": true,
        });
        let made = self.make(&releases, &release).await;
        format!("{releases}/{}", made["id"].as_str().unwrap())
    }

    /// Returns the version offered to a device, and true if the answer is marked stale.
    async fn offered(&self) -> (Option<i64>, bool) {
        let check = json!({"package_name": PACKAGE, "version_code": 1, "device_id": "PDA001"});
        let answer = self
            .node
            .call(Method::POST, "/v1/check", Some(&self.device), &check, WITHIN)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.body["data"][0]["version_code"].as_i64(), answer.stale)
    }

    /// Cuts off the database, kills the node and restarts it without the database.
    async fn kill_without_database(&self) {
        self.node.proxy.set(Mode::Refuse);
        self.node.kill();
        self.node.start_again().await;
    }

    async fn give_database_back(&self) {
        self.node.proxy.set(Mode::Open);
        until("the node is ready", WITHIN, async || {
            let ready = self
                .node
                .call(Method::GET, "/readyz", None, &Value::Null, WITHIN)
                .await;
            ready.is_ok_and(|answer| answer.body["status"] == "ready")
        })
        .await;
    }
}

fn in_tenant(rest: &str) -> String {
    format!("/api/v1/tenants/{TENANT}{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_served_survives_a_kill_without_the_database() {
    let fixture = Fixture::set().await;
    for round in 0..ROUNDS {
        let (kept, recalled) = (10 + 2 * round, 11 + 2 * round);
        fixture.publish(kept).await;
        let release = fixture.publish(recalled).await;
        assert_eq!(fixture.offered().await, (Some(recalled), false));
        let recall = json!({"mode": "stop", "reason": "it crashes"});
        fixture.make(&format!("{release}/recall"), &recall).await;
        assert_eq!(fixture.offered().await, (Some(kept), false));
        tokio::time::sleep(WRITTEN_WITHIN).await;
        fixture.kill_without_database().await;
        assert_eq!(fixture.offered().await, (Some(kept), false), "round {round}");
        if round % 2 == 0 {
            fixture.kill_without_database().await;
            assert_eq!(fixture.offered().await, (Some(kept), false), "killed twice");
        }
        fixture.give_database_back().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_serves_nothing_older_than_it_had_served_a_second_before() {
    let fixture = Fixture::set().await;
    let mut version = 10;
    let mut rng = fastrand::Rng::with_seed(13);
    for _ in 0..ROUNDS {
        let mut settled = version;
        let moment = Duration::from_millis(rng.u64(0..1_500));
        let begun = std::time::Instant::now();
        let mut served = Vec::new();
        while begun.elapsed() < moment {
            version += 1;
            fixture.publish(version).await;
            served.push((version, std::time::Instant::now()));
        }
        for (version, at) in served {
            if at.elapsed() >= WRITTEN_WITHIN {
                settled = version;
            }
        }
        fixture.kill_without_database().await;
        let (offered, is_stale) = fixture.offered().await;
        assert!(offered.unwrap_or(10) >= settled, "{offered:?} after {settled}");
        assert!(!is_stale);
        fixture.give_database_back().await;
        version += 1;
        fixture.publish(version).await;
        tokio::time::sleep(WRITTEN_WITHIN).await;
    }
}

/// Flips a bit of the last record of the newest segment.
fn damage_journal(data_dir: &Path) {
    let files = fs::read_dir(data_dir.join("snapshots")).unwrap();
    let segments = files.map(|file| file.unwrap().path());
    let segments = segments.filter(|path| path.extension().is_some_and(|name| name == "journal"));
    let newest = segments.max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(newest, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_journal_was_damaged_stays_stale_until_it_has_compared_itself() {
    let fixture = Fixture::set().await;
    fixture.publish(10).await;
    tokio::time::sleep(WRITTEN_WITHIN).await;
    fixture.node.proxy.set(Mode::Refuse);
    fixture.node.kill();
    damage_journal(fixture.node.data_dir());
    fixture.node.start_again().await;
    assert!(fixture.offered().await.1, "it knows that something is lost");
    tokio::time::sleep(WRITTEN_WITHIN).await;
    fixture.kill_without_database().await;
    assert!(fixture.offered().await.1, "it still knows");
    fixture.give_database_back().await;
    assert_eq!(fixture.offered().await, (Some(10), false));
}
