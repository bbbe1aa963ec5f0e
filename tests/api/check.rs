//! The native check: permitted callers, and the format of the answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{
    Answer, CHUKU, Merchant, PACKAGE, TENANT, TestApp, check_fields, in_app, in_tenant, path_of, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn an_offer_has_every_field_and_none_is_null(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let answer = merchant.device.post("/v1/check", &check_fields()).await;
    assert_eq!(answer.header("slipway-stale"), "");
    let mut answer = answer.expect(200);
    let after_s = answer.as_object_mut().unwrap().remove("next_check_after_s");
    assert!(after_s.unwrap().is_u64());
    let offer = json!({
        "config_json": "{}", "download_url": format!("https://files.example/{CHUKU}/240.bin"), "status": 1,
        "qrcode": "", "size": 1_000, "update_desc": "", "version_code": 240, "version_name": "1.0.240",
        "icon_url": "", "md5": format!("{:032x}", 240), "auto_install": false, "app_name": "An app",
        "package_name": PACKAGE, "old_package_name": "", "identifier": CHUKU, "sha256": "",
    });
    assert_eq!(
        answer,
        json!({"data": [offer], "succeed": true, "msg_code": "", "msg_info": ""})
    );
}

async fn the_app_itself_comes_first_and_the_rest_by_identifier(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for identifier in ["b", "a", "B", PACKAGE, "a-b"] {
        merchant.published(identifier, 60).await;
    }
    let offers = merchant.offers(&json!({})).await;
    let order: Vec<_> = offers
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| offer["identifier"].as_str().unwrap())
        .collect();
    assert_eq!(order, [PACKAGE, "B", "a", "a-b", "b"]);
}

async fn an_icon_falls_back_to_the_apps(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    for (path, icon) in [
        (in_app(""), "https://files.example/app.png"),
        (path_of(&release), "https://files.example/own.png"),
    ] {
        let changes = json!({"icon_url": icon});
        merchant.admin.patch(&path, &changes).await.expect(200);
        assert_eq!(merchant.offers(&json!({})).await[0]["icon_url"], icon);
    }
}

async fn devices_are_told_to_ask_again_within_a_tenth_of_the_interval(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let intervals = async || {
        let mut intervals = Vec::new();
        for number in 0..40 {
            let check = with(check_fields(), json!({"device_id": format!("PDA{number}")}));
            let answer = merchant.device.post("/v1/check", &check).await.expect(200);
            intervals.push(answer["next_check_after_s"].as_u64().unwrap());
        }
        intervals
    };
    let without_offer = intervals().await;
    assert!(
        without_offer
            .iter()
            .all(|after_s| (3_240..=3_960).contains(after_s))
    );
    assert!(without_offer.iter().any(|after_s| *after_s != without_offer[0]));
    assert_eq!(intervals().await, without_offer);
    merchant.published(CHUKU, 240).await;
    let with_offer = intervals().await;
    assert!(with_offer.iter().all(|after_s| (270..=330).contains(after_s)));
}

async fn only_a_device_key_may_ask(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let key = merchant
        .admin
        .post(&in_tenant("/device-keys"), &json!({"name": "x"}))
        .await
        .expect(201);
    let key = key["device_key"].as_str().unwrap();
    let (named, secret) = key.rsplit_once('_').unwrap();
    let of_another_tenant = key.replace(&TENANT.to_string(), "20000000");
    app.bearer(key)
        .post("/v1/check", &check_fields())
        .await
        .expect(200);
    let token = app.pipeline(&merchant.admin, "admin").await;
    let wrong_keys = [
        format!("{named}_{}", secret.replace(|c: char| c.is_ascii_digit(), "f")),
        named.to_owned(),
        of_another_tenant,
        "x".to_owned(),
    ];
    let wrong_keys = wrong_keys.iter().map(|wrong| app.bearer(wrong));
    for caller in wrong_keys.chain([app.anyone(), merchant.admin.clone(), token]) {
        let refused = caller.post("/v1/check", &check_fields()).await;
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        refused.problem(401, "unauthenticated");
    }
}

async fn an_unknown_app_is_a_success_that_says_so(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for unknown in ["com.other", "no identifier at all", "x"] {
        let check = with(check_fields(), json!({"package_name": unknown}));
        let answer = merchant.device.post("/v1/check", &check).await.expect(200);
        assert_eq!(answer["succeed"], true);
        assert_eq!(answer["data"], json!([]));
        assert_eq!(answer["msg_code"], "APP_UNKNOWN");
        assert!(answer["msg_info"].as_str().unwrap().contains(unknown));
    }
}

async fn a_tenant_that_is_switched_off_offers_nothing(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    for (enabled, offered) in [(false, vec![]), (true, vec![240])] {
        let switch = json!({"offers_enabled": enabled});
        platform.patch(&in_tenant(""), &switch).await.expect(200);
        assert_eq!(merchant.offered(0).await, offered);
        let answer = merchant.device.post("/v1/check", &check_fields()).await;
        assert_eq!(answer.expect(200)["msg_code"], "");
    }
}

async fn unknown_disabled_and_foreign_tenants_are_one_answer(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let merchant = app.merchant().await;
    app.tenant_admin(20_000_000).await;
    let claim = async |tenant: Value| {
        let check = with(check_fields(), json!({"tenant_id": tenant}));
        merchant.device.post("/v1/check", &check).await
    };
    for own in [json!(TENANT), json!(TENANT.to_string()), Value::Null] {
        claim(own).await.expect(200);
    }
    let unknown = claim(json!(77)).await;
    let foreign = claim(json!(20_000_000)).await;
    let disable = json!({"enabled": false});
    platform
        .patch("/api/v1/tenants/20000000", &disable)
        .await
        .expect(200);
    let foreign_disabled = claim(json!("20000000")).await;
    platform.patch(&in_tenant(""), &disable).await.expect(200);
    let own_disabled = claim(json!(TENANT)).await;
    let unnamed_disabled = claim(Value::Null).await;
    for answer in [foreign, foreign_disabled, own_disabled, unnamed_disabled] {
        assert_eq!((answer.status, &answer.text), (403, &unknown.text));
    }
    unknown.problem(403, "permission_denied");
    platform
        .patch(&in_tenant(""), &json!({"enabled": true}))
        .await
        .expect(200);
    claim(json!(TENANT)).await.expect(200);
}

async fn wrong_fields_are_all_named_and_further_ones_ignored(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let wrong = json!({"package_name": " ", "version_code": -1, "device_id": "a\nb", "tenant_id": "x",
        "old_versions": [{"versionCode": 1}], "more": 1});
    let refused = merchant.device.post("/v1/check", &wrong).await;
    let mut fields = refused.wrong_fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "device_id",
            "old_versions",
            "package_name",
            "tenant_id",
            "version_code"
        ]
    );
    let more = with(check_fields(), json!({"more": {"and": "more"}}));
    merchant.device.post("/v1/check", &more).await.expect(200);
}

async fn one_reads_ones_own_writes(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for version in 1..=50 {
        merchant.published(CHUKU, version).await;
        assert_eq!(merchant.offered(0).await, [version]);
    }
}

async fn another_node_follows_within_a_moment(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let (node, device) = app.at_another_node(&merchant.device).await;
    let published = merchant.published(CHUKU, 240).await;
    let elsewhere = Merchant {
        admin: merchant.admin.clone(),
        device,
    };
    wait_for(&elsewhere, &[240]).await;
    merchant.take(&published, "pause", &json!({})).await.expect(200);
    wait_for(&elsewhere, &[]).await;
    node.stop().await.unwrap();
}

async fn a_node_without_its_database_answers_from_memory(database: TestDatabase) {
    // The connection of the catalog sync stays open here, so it must not compare after the clock is set.
    let app = TestApp::start_with(database, |config| config.poll_interval_ms = 60_000).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 230).await;
    let part = json!({"rollout": {"percent": 99.99}, "device_ids": ["PDA002"]});
    merchant.published_with(CHUKU, 240, part).await;
    let check = async || merchant.device.post("/v1/check", &check_fields()).await;
    let before = check().await;
    app.running.context.db().clone().close().await.unwrap();
    let during = check().await;
    assert_eq!((during.status, &during.text), (200, &before.text));
    assert_eq!(during.header("slipway-stale"), "");
    let refused: Answer = merchant.admin.get(&in_tenant("/apps")).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(503, "unavailable");
    let ready = app.anyone().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "degraded");
    assert_eq!(ready["database"], "unreachable");

    // After a quarter of an hour the node may have missed a halt, so it holds back partial rollouts.
    app.set_clock("2026-03-02T02:15:01Z");
    let stale = check().await;
    assert_eq!(stale.header("slipway-stale"), "901");
    assert_eq!(stale.expect(200)["data"][0]["version_code"], 230);
    let allow_listed = with(check_fields(), json!({"device_id": "PDA002"}));
    let allow_listed = merchant.device.post("/v1/check", &allow_listed).await;
    assert_eq!(allow_listed.expect(200)["data"][0]["version_code"], 240);
    let ready = app.anyone().get("/readyz").await.expect(200);
    assert_eq!(ready["catalog"]["stale"], true);
}

/// Checks until a device without any version is offered these, for at most two seconds.
async fn wait_for(merchant: &Merchant, offered: &[i64]) {
    for _ in 0..40 {
        if merchant.offered(0).await == offered {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{offered:?} is not offered");
}

on_both_databases!(
    an_offer_has_every_field_and_none_is_null,
    the_app_itself_comes_first_and_the_rest_by_identifier,
    an_icon_falls_back_to_the_apps,
    devices_are_told_to_ask_again_within_a_tenth_of_the_interval,
    only_a_device_key_may_ask,
    an_unknown_app_is_a_success_that_says_so,
    a_tenant_that_is_switched_off_offers_nothing,
    unknown_disabled_and_foreign_tenants_are_one_answer,
    wrong_fields_are_all_named_and_further_ones_ignored,
    one_reads_ones_own_writes,
    another_node_follows_within_a_moment,
    a_node_without_its_database_answers_from_memory,
);
