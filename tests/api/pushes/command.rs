//! `slipway push` as an operator runs it: the program against a server. Only on SQLite, because the command uses no
//! database.

use std::process::Command;

use serde_json::Value;
use slipway::clock::{Clock, SystemClock};
use slipway::storage::push_targets;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{PushId, TenantId};
use slipway_domain::catalog::push::Acknowledgement;
use slipway_domain::catalog::text::{DeviceId, PushDetail};

use crate::api::harness::{Caller, Merchant, TENANT, TestApp, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;

/// Output of the program and its exit code.
struct CommandOutput {
    code: Option<i32>,
    output: String,
    errors: String,
}

async fn run(token: &str, arguments: Vec<String>) -> CommandOutput {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command
        .env_clear()
        .env("SLIPWAY_TOKEN", token)
        .arg("push")
        .args(arguments);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = run.await.unwrap();
    let shown = CommandOutput {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!(shown.output.clone() + &shown.errors).contains(token));
    shown
}

/// Returns the usual arguments followed by these.
fn arguments(url: &str, more: &[&str]) -> Vec<String> {
    let tenant = TENANT.to_string();
    let usual = [
        "--url",
        url,
        "--tenant",
        &tenant,
        "--app-id",
        "111",
        "--pack-url",
        "scheme://pkg",
    ];
    usual.iter().chain(more).map(|text| (*text).to_owned()).collect()
}

async fn stage() -> (TestApp, Merchant, Caller) {
    let app = TestApp::start_by_system_clock(TestDatabase::sqlite().await).await;
    let merchant = app.merchant().await;
    let pipeline = app.pipeline(&merchant.admin, "publisher").await;
    merchant.know(&["A", "B@1"]).await;
    (app, merchant, pipeline)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_sent_and_shown() {
    let (app, merchant, pipeline) = stage().await;
    let more = [
        "--device",
        "A@stores",
        "--device",
        "B@1@stores",
        "--trace-id",
        "t",
        "--source-url",
        "http://",
    ];
    for _ in 0..2 {
        let shown = run(pipeline.token(), arguments(&app.url, &more)).await;
        assert_eq!(shown.code, Some(0), "{}", shown.errors);
        let lines: Vec<_> = shown.output.lines().collect();
        assert!(
            lines[0].starts_with("push ") && lines[0].contains(", expires "),
            "{}",
            lines[0]
        );
        assert!(lines[1].ends_with("  A  queued"), "{}", lines[1]);
        assert!(lines[2].ends_with("  B@1  queued"), "{}", lines[2]);
    }
    let pushes = every_item(&merchant.admin, &in_tenant("/pushes?limit=9")).await;
    assert_eq!(pushes.len(), 1);
    let push = &pushes[0];
    for (member, value) in [
        ("trace_id", "t"),
        ("action", "preview"),
        ("app_type", "tinyApp"),
        ("source_url", "http://"),
    ] {
        assert_eq!(push[member], value, "{member}");
    }
}

/// Acknowledges a push as the device.
async fn acknowledge(app: &TestApp, push: &Value, device: &str, said: Acknowledgement) {
    let id: PushId = push["id"].as_str().unwrap().parse().unwrap();
    let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
    let detail = Some(PushDetail::parse("it said\nso").unwrap());
    let device = DeviceId::parse(device).unwrap();
    let tx = app.database.db.begin().await.unwrap();
    push_targets::acknowledge(&tx, scope, &device, id, said, detail, SystemClock.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn wait_for(said: Acknowledgement) -> CommandOutput {
    let (app, merchant, pipeline) = stage().await;
    let more = ["--device", "A@stores", "--device", "B@1@stores", "--wait"];
    let running = tokio::spawn({
        let (token, arguments) = (pipeline.token().to_owned(), arguments(&app.url, &more));
        async move { run(&token, arguments).await }
    });
    let list = in_tenant("/pushes");
    let list = merchant
        .admin
        .get_once(&list, |list| !list["items"].as_array().unwrap().is_empty())
        .await;
    let push = &list["items"][0];
    acknowledge(&app, push, "A", Acknowledgement::Received).await;
    acknowledge(&app, push, "B@1", said).await;
    running.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_every_device_said_something() {
    let shown = wait_for(Acknowledgement::Applied).await;
    assert_eq!(shown.code, Some(0), "{}", shown.errors);
    assert!(
        shown.output.contains("  A  received  it said so\n"),
        "{}",
        shown.output
    );
    assert!(
        shown.output.contains("  B@1  applied  it said so\n"),
        "{}",
        shown.output
    );
    let failed = wait_for(Acknowledgement::Failed).await;
    assert_eq!(failed.code, Some(1), "{}", failed.output);
    assert!(failed.output.contains("  B@1  failed"), "{}", failed.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_said() {
    let (app, merchant, pipeline) = stage().await;
    let unknown = run(pipeline.token(), arguments(&app.url, &["--device", "C@stores"])).await;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.errors.contains("target_info[0].hardware_id"),
        "{}",
        unknown.errors
    );
    let viewer = app.pipeline(&merchant.admin, "viewer").await;
    let refused = run(viewer.token(), arguments(&app.url, &["--device", "A@stores"])).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors.contains("403"), "{}", refused.errors);
    for more in [&["--device", "A"][..], &["--device", "@stores"], &[]] {
        let shown = run(pipeline.token(), arguments(&app.url, more)).await;
        assert_eq!(shown.code, Some(2), "{more:?}");
    }
}
