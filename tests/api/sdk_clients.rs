//! Existing clients of the gateway, unmodified from their registries, against the real server: the results and
//! exceptions of each. `tests/run` installs them; the calls are in `tests/sdk_clients`.

mod rolling_restart;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::harness::{CHUKU, Merchant, PACKAGE, TENANT, TestApp, TopClient, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ROOTS: [&str; 2] = [
    "wdk_rexout_resource_list_check_response",
    "yunos_miniapp_offlinepkg_push_response",
];
/// Zone of the gateway's timestamps. Most clients send the local time without a zone.
pub(super) const ZONE: &str = "Asia/Shanghai";

/// A client and one of its ways to send.
struct Sdk {
    name: &'static str,
    /// Verb for a Node client's `execute`; `None` for Python clients.
    verb: Option<&'static str>,
    /// Name of the exception for an error.
    raises: &'static str,
    prints_local_time: bool,
}

const SDKS: [Sdk; 7] = [
    Sdk {
        name: "taobaopy",
        verb: None,
        raises: "TaoBaoAPIError",
        prints_local_time: true,
    },
    Sdk {
        name: "py-taobao-open",
        verb: None,
        raises: "TopException",
        prints_local_time: false,
    },
    node("node-taobao-topclient", "POST"),
    node("node-taobao-topclient", "GET"),
    node("topsdk", "POST"),
    // A GET with a body.
    node("topsdk", "GET"),
    // Multipart.
    node("topsdk", "FILE_UPLOAD"),
];

const fn node(name: &'static str, verb: &'static str) -> Sdk {
    Sdk {
        name,
        verb: Some(verb),
        raises: "TOPClientError",
        prints_local_time: true,
    }
}

impl Sdk {
    /// Makes the calls. Returns the result or exception of each, in the order of [`CALLS`].
    async fn run(&self, url: &str, client: &TopClient, zone: &str) -> Vec<Value> {
        let mut command = self.command(url);
        command.args([&client.app_key, &client.secret]).env("TZ", zone);
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = run.await.unwrap();
        assert!(output.status.success(), "{self}: {output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let outcomes: Vec<Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let names: Vec<_> = outcomes.iter().map(|outcome| &outcome["call"]).collect();
        assert_eq!(names, CALLS, "{self}");
        outcomes
    }

    fn command(&self, url: &str) -> Command {
        let installed = installed();
        let checks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk_clients");
        if let Some(verb) = self.verb {
            let mut command = Command::new("node");
            command.env("NODE_PATH", installed.join("node_modules"));
            command.arg(checks.join("check.js"));
            command.args([self.name, verb, &format!("{url}/router/rest")]);
            command
        } else {
            let mut command = Command::new(installed.join("venv/bin/python"));
            command.arg(checks.join("check.py")).args([self.name, url]);
            command
        }
    }

    /// Returns the client's result, without the root, which some clients strip.
    fn answer<'a>(&self, outcome: &'a Value) -> &'a Value {
        let answer = &outcome["answer"];
        assert!(answer.is_object(), "{self}: {outcome}");
        let root = ROOTS.iter().find_map(|root| answer.get(root));
        root.unwrap_or(answer)
    }

    fn expect_error(&self, outcome: &Value, code: i64, sub_code: Option<&str>, says: &str) {
        assert_eq!(outcome["raised"], self.raises, "{self}: {outcome}");
        let error = &outcome["error"];
        assert_eq!(error["code"], code, "{self}: {outcome}");
        assert_eq!(error["sub_code"].as_str(), sub_code, "{self}: {outcome}");
        assert!(error["msg"].as_str().unwrap().contains(says), "{self}: {outcome}");
    }
}

impl std::fmt::Display for Sdk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.verb.unwrap_or_default())
    }
}

/// Calls of both check programs.
const CALLS: [&str; 7] = [
    "update",
    "up to date",
    "wrong secret",
    "missing argument",
    "unknown method",
    "push",
    "push to nobody",
];

/// Returns the directory in which `tests/run` installed the clients in the pinned versions.
pub(super) fn installed() -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = project.join("target/sdk-clients");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let pins = ["requirements.txt", "package-lock.json"];
    let wanted: String = pins
        .iter()
        .map(|pin| read(project.join("tests/sdk_clients").join(pin)))
        .collect();
    assert!(
        read(directory.join("installed")) == wanted,
        "the SDK clients of tests/sdk_clients are not installed; run tests/run, which installs them"
    );
    directory
}

/// Starts a server with the system's clock, like the clients.
async fn stage(database: TestDatabase) -> (TestApp, Merchant, TopClient) {
    let app = TestApp::start_by_system_clock(database).await;
    let merchant = app.merchant().await;
    let client = app.top_client(&merchant.admin, TENANT, "operator").await;
    merchant.know(&["PDA001"]).await;
    (app, merchant, client)
}

/// Publishes a release that applies only if the device's texts arrive unchanged.
async fn publish_for_the_device(merchant: &Merchant) {
    let own = json!({
        "update_desc": "修复 <bug> & \"更快\" 🚀",
        "config_json": {"printer": "zebra"},
        "org_scopes": [{"l1Code": "HM"}],
        "attribute_rules": [
            {"name": "store", "op": "eq", "value": "杭州 1+1"},
            {"name": "note", "op": "eq", "value": "🚀&=%"},
        ],
    });
    merchant.published_with(CHUKU, 240, own).await;
}

fn offer() -> Value {
    json!({
        "config_json": "{\"printer\":\"zebra\"}",
        "download_url": format!("https://files.example/{CHUKU}/240.bin"),
        "status": 1,
        "qrcode": "",
        "size": 1_000,
        "update_desc": "修复 <bug> & \"更快\" 🚀",
        "version_code": 240,
        "version_name": "1.0.240",
        "icon_url": "",
        "md5": format!("{:032x}", 240),
        "auto_install": false,
        "app_name": "An app",
        "package_name": PACKAGE,
        "old_package_name": "",
        "identifier": CHUKU,
    })
}

async fn every_client_reads_what_is_answered(database: TestDatabase) {
    let (app, merchant, client) = stage(database).await;
    publish_for_the_device(&merchant).await;
    for sdk in &SDKS {
        let outcomes = sdk.run(&app.url, &client, ZONE).await;
        let update = sdk.answer(&outcomes[0]);
        assert_eq!(update["data"]["d_t_o"], json!([offer()]), "{sdk}: {update}");
        assert_eq!(update["succeed"], "true", "{sdk}: {update}");

        let up_to_date = sdk.answer(&outcomes[1]);
        assert_eq!(up_to_date["data"], json!({}), "{sdk}: {up_to_date}");
        assert_eq!(up_to_date["succeed"], "true", "{sdk}: {up_to_date}");

        sdk.expect_error(&outcomes[2], 25, None, "Invalid signature");
        let missing = "isv.missing-parameter:device_id";
        sdk.expect_error(
            &outcomes[3],
            40,
            Some(missing),
            "Missing required arguments:device_id",
        );
        sdk.expect_error(&outcomes[4], 22, None, "Invalid method");

        let pushed = sdk.answer(&outcomes[5]);
        let success =
            json!({"result": true, "success": true, "result_code": "200", "result_msg": "请求成功"});
        assert_eq!(pushed["result"], success, "{sdk}: {pushed}");
        let to_nobody = sdk.answer(&outcomes[6]);
        assert_eq!(to_nobody["result"]["success"], false, "{sdk}: {to_nobody}");
        assert_eq!(to_nobody["result"]["result_code"], "404", "{sdk}: {to_nobody}");
    }
    let pushes = every_item(&merchant.admin, &in_tenant("/pushes?limit=200")).await;
    assert_eq!(pushes.len(), SDKS.len());
    for push in pushes {
        assert_eq!(push["pack_url"], "scheme://pkg?a=1&b=杭州");
    }
}

on_both_databases!(every_client_reads_what_is_answered);

// The rest tests only the clients, so one database suffices.

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_prints_local_time_needs_the_gateways_zone() {
    let (app, merchant, client) = stage(TestDatabase::sqlite().await).await;
    publish_for_the_device(&merchant).await;
    for sdk in &SDKS {
        let outcomes = sdk.run(&app.url, &client, "UTC").await;
        if sdk.prints_local_time {
            sdk.expect_error(&outcomes[0], 31, None, "Invalid timestamp");
        } else {
            assert_eq!(
                sdk.answer(&outcomes[0])["data"]["d_t_o"],
                json!([offer()]),
                "{sdk}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_codes_beyond_javascripts_integers_are_rounded_or_texts_there() {
    const BEYOND: i64 = (1 << 53) + 1;
    let (app, merchant, client) = stage(TestDatabase::sqlite().await).await;
    merchant.published(CHUKU, BEYOND).await;
    for sdk in &SDKS {
        let outcomes = sdk.run(&app.url, &client, ZONE).await;
        let version_code = match sdk.name {
            "node-taobao-topclient" => json!(BEYOND - 1),
            "topsdk" => json!(BEYOND.to_string()),
            _ => json!(BEYOND),
        };
        let update = sdk.answer(&outcomes[0]);
        assert_eq!(update["data"]["d_t_o"][0]["version_code"], version_code, "{sdk}");
    }
}
