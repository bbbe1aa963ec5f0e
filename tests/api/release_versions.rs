//! Versions of a resource: each exists once, and their names are in the order of their codes.

use serde_json::{Value, json};

use super::harness::{CHUKU, PACKAGE, TestApp, every_item, in_app, path_of, release_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn the_same_version_again_is_the_stored_release(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let draft = merchant.draft(CHUKU, 240).await;
    let again = merchant.create(&release_fields(CHUKU, 240)).await;
    assert_eq!(again.expect(200), draft);

    let differing = json!({"version_name": "9.9.9", "size": 1, "md5": format!("{:032X}", 240),
        "mandatory": true, "rollout": {"percent": 5}});
    let again = merchant
        .create(&with(release_fields(CHUKU, 240), differing))
        .await
        .expect(200);
    assert_eq!(
        again["ignored"],
        json!(["version_name", "mandatory", "rollout", "size"])
    );
    assert_eq!(with(again, json!({"ignored": []})), draft);
    assert_eq!(
        every_item(&merchant.admin, &in_app("/releases?limit=9"))
            .await
            .len(),
        1
    );
}

async fn another_digest_of_a_version_is_a_conflict_in_every_state(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.draft(CHUKU, 240).await;
    let other = with(release_fields(CHUKU, 240), json!({"md5": "f".repeat(32)}));
    let recall = json!({"mode": "stop", "reason": "a test"});
    for (verb, arguments) in [
        ("publish", json!({})),
        ("pause", json!({})),
        ("recall", recall.clone()),
        ("recall", recall),
    ] {
        for publish in [false, true] {
            let other = with(other.clone(), json!({"publish": publish}));
            merchant.create(&other).await.problem(409, "version_conflict");
        }
        merchant.take(&release, verb, &arguments).await.expect(200);
    }
}

async fn sha256_counts_where_both_have_one(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let sha256 = |digit: &str| json!({"sha256": digit.repeat(64)});
    let create =
        async |version: i64, own: Value| merchant.create(&with(release_fields(CHUKU, version), own)).await;
    create(1, sha256("a")).await.expect(201);
    assert_eq!(create(1, sha256("A")).await.expect(200)["ignored"], json!([]));
    create(1, sha256("b")).await.problem(409, "version_conflict");

    create(2, json!({})).await.expect(201);
    let again = create(2, sha256("a")).await.expect(200);
    assert_eq!(again["ignored"], json!(["sha256"]));
    assert_eq!(again["sha256"], Value::Null);
}

async fn creating_with_publish_publishes_the_draft_that_is_there(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let draft = merchant.draft(CHUKU, 240).await;
    let fields = with(release_fields(CHUKU, 240), json!({"publish": true}));
    let published = merchant.create(&fields).await;
    assert!(!published.header("slipway-revision").is_empty());
    let published = published.expect(200);
    assert_eq!(published["id"], draft["id"]);
    assert_eq!(published["state"], "published");
    assert_eq!(merchant.offered(0).await, [240]);
    // A repetition, and one without publish, leave the release as it is.
    for fields in [&fields, &release_fields(CHUKU, 240)] {
        assert_eq!(merchant.create(fields).await.expect(200), published);
    }
}

async fn creating_with_publish_does_not_revive_a_halted_release(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let fields = with(release_fields(CHUKU, 240), json!({"publish": true}));
    merchant.take(&release, "pause", &json!({})).await.expect(200);
    merchant.create(&fields).await.problem(409, "wrong_state");
    assert_eq!(
        merchant.create(&release_fields(CHUKU, 240)).await.expect(200)["state"],
        "paused"
    );
    merchant.recall(&release, "stop").await.expect(200);
    merchant.create(&fields).await.problem(409, "wrong_state");
    assert_eq!(merchant.offered(0).await, [0; 0]);
}

async fn a_discarded_draft_frees_its_version(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let draft = merchant.draft(CHUKU, 240).await;
    merchant.take(&draft, "discard", &json!({})).await.expect(200);
    let other_bytes = json!({"md5": "f".repeat(32), "publish": true});
    let made = merchant
        .create(&with(release_fields(CHUKU, 240), other_bytes))
        .await
        .expect(201);
    assert_ne!(made["id"], draft["id"]);
    assert_eq!(merchant.read(&draft).await["state"], "discarded");
    assert_eq!(merchant.offered(0).await, [240]);
}

async fn versions_of_two_resources_do_not_meet(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 240).await;
    let other = with(release_fields(PACKAGE, 240), json!({"md5": "f".repeat(32)}));
    merchant.create(&other).await.expect(201);
}

async fn a_draft_cannot_take_a_version_that_is_there(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 240).await;
    let draft = merchant.draft(CHUKU, 241).await;
    let refused = merchant
        .admin
        .patch(&path_of(&draft), &json!({"version_code": 240}))
        .await;
    refused.problem(409, "version_conflict");
    assert_eq!(merchant.read(&draft).await["version_code"], 241);
}

async fn of_two_creates_at_once_one_makes_the_version(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let other = with(release_fields(CHUKU, 240), json!({"md5": "f".repeat(32)}));
    let fields = release_fields(CHUKU, 240);
    let (a, b) = tokio::join!(merchant.create(&fields), merchant.create(&other));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", a.text, b.text);
    assert_eq!(
        every_item(&merchant.admin, &in_app("/releases?limit=9"))
            .await
            .len(),
        2
    );
}

async fn names_that_contradict_the_codes_are_not_published(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let named = |version: i64, name: &str, publish: bool| {
        let own = json!({"version_name": name, "publish": publish});
        with(release_fields(CHUKU, version), own)
    };
    merchant.create(&named(240, "1.1.10", true)).await.expect(201);
    // A draft may have any name. Publishing it is refused.
    let draft = merchant.create(&named(241, "1.1.9", false)).await.expect(201);
    let refused = merchant.take(&draft, "publish", &json!({})).await;
    let problem = refused.problem(409, "version_conflict");
    assert!(problem["detail"].as_str().unwrap().contains("\"force\": true"));
    let refused = merchant.create(&named(239, "2.0.0", true)).await;
    refused.problem(409, "version_conflict");
    let refused = merchant.create(&named(241, "1.1.9", true)).await;
    refused.problem(409, "version_conflict");
    assert_eq!(merchant.offered(0).await, [240]);
    assert_eq!(merchant.read(&draft).await["state"], "draft");
    // The refused release was not created.
    assert_eq!(
        every_item(&merchant.admin, &in_app("/releases?limit=9"))
            .await
            .len(),
        2
    );

    for (version, name) in [(242, "1.1.10"), (243, "build 7"), (238, "1.1.9")] {
        merchant.create(&named(version, name, true)).await.expect(201);
    }
}

async fn names_that_contradict_the_codes_are_published_with_force(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let older_name = |version: i64| json!({"version_name": "0.0.1", "version_code": version});
    merchant.published(CHUKU, 240).await;
    let draft = merchant
        .create(&with(release_fields(CHUKU, 241), older_name(241)))
        .await
        .expect(201);
    let force = json!({"force": true});
    merchant.take(&draft, "publish", &force).await.expect(200);
    assert_eq!(merchant.offered(0).await, [241]);
    let forced = with(older_name(242), json!({"force": true, "version_name": "0.0.0"}));
    merchant.published_with(CHUKU, 242, forced).await;
    assert_eq!(merchant.offered(0).await, [242]);
}

async fn names_of_recalled_releases_do_not_count_and_of_paused_ones_do(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant
        .published_with(CHUKU, 240, json!({"version_name": "5.0.0"}))
        .await;
    let newer = with(
        release_fields(CHUKU, 241),
        json!({"version_name": "4.0.0", "publish": true}),
    );
    merchant.take(&release, "pause", &json!({})).await.expect(200);
    merchant.create(&newer).await.problem(409, "version_conflict");
    merchant.recall(&release, "stop").await.expect(200);
    merchant.create(&newer).await.expect(201);
}

on_both_databases!(
    the_same_version_again_is_the_stored_release,
    another_digest_of_a_version_is_a_conflict_in_every_state,
    sha256_counts_where_both_have_one,
    creating_with_publish_publishes_the_draft_that_is_there,
    creating_with_publish_does_not_revive_a_halted_release,
    a_discarded_draft_frees_its_version,
    versions_of_two_resources_do_not_meet,
    a_draft_cannot_take_a_version_that_is_there,
    of_two_creates_at_once_one_makes_the_version,
    names_that_contradict_the_codes_are_not_published,
    names_that_contradict_the_codes_are_published_with_force,
    names_of_recalled_releases_do_not_count_and_of_paused_ones_do,
);
