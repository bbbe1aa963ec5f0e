//! `slipway device` as an integrator runs it: the program against a server. Only on SQLite, because the command uses no
//! database.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::super::harness::{CHUKU, Caller, PACKAGE, in_tenant};
use super::fixture::{Device, Fixture};
use slipway_test_support::database::TestDatabase;

/// Output of the program and its exit code.
struct CommandOutput {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl CommandOutput {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.output, self.errors);
        self
    }
}

/// A device with a file for its token.
struct SimulatedDevice {
    fixture: Fixture,
    directory: TempDir,
}

impl SimulatedDevice {
    async fn set() -> Self {
        Self::on(Fixture::set(TestDatabase::sqlite().await).await)
    }

    fn on(fixture: Fixture) -> Self {
        let directory = TempDir::new().unwrap();
        Self { fixture, directory }
    }

    fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    /// Runs a subcommand for the device `A` with the device key in the environment. The output must not contain the
    /// key.
    async fn run(&self, task: &str, more: &[&str]) -> CommandOutput {
        self.start(task, more).await.unwrap()
    }

    fn start(&self, task: &str, more: &[&str]) -> JoinHandle<CommandOutput> {
        let key = self.fixture.merchant.device.token().to_owned();
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.env_clear().env("SLIPWAY_DEVICE_KEY", &key);
        command.args(["device", task, "--url", &self.fixture.app.url, "--device", "A"]);
        // A failing test must not wait for a device that is still listening.
        command.args(more).kill_on_drop(true);
        tokio::spawn(async move {
            let output = command.output().await.unwrap();
            let shown = CommandOutput {
                code: output.status.code(),
                output: String::from_utf8(output.stdout).unwrap(),
                errors: String::from_utf8(output.stderr).unwrap(),
            };
            assert!(!(shown.output.clone() + &shown.errors).contains(&key));
            shown
        })
    }

    /// Starts a subcommand with the file of the token.
    fn start_with_file(&self, task: &str, more: &[&str]) -> JoinHandle<CommandOutput> {
        let file = self.token_file();
        let arguments = [&["--token-file", file.to_str().unwrap()], more].concat();
        self.start(task, &arguments)
    }

    async fn run_with_file(&self, task: &str, more: &[&str]) -> CommandOutput {
        self.start_with_file(task, more).await.unwrap()
    }

    /// Enrols the device, and returns it for calls by the test.
    async fn enrol(&self) -> Device {
        self.run_with_file("enrol", &["--project", "stores"])
            .await
            .expect(0);
        let caller = self.kept();
        Device {
            id: "A".to_owned(),
            caller,
        }
    }

    /// Returns a caller with the token in the file.
    fn kept(&self) -> Caller {
        let kept = std::fs::read_to_string(self.token_file()).unwrap();
        self.fixture.app.bearer(kept.trim())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_enrols_and_keeps_its_token_to_itself() {
    let played = SimulatedDevice::set().await;
    let first = [
        "--project",
        "stores",
        "--device-type",
        "10013",
        "--org-info",
        r#"{"l3":8007}"#,
    ];
    let shown = played.run_with_file("enrol", &first).await.expect(0);
    let old = played.kept();
    assert!(!shown.output.contains(old.token()));
    let mode = std::fs::metadata(played.token_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let known = played
        .fixture
        .merchant
        .admin
        .get(&in_tenant("/devices/A"))
        .await
        .expect(200);
    assert_eq!(known["device_type"], "10013", "{known}");
    assert_eq!(known["org_info"], json!([{"l3Code": "8007"}]));

    // The stored token identifies the device that enrolled.
    played
        .run_with_file("enrol", &["--project", "stores"])
        .await
        .expect(0);
    assert_ne!(played.kept().token(), old.token());
    played.kept().get("/v1/devices/A/pushes").await.expect(200);
    old.get("/v1/devices/A/pushes")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_lost_its_token_needs_a_code() {
    let played = SimulatedDevice::set().await;
    played.enrol().await;
    std::fs::remove_file(played.token_file()).unwrap();
    let refused = played
        .run_with_file("enrol", &["--project", "stores"])
        .await
        .expect(1);
    assert!(
        refused
            .errors
            .contains("409 Conflict: this device_id is enrolled"),
        "{}",
        refused.errors
    );
    assert!(!played.token_file().exists());
    let path = in_tenant("/devices/A/enrolment-codes");
    let made = played
        .fixture
        .merchant
        .admin
        .post(&path, &json!({}))
        .await
        .expect(201);
    let code = made["enrolment_code"].as_str().unwrap();
    let printed = played
        .run("enrol", &["--project", "stores", "--code", code])
        .await
        .expect(0);
    let caller = played.fixture.app.bearer(printed.output.trim());
    caller.get("/v1/devices/A/pushes").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_made_and_its_answer_shown() {
    let played = SimulatedDevice::set().await;
    played.fixture.merchant.published(CHUKU, 7).await;
    let check = [
        "--package-name",
        PACKAGE,
        "--version-code",
        "50",
        "--old-versions",
        "{}",
    ];
    let by_key: Value = serde_json::from_str(&played.run("check", &check).await.expect(0).output).unwrap();
    assert_eq!(by_key["data"][0]["version_code"], 7);
    assert!(by_key.get("pushes_waiting").is_none());
    played.enrol().await;
    let by_token = played.run_with_file("check", &check).await.expect(0);
    let by_token: Value = serde_json::from_str(&by_token.output).unwrap();
    assert_eq!(
        (&by_token["data"], &by_token["pushes_waiting"]),
        (&by_key["data"], &json!(0))
    );
    let wrong = [
        "--package-name",
        PACKAGE,
        "--version-code",
        "50",
        "--org-info",
        "{",
    ];
    let refused = played.run("check", &wrong).await.expect(1);
    assert!(
        refused.errors.contains("400 Bad Request: org_info"),
        "{}",
        refused.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_are_received_over_either_channel_and_acknowledged() {
    for channel in ["events", "poll"] {
        // Separately, because a stream that has just closed may still receive a push that a poll waits for.
        let played = SimulatedDevice::set().await;
        let device = played.enrol().await;
        let first = played.fixture.push(&[&device]).await;
        let acknowledging = [
            "--acknowledge",
            "received,opened,applied",
            "--detail",
            "shown",
            "--count",
            "2",
        ];
        let listening =
            played.start_with_file("listen", &[&["--channel", channel], &acknowledging[..]].concat());
        // The channel may be recorded after the acknowledgement.
        let is_applied = |target: &Value| target["state"] == "applied" && target["channel"] == channel;
        let target = played.fixture.target_once(&first, &device, is_applied).await;
        assert_eq!(target["detail"], "shown");
        let second = played.fixture.push(&[&device]).await;
        let shown = listening.await.unwrap().expect(0);
        for push in [&first, &second] {
            assert!(
                shown.output.contains(&format!("push {push}  sequence ")),
                "{}",
                shown.output
            );
            for state in ["received", "opened", "applied"] {
                let line = format!("acknowledged {push}  {state}\n");
                assert!(shown.output.contains(&line), "{}", shown.output);
            }
            played.fixture.target_once(push, &device, is_applied).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_comes_again_is_known() {
    let played = SimulatedDevice::on(Fixture::set_impatient(TestDatabase::sqlite().await).await);
    let device = played.enrol().await;
    let first = played.fixture.push(&[&device]).await;
    let listening = played.start_with_file("listen", &["--count", "2"]);
    let came_again = |target: &Value| target["deliveries"].as_i64() >= Some(3);
    played.fixture.target_once(&first, &device, came_again).await;
    played.fixture.push(&[&device]).await;
    let shown = listening.await.unwrap().expect(0);
    let of_first: Vec<_> = shown
        .output
        .lines()
        .filter(|line| line.contains(&first))
        .collect();
    assert_eq!(
        of_first[0],
        format!("push {first}  sequence 1  preview  tinyApp  111  https://files.example/demo.amr")
    );
    assert!(of_first.len() > 1);
    for line in &of_first[1..] {
        assert_eq!(*line, format!("push {first}  sequence 1  again"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ended_is_opened_again_after_what_the_device_has() {
    let played = SimulatedDevice::set().await;
    let device = played.enrol().await;
    let first = played.fixture.push(&[&device]).await;
    let listening = played.start_with_file("listen", &["--count", "2"]);
    let is_delivered = |target: &Value| target["state"] == "delivered";
    played.fixture.target_once(&first, &device, is_delivered).await;
    // The server ends the oldest of too many streams.
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(device.events().await);
    }
    drop(others);
    let second = played.fixture.push(&[&device]).await;
    let shown = listening.await.unwrap().expect(0);
    assert!(
        shown.errors.contains("the stream ended; trying again in "),
        "{}",
        shown.errors
    );
    let lines: Vec<_> = shown.output.lines().collect();
    assert_eq!(lines.len(), 2, "{}", shown.output);
    assert!(
        lines[0].contains(&first) && lines[1].contains(&second),
        "{}",
        shown.output
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_let_in_no_more_stops() {
    let played = SimulatedDevice::set().await;
    let device = played.enrol().await;
    let push = played.fixture.push(&[&device]).await;
    let listening = played.start_with_file("listen", &[]);
    let is_delivered = |target: &Value| target["state"] == "delivered";
    played.fixture.target_once(&push, &device, is_delivered).await;
    let revoked = played
        .fixture
        .merchant
        .admin
        .delete(&in_tenant("/devices/A/token"))
        .await;
    revoked.expect(204);
    let shown = listening.await.unwrap().expect(1);
    assert!(shown.errors.contains("401 Unauthorized"), "{}", shown.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_usage_is_told_apart() {
    let played = SimulatedDevice::set().await;
    for (task, more) in [
        ("listen", &["--count", "1"][..]),
        ("listen", &["--token", "x", "--count", "0"]),
        ("listen", &["--token", "x", "--acknowledge", "delivered"]),
        ("listen", &["--token", "x", "--channel", "pigeon"]),
        ("check", &["--package-name", PACKAGE, "--version-code", "-1"]),
        ("enrol", &[]),
    ] {
        let shown = played.run(task, more).await.expect(2);
        assert!(!shown.errors.is_empty(), "{task} {more:?}");
    }
    let without = played.run_with_file("listen", &[]).await.expect(1);
    assert!(without.errors.contains("enrol it first"), "{}", without.errors);
    let nowhere = ["--project", "stores", "--token-file", "/nowhere/token"];
    let unwritable = played.run("enrol", &nowhere).await.expect(1);
    assert!(
        unwritable.errors.contains("/nowhere/token cannot be written"),
        "{}",
        unwritable.errors
    );
    let known = played.fixture.merchant.admin.get(&in_tenant("/devices/A")).await;
    known.problem(404, "not_found");
}
