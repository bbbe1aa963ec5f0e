//! The life of a release: publish, pause, resume, discard, recall, rollout.

use serde_json::{Value, json};

use super::harness::{Answer, CHUKU, Merchant, PACKAGE, TestApp, check_fields, in_app, path_of};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const VERBS: [&str; 7] = [
    "publish", "pause", "resume", "discard", "stop", "rollback", "removal",
];
/// State after each action; `-` is a refusal.
const LIFE: [(&str, [&str; 7]); 5] = [
    ("draft", ["published", "-", "-", "discarded", "-", "-", "-"]),
    (
        "published",
        [
            "published",
            "paused",
            "published",
            "-",
            "recalled",
            "recalled",
            "recalled",
        ],
    ),
    (
        "paused",
        [
            "-",
            "paused",
            "published",
            "-",
            "recalled",
            "recalled",
            "recalled",
        ],
    ),
    (
        "recalled",
        ["-", "-", "-", "-", "recalled", "recalled", "recalled"],
    ),
    ("discarded", ["-", "-", "-", "discarded", "-", "-", "-"]),
];

async fn every_verb_in_every_state(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let mut version = 0;
    for (state, outcomes) in LIFE {
        for (verb, outcome) in VERBS.into_iter().zip(outcomes) {
            version += 1;
            let release = release_in(&merchant, state, version).await;
            let answer = step(&merchant, &release, verb).await;
            if outcome == "-" {
                answer.problem(409, "wrong_state");
                assert_eq!(merchant.read(&release).await["state"], state, "{state} {verb}");
            } else {
                let now = answer.expect(200);
                assert_eq!(now["state"], outcome, "{state} {verb}");
                assert_eq!(merchant.read(&release).await, now);
            }
        }
    }
}

async fn a_verb_that_was_taken_already_changes_nothing(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for (version, state, verb) in [
        (1, "published", "publish"),
        (2, "published", "resume"),
        (3, "paused", "pause"),
        (4, "discarded", "discard"),
        (5, "recalled", "stop"),
    ] {
        let release = release_in(&merchant, state, version).await;
        let before = merchant.admin.get(&path_of(&release)).await;
        let served = merchant.device.post("/v1/check", &check_fields()).await;
        app.set_clock(&format!("2026-03-02T02:0{version}:00Z"));
        let again = step(&merchant, &release, verb).await;
        assert_eq!(again.header("etag"), before.header("etag"), "{verb}");
        assert_eq!(
            again.header("slipway-revision"),
            served.header("slipway-revision")
        );
        assert_eq!(again.expect(200), before.expect(200), "{verb}");
    }
}

async fn pausing_stops_new_offers_and_resuming_brings_them_back(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 230).await;
    let release = merchant.published(CHUKU, 240).await;
    step(&merchant, &release, "pause").await.expect(200);
    assert_eq!(merchant.offered(0).await, [230]);
    assert_eq!(merchant.offered(240).await, [0; 0]);
    step(&merchant, &release, "resume").await.expect(200);
    assert_eq!(merchant.offered(0).await, [240]);
}

async fn a_stopped_release_is_offered_no_more_and_stays_installed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 230).await;
    let release = merchant.published(CHUKU, 240).await;
    step(&merchant, &release, "stop").await.expect(200);
    assert_eq!(merchant.offered(0).await, [230]);
    assert_eq!(merchant.offered(240).await, [0; 0]);
}

async fn a_rolled_back_release_is_replaced_by_the_one_below(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 230).await;
    let release = merchant.published(CHUKU, 240).await;
    let recalled = step(&merchant, &release, "rollback").await.expect(200);
    assert_eq!(recalled["recall_mode"], "rollback");
    assert_eq!(recalled["recall_reason"], "it crashes at the till");
    let offers = merchant.offers(&json!({CHUKU: 240})).await;
    assert_eq!(offers[0]["version_code"], 230);
    assert_eq!(offers[0]["uninstall_type"], 1);
    assert_eq!(offers[0]["status"], 1);
    let fresh = merchant.offers(&json!({})).await;
    assert_eq!(fresh[0].get("uninstall_type"), None);
}

async fn a_removed_release_is_taken_off_the_devices_that_have_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    step(&merchant, &release, "removal").await.expect(200);
    assert_eq!(merchant.offered(0).await, [0; 0]);
    let offers = merchant.offers(&json!({CHUKU: 240})).await;
    assert_eq!(offers[0]["status"], 0);
    assert_eq!(offers[0]["download_url"], "");
    assert_eq!(offers[0]["version_code"], 240);
}

async fn a_recalled_release_may_be_recalled_in_another_mode(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 230).await;
    let release = merchant.published(CHUKU, 240).await;
    for (mode, offered) in [("stop", vec![]), ("rollback", vec![230]), ("stop", vec![])] {
        let again = json!({"mode": mode, "reason": format!("now {mode}")});
        let recalled = merchant.take(&release, "recall", &again).await.expect(200);
        assert_eq!(recalled["recall_mode"], mode);
        assert_eq!(recalled["recall_reason"], format!("now {mode}"));
        assert_eq!(merchant.offered(240).await, offered);
    }
}

async fn a_recall_says_how_and_why(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    for (arguments, wrong) in [
        (json!({}), vec!["mode", "reason"]),
        (json!({"mode": "undo", "reason": " "}), vec!["mode", "reason"]),
        (json!({"mode": "stop", "reason": "x".repeat(501)}), vec!["reason"]),
        (
            json!({"mode": "stop", "reason": "x", "force": true}),
            vec!["force"],
        ),
    ] {
        let refused = merchant.take(&release, "recall", &arguments).await;
        assert_eq!(refused.wrong_fields(), wrong);
    }
    assert_eq!(merchant.read(&release).await["state"], "published");
}

async fn rolling_an_apk_back_is_refused_with_what_to_do(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let the_app_itself = merchant.published(PACKAGE, 60).await;
    let a_part = merchant.published(CHUKU, 240).await;
    let kind = json!({"kind": "apk"});
    let resource = in_app(&format!("/resources/{CHUKU}"));
    merchant.admin.patch(&resource, &kind).await.expect(200);
    for release in [the_app_itself, a_part] {
        let refused = step(&merchant, &release, "rollback").await;
        let problem = refused.problem(409, "wrong_state");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("higher version_code")
        );
        assert_eq!(merchant.read(&release).await["state"], "published");
        step(&merchant, &release, "removal").await.expect(200);
    }
}

async fn setting_the_rollout_keeps_what_is_left_out(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let path = format!("{}/rollout", path_of(&release));
    for (given, rollout) in [
        (
            json!({"percent": 12.5, "key": "spring", "unit": "l3"}),
            json!({"percent": 12.5, "key": "spring", "unit": "l3"}),
        ),
        (
            json!({"percent": 0.01}),
            json!({"percent": 0.01, "key": "spring", "unit": "l3"}),
        ),
        (
            json!({"key": null}),
            json!({"percent": 0.01, "key": null, "unit": "l3"}),
        ),
        (
            json!({"unit": "device", "percent": 100}),
            json!({"percent": 100, "key": null, "unit": "device"}),
        ),
    ] {
        let set = merchant.admin.put(&path, &given).await.expect(200);
        assert_eq!(set["rollout"], rollout);
        assert_eq!(merchant.read(&release).await["rollout"], rollout);
    }
}

async fn wrong_rollouts_are_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let path = format!("{}/rollout", path_of(&release));
    for (given, wrong) in [
        (json!({}), "percent"),
        (json!({"percent": 12.345}), "percent"),
        (json!({"percent": -1}), "percent"),
        (json!({"percent": 100.01}), "percent"),
        (json!({"percent": "5"}), "percent"),
        (json!({"percent": null}), "percent"),
        (json!({"unit": "l6"}), "unit"),
        (json!({"key": ""}), "key"),
        (json!({"share": 5}), "share"),
    ] {
        let refused = merchant.admin.put(&path, &given).await;
        assert_eq!(refused.wrong_fields(), [wrong], "{given}");
    }
}

async fn raising_the_share_only_adds_devices(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let path = format!("{}/rollout", path_of(&release));
    let mut reached = Vec::new();
    for percent in [0, 20, 60, 100] {
        let set = merchant.admin.put(&path, &json!({"percent": percent})).await;
        set.expect(200);
        let mut now = Vec::new();
        for number in 0..40 {
            let check =
                json!({"package_name": PACKAGE, "version_code": 50, "device_id": format!("PDA{number}")});
            let answer = merchant.device.post("/v1/check", &check).await.expect(200);
            if answer["data"] != json!([]) {
                now.push(number);
            }
        }
        assert!(reached.iter().all(|device| now.contains(device)), "{percent}");
        reached = now;
    }
    assert_eq!(reached.len(), 40);
}

/// Creates a release with this version in this state.
async fn release_in(merchant: &Merchant, state: &str, version_code: i64) -> Value {
    let release = merchant.draft(CHUKU, version_code).await;
    let verbs: &[&str] = match state {
        "published" => &["publish"],
        "paused" => &["publish", "pause"],
        "recalled" => &["publish", "stop"],
        "discarded" => &["discard"],
        _ => &[],
    };
    for verb in verbs {
        step(merchant, &release, verb).await.expect(200);
    }
    release
}

/// Performs an action, or a recall in this mode.
async fn step(merchant: &Merchant, release: &Value, verb: &str) -> Answer {
    match verb {
        "stop" | "rollback" | "removal" => merchant.recall(release, verb).await,
        _ => merchant.take(release, verb, &json!({})).await,
    }
}

on_both_databases!(
    every_verb_in_every_state,
    a_verb_that_was_taken_already_changes_nothing,
    pausing_stops_new_offers_and_resuming_brings_them_back,
    a_stopped_release_is_offered_no_more_and_stays_installed,
    a_rolled_back_release_is_replaced_by_the_one_below,
    a_removed_release_is_taken_off_the_devices_that_have_it,
    a_recalled_release_may_be_recalled_in_another_mode,
    a_recall_says_how_and_why,
    rolling_an_apk_back_is_refused_with_what_to_do,
    setting_the_rollout_keeps_what_is_left_out,
    wrong_rollouts_are_refused,
    raising_the_share_only_adds_devices,
);
