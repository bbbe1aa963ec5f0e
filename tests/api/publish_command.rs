//! `slipway publish` in a pipeline.

mod faults;
mod relay;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use slipway_package_maker::{Signing, TestKey};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::program::{self, Outcome};
use slipway_test_support::proxy::{Endpoint, Mode, Proxy};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::harness::{
    CHUKU, Caller, Merchant, PACKAGE, TENANT, TestApp, apk, apk_with, in_app, in_tenant, path_of, sha256,
};

struct Fixture {
    app: TestApp,
    merchant: Merchant,
    pipeline: Caller,
    directory: TempDir,
}

impl Fixture {
    async fn set(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let merchant = app.merchant().await;
        let pipeline = app.pipeline(&merchant.admin, "publisher").await;
        let directory = tempfile::tempdir().unwrap();
        Self {
            app,
            merchant,
            pipeline,
            directory,
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn publish(&self, arguments: &[&str]) -> Outcome {
        self.publish_at(&self.app.url, arguments).await
    }

    async fn publish_at(&self, url: &str, arguments: &[&str]) -> Outcome {
        let tenant = TENANT.to_string();
        let variables = [
            ("SLIPWAY_URL", url),
            ("SLIPWAY_TOKEN", self.pipeline.token()),
            ("SLIPWAY_TENANT", tenant.as_str()),
        ];
        publish_with(self.directory.path(), arguments, &variables).await
    }

    async fn releases(&self) -> Vec<Value> {
        let listed = self.merchant.admin.get(&in_app("/releases")).await.expect(200);
        listed["items"].as_array().unwrap().clone()
    }
}

async fn publish_with(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let arguments: Vec<_> = std::iter::once("publish")
        .chain(arguments.iter().copied())
        .collect();
    program::run(directory, &arguments, variables, "").await
}

#[track_caller]
fn expect_code(outcome: Outcome, code: i32) -> String {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    outcome.stderr
}

fn json_of(outcome: Outcome) -> Value {
    serde_json::from_str(&outcome.expect_success()).unwrap()
}

async fn publishing_twice_changes_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let file = fixture.write("app.apk", &bytes);
    let notes = fixture.write("notes.txt", "Faster\nscanner\n".as_bytes());
    let options = [
        "--notes",
        &notes,
        "--rollout",
        "5",
        "--unit",
        "l3",
        "--scope",
        "HM/HM-SH",
    ];
    let arguments = [&[file.as_str()], &options[..]].concat();
    let shown = fixture.publish(&arguments).await.expect_success();
    assert!(
        shown.contains(PACKAGE) && shown.contains(&sha256(&bytes)),
        "{shown}"
    );
    assert!(shown.contains("for: HM/HM-SH, 5% of stores\n"), "{shown}");
    let release = fixture.releases().await.remove(0);
    let expected = json!({
        "state": "published", "origin": "artifact", "artifact": sha256(&bytes), "version_code": 240,
        "update_desc": "Faster\nscanner", "rollout": {"percent": 5, "key": null, "unit": "l3"},
        "org_scopes": [{"l1Code": "HM", "l2Code": "HM-SH"}],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&release[field], value, "{field}");
    }
    let path = in_tenant(&format!("/artifacts/{}/content", sha256(&bytes)));
    let stored = fixture.merchant.admin.get(&path).await;
    assert_eq!(stored.status, 200);

    let audited = fixture.merchant.audit().await.len();
    let again = json_of(fixture.publish(&[&file, "--json"]).await);
    assert_eq!(again["releases"][0]["is_new"], false);
    assert_eq!(again["releases"][0]["release"]["id"], release["id"]);
    assert_eq!(fixture.releases().await, [release]);
    assert_eq!(fixture.merchant.audit().await.len(), audited);
}

async fn exit_codes_tell_what_a_pipeline_must_do(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let usual = Signing::of(TestKey::App);
    let unsafe_package = apk_with(PACKAGE, 240, &usual, |apk| apk.debuggable = true);
    let unsafe_package = fixture.write("debug.apk", &unsafe_package);
    let refused = expect_code(fixture.publish(&[&unsafe_package]).await, 1);
    assert!(refused.contains("debuggable"), "{refused}");
    assert_eq!(fixture.releases().await, [] as [Value; 0]);
    let accepted = [unsafe_package.as_str(), "--accept-unsafe-package"];
    fixture.publish(&accepted).await.expect_success();

    let file = fixture.write("app.apk", &apk(PACKAGE, 241));
    let plain = fixture.write("labels.bin", b"labels");
    let damaged = fixture.write("damaged.apk", &apk(PACKAGE, 241)[..1_000]);
    for (arguments, code) in [
        (vec![], 2),
        (vec!["/no/such/file"], 2),
        (vec![plain.as_str()], 2),
        (vec![plain.as_str(), "--identifier", CHUKU], 2),
        (vec![file.as_str(), "--rollout", "101"], 2),
        (vec![file.as_str(), file.as_str()], 2),
        (vec![file.as_str(), "--version-code", "7"], 1),
        (vec![file.as_str(), "--app", "com.example.unknown"], 1),
        (vec![damaged.as_str()], 1),
    ] {
        expect_code(fixture.publish(&arguments).await, code);
    }
    let retries = [file.as_str(), "--retries", "0"];
    expect_code(fixture.publish_at("http://127.0.0.1:1", &retries).await, 3);
    let failed = fixture
        .publish_at("http://127.0.0.1:1", &[&file, "--retries", "0", "--json"])
        .await;
    let error: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert!(
        error["error"].as_str().unwrap().contains("cannot be reached"),
        "{error}"
    );
    assert_eq!(fixture.releases().await.len(), 1);
}

async fn several_files_are_published_together_or_not_at_all(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let file = fixture.write("app.apk", &apk(PACKAGE, 240));
    let labels = fixture.write("labels.bin", b"labels");
    let labels = format!("{CHUKU}={labels}");
    let unsafe_module = apk_with("com.hema.wms.ruku", 1, &Signing::of(TestKey::App), |apk| {
        apk.test_only = true;
    });
    let unsafe_module = fixture.write("ruku.apk", &unsafe_module);
    let versions = ["--version-code", "7", "--version-name", "7"];
    let all = [&[file.as_str(), &labels, &unsafe_module], &versions[..]].concat();
    let refused = expect_code(fixture.publish(&all).await, 1);
    assert!(refused.contains("tests only"), "{refused}");
    // The run has discarded its drafts, so corrected files can have the same versions.
    let states: Vec<_> = fixture
        .releases()
        .await
        .iter()
        .map(|it| it["state"].clone())
        .collect();
    assert_eq!(states, ["discarded", "discarded", "discarded"]);

    let both = [&[file.as_str(), &labels], &versions[..]].concat();
    let draft = [&both[..], &["--draft", "--json"]].concat();
    let drafts = json_of(fixture.publish(&draft).await);
    assert_eq!(drafts["releases"][1]["release"]["state"], "draft");
    let published = json_of(fixture.publish(&[&both[..], &["--json"]].concat()).await);
    for (index, version_code) in [(0, 240), (1, 7)] {
        let release = &published["releases"][index]["release"];
        assert_eq!(release["state"], "published", "{published}");
        assert_eq!(release["version_code"], version_code);
        assert_eq!(release["id"], drafts["releases"][index]["release"]["id"]);
        assert_eq!(fixture.merchant.read(release).await["state"], "published");
    }
    let again = json_of(fixture.publish(&[&both[..], &["--json"]].concat()).await);
    assert_eq!(
        again["releases"][0]["release"]["updated_at"],
        published["releases"][0]["release"]["updated_at"]
    );
}

async fn a_dry_run_sends_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let file = fixture.write("app.apk", &apk(PACKAGE, 240));
    let tenant = TENANT.to_string();
    let arguments = [file.as_str(), "--dry-run", "--json", "--tenant", &tenant];
    let planned = json_of(publish_with(fixture.directory.path(), &arguments, &[]).await);
    assert_eq!(
        planned["releases"][0]["release"]["artifact"],
        sha256(&apk(PACKAGE, 240))
    );
    assert_eq!(fixture.releases().await, [] as [Value; 0]);
}

async fn a_connection_that_breaks_is_retried(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let address: SocketAddr = fixture.app.running.address;
    let target = Arc::new(Mutex::new(Endpoint::Address(address)));
    let proxy = Proxy::start(target).await;
    proxy.set(Mode::Refuse);
    let file = fixture.write("app.apk", &apk(PACKAGE, 240));
    let url = format!("http://127.0.0.1:{}", proxy.port);
    let arguments = [file.as_str(), "--retries", "20"];
    let publish = fixture.publish_at(&url, &arguments);
    let restore = async {
        // The first call has failed after a connection was refused.
        let failing = tokio::net::TcpStream::connect(("127.0.0.1", proxy.port)).await;
        drop(failing);
        proxy.set(Mode::Open);
    };
    let (outcome, ()) = tokio::join!(publish, restore);
    outcome.expect_success();
    assert_eq!(fixture.releases().await[0]["state"], "published");
}

async fn an_external_file_is_read_by_the_client(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/builds/app.apk", listener.local_addr().unwrap());
    let serve = tokio::spawn(serve_file(listener, bytes.clone()));
    fixture.publish(&["--url", &url]).await.expect_success();
    let release = fixture.releases().await.remove(0);
    let expected = json!({"origin": "external", "download_url": url, "size": bytes.len(),
        "sha256": sha256(&bytes), "version_name": "2.0.240", "state": "published"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&release[field], value, "{field}");
    }
    serve.abort();
    expect_code(
        fixture
            .publish(&["--url", "http://127.0.0.1:1/a.apk", "--retries", "0"])
            .await,
        3,
    );
}

/// Answers every connection with the file.
async fn serve_file(listener: TcpListener, bytes: Vec<u8>) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            bytes.len()
        );
        let _ = connection.write_all(&[head.as_bytes(), &bytes].concat()).await;
    }
}

async fn a_recalled_release_is_refused(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let file = fixture.write("app.apk", &apk(PACKAGE, 240));
    fixture.publish(&[&file]).await.expect_success();
    let release = fixture.releases().await.remove(0);
    fixture.merchant.recall(&release, "stop").await.expect(200);
    let refused = expect_code(fixture.publish(&[&file]).await, 1);
    assert!(refused.contains("recalled"), "{refused}");
    assert_eq!(
        fixture.merchant.admin.get(&path_of(&release)).await.expect(200)["state"],
        "recalled"
    );
}

on_both_databases!(
    publishing_twice_changes_nothing,
    exit_codes_tell_what_a_pipeline_must_do,
    several_files_are_published_together_or_not_at_all,
    a_dry_run_sends_nothing,
    a_connection_that_breaks_is_retried,
    an_external_file_is_read_by_the_client,
    a_recalled_release_is_refused,
);
