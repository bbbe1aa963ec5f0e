//! Screenshots of the documentation, made from the demo. `tests/browser/screenshots` runs this and compresses them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Client;
use serde_json::{Value, json};
use slipway_test_support::program;

use super::tab::{NARROW, Tab};

const TENANT: &str = "/console/tenants/10000000";
const APP: &str = "com.freshmart.handheld";
/// The enrolled device of the demo.
const DEVICE: &str = "FM8007PDA001";
/// Number of further devices that check.
const DEVICES: usize = 48;

/// A running demo, and its output.
struct Demo {
    process: Child,
    url: String,
    password: String,
    device_key: String,
}

impl Demo {
    fn start() -> Self {
        let mut process = Command::new(program::path())
            .arg("demo")
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (mut url, mut password, mut device_key) = (String::new(), String::new(), String::new());
        for line in output.lines().map_while(Result::ok) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["Slipway", "is", "running", "at", address, ..] => (*address).clone_into(&mut url),
                ["administrator", _, "/", word] => (*word).clone_into(&mut password),
                ["device", "key", key] => {
                    (*key).clone_into(&mut device_key);
                    break;
                }
                _ => {}
            }
        }
        Self {
            process,
            url,
            password,
            device_key,
        }
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let request = Client::new().post(format!("{}{path}", self.url)).json(body);
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.unwrap()
    }

    /// Enrols a device and returns its token.
    async fn enrol(&self, device: &str) -> String {
        let itself = json!({"device_id": device, "project_id": "handhelds"});
        let enrolled = self.post("/v1/devices", &self.device_key, &itself).await;
        enrolled["device_token"].as_str().unwrap().to_owned()
    }

    /// Sends checks of devices of three stores, most of them with older versions.
    async fn let_devices_check(&self) {
        let stores = [("FM-EAST", "8007"), ("FM-EAST", "8011"), ("FM-NORTH", "9001")];
        for number in 0..DEVICES {
            let (region, store) = stores[number % stores.len()];
            let check = json!({
                "package_name": APP,
                "version_code": if number.is_multiple_of(3) { 120 } else { 121 },
                "device_id": format!("FM{store}PDA{:03}", number / stores.len() + 1),
                "device_type": if number.is_multiple_of(4) { "10021" } else { "10013" },
                "old_versions": modules(number),
                "org_info": {"l1Code": "FM", "l2Code": region, "l3Code": store},
            });
            self.post("/v1/check", &self.device_key, &check).await;
        }
    }
}

/// Returns the modules that a device has installed.
fn modules(number: usize) -> Value {
    let receiving = [42, 41, 41, 41, 40][number % 5];
    let stocktaking = [30, 31, 30, 30, 29][number % 5];
    let mut installed = serde_json::Map::new();
    installed.insert(format!("{APP}.receiving"), json!(receiving));
    installed.insert(format!("{APP}.stocktaking"), json!(stocktaking));
    if number.is_multiple_of(2) {
        installed.insert(format!("{APP}.labels"), json!(7));
    }
    Value::Object(installed)
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the directory of the screenshots. They are compressed afterwards.
fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/pictures");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/browser/screenshots"]
async fn the_pictures_of_the_documentation_are_made() {
    let demo = Demo::start();
    demo.let_devices_check().await;
    let tab = Tab::signed_in(&demo.url, "admin", &demo.password).await;
    tab.set_zone("Asia/Shanghai").await;
    tab.hide_scrollbars().await;
    let directory = directory();
    let take = async |name: &str| tab.screenshot(&directory.join(format!("{name}.png"))).await;
    tab.set_width(1280).await;

    tab.go(&format!("{TENANT}/apps/{APP}")).await;
    tab.reload_until(".stack").await;
    take("app").await;
    tab.go(TENANT).await;
    take("overview").await;
    explain(&tab).await;
    take("why").await;

    tab.set_dark(true).await;
    publish(&tab).await;
    take("release").await;
    push(&demo, &tab).await;
    take("push").await;

    tab.set_dark(false).await;
    tab.set_width(NARROW).await;
    tab.set_languages("zh-CN").await;
    tab.go(TENANT).await;
    take("narrow").await;
    tab.close().await;
}

/// Opens the explanation of a device, and scrolls to the answer.
async fn explain(tab: &Tab) {
    tab.go(&format!("{TENANT}/devices/{DEVICE}")).await;
    tab.submit("check-com\\.freshmart\\.handheld").await;
    tab.run("document.getElementById('explanation').scrollIntoView()")
        .await;
}

/// Publishes a release to a quarter of the stores of a region.
async fn publish(tab: &Tab) {
    tab.go(&format!("{TENANT}/apps/{APP}/releases/new")).await;
    for (field, value) in [
        ("identifier", "com.freshmart.handheld.receiving"),
        ("version_code", "43"),
        ("version_name", "1.5.1"),
        ("download_url", "https://files.freshmart.example/receiving/43.bin"),
        ("size", "1043000"),
        ("md5", "0cc175b9c0f1b6a831c399e269772661"),
        ("update_desc", "Receiving by pallet, with fewer taps"),
        ("rollout-percent", "25"),
        ("org_scopes", "FM"),
        ("org_exclusions", "FM/FM-NORTH"),
        ("device_types", "10013"),
    ] {
        tab.fill(&format!("#release-{field}"), value).await;
    }
    tab.choose("#release-rollout-unit", "l3").await;
    tab.click("#release-publish").await;
    tab.submit("release").await;
}

/// Pushes a package to devices. All but the last acknowledge it.
async fn push(demo: &Demo, tab: &Tab) {
    let states = [
        ("FM8011PDA001", "applied"),
        ("FM8011PDA002", "applied"),
        ("FM8011PDA003", "received"),
        ("FM9001PDA001", "failed"),
        ("FM9001PDA002", ""),
    ];
    let mut tokens = Vec::new();
    for (device, _) in states {
        tokens.push(demo.enrol(device).await);
    }
    let devices = states.map(|(device, _)| format!("{device}@handhelds"));
    tab.go(&format!("{TENANT}/pushes")).await;
    tab.disclose("push").await;
    for (field, value) in [
        ("target_info", devices.join("\n").as_str()),
        (
            "package_push_info-pack_url",
            "https://files.freshmart.example/shelf-labels.zip",
        ),
        ("package_push_info-app_id", "2021001"),
        ("action", "install"),
        ("trace_id", "build-4711"),
    ] {
        tab.fill(&format!("#push-{field}"), value).await;
    }
    tab.submit("push").await;
    let page = tab.path().await;
    let push = page.rsplit('/').next().unwrap();
    for ((device, state), token) in states.iter().zip(&tokens) {
        if !state.is_empty() {
            let path = format!("/v1/devices/{device}/pushes/{push}/ack");
            demo.post(&path, token, &json!({ "state": state })).await;
        }
    }
    tab.expect_soon("#targets", "failed").await;
}
