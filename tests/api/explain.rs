//! Explain: the verdict on every release, from the check's own decision.

use serde_json::{Value, json};

use super::harness::{
    CHUKU, Merchant, NOW, PACKAGE, TestApp, check_fields, in_app, in_tenant, release_fields, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn every_release_has_a_verdict_and_the_rule_that_decided_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 1).await;
    merchant.published(CHUKU, 2).await;
    let typed = json!({"device_types": ["10013"]});
    merchant.published_with(CHUKU, 3, typed).await;
    let nobody = json!({"rollout": {"percent": 0}});
    merchant.published_with(CHUKU, 4, nobody).await;
    let paused = merchant.published(CHUKU, 5).await;
    merchant.take(&paused, "pause", &json!({})).await.expect(200);
    let draft = merchant.draft(CHUKU, 6).await;
    let discarded = merchant.draft(CHUKU, 7).await;
    merchant.take(&discarded, "discard", &json!({})).await.expect(200);

    let own = json!({"old_versions": {CHUKU: 1}});
    let explained = explain(&merchant, own).await;
    assert_eq!(explained["at"], NOW);
    let resource = &explained["resources"][0];
    assert_eq!(resource["identifier"], CHUKU);
    assert_eq!(resource["installed"], 1);
    assert_eq!(resource["offer"], 2);
    let verdicts: Vec<_> = releases(resource)
        .map(|release| {
            (
                release["version_code"].as_i64().unwrap(),
                release["verdict"].as_str().unwrap(),
                release["rule"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            (7, "excluded", "state"),
            (6, "excluded", "state"),
            (5, "excluded", "state"),
            (4, "excluded", "rollout"),
            (3, "excluded", "device_type"),
            (2, "offered", "newer"),
            (1, "passed_over", "newer_passes"),
        ]
    );
    assert_eq!(resource["releases"][1]["release_id"], draft["id"]);
    assert!(releases(resource).all(|release| !release["detail"].as_str().unwrap().is_empty()));
}

async fn a_detail_names_the_condition_in_the_words_of_the_release(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let rules = json!([{"name": "ram", "op": "ge", "value": 4}]);
    let conditions = [
        json!({"org_scopes": [{"l1Code": "HM"}], "org_exclusions": [{"l1Code": "HM", "l2Code": "HM-BJ"}]}),
        json!({"device_types": ["10013", "10014"]}),
        json!({"host_version_min": 120}),
        json!({"attribute_rules": rules}),
        json!({"rollout": {"percent": 0, "unit": "l3"}}),
        json!({"rollout": {"percent": 0.01, "unit": "l3"}, "device_ids": ["PDA007"]}),
        json!({"ends_at": "2026-03-01T00:00:00Z"}),
    ];
    for (number, condition) in (1..).zip(conditions) {
        merchant.published_with(CHUKU, number, condition).await;
    }
    let own = json!({"device_type": "10015", "attributes": {"ram": 2},
        "org_info": {"l1Code": "HM", "l2Code": "HM-BJ", "l3Code": "8007"}});
    let explained = explain(&merchant, own).await;
    let details: Vec<_> = releases(&explained["resources"][0])
        .map(|release| release["detail"].as_str().unwrap())
        .collect();
    assert_eq!(
        details,
        [
            "the release is offered until 2026-03-01T00:00:00Z; now is 2026-03-02T02:00:00Z",
            "the release is for 0.01% of stores and 1 listed devices; the device is not among them",
            "the release is for no device; the device is not among them",
            "the release is for devices on which ram ≥ 4; ram was sent as \"2\"",
            "the release is for host version 120 or newer; the host app's version is 50",
            "the release is for types 10013 or 10014; the device has type 10015",
            "the release is for HM except HM-BJ; the device is elsewhere",
        ]
    );
}

async fn explain_names_the_state_of_the_catalog_that_a_check_names(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 1).await;
    let explained = explain(&merchant, json!({})).await;
    let check = merchant.device.post("/v1/check", &check_fields()).await;
    assert_eq!(explained["revision"], check.header("slipway-revision"));
}

async fn explain_can_look_at_another_instant(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let window = json!({"starts_at": "2026-03-10T00:00:00Z", "ends_at": "2026-03-20T00:00:00Z"});
    merchant.published_with(CHUKU, 1, window).await;
    for (at, rule, offer) in [
        (NOW, "starts_at", Value::Null),
        ("2026-03-09T23:59:59.999999Z", "starts_at", Value::Null),
        ("2026-03-10T00:00:00Z", "newer", json!(1)),
        ("2026-03-20T07:59:59+08:00", "newer", json!(1)),
        ("2026-03-20T00:00:00Z", "ends_at", Value::Null),
    ] {
        let explained = explain(&merchant, json!({"at": at})).await;
        let resource = &explained["resources"][0];
        assert_eq!(resource["releases"][0]["rule"], rule, "{at}");
        assert_eq!(resource["offer"], offer, "{at}");
    }
    assert_eq!(merchant.offered(0).await, [0; 0]);
}

async fn explain_agrees_with_the_check_for_many_devices(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    release_a_bit_of_everything(&merchant).await;
    let mut offers = 0;
    for number in 0..80_usize {
        let device = device(number);
        let check = merchant.device.post("/v1/check", &device).await.expect(200);
        let checked: Vec<_> = check["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|offer| (offer["identifier"].clone(), offer["version_code"].clone()))
            .collect();
        let explained = merchant
            .admin
            .post(&in_app("/explain"), &device)
            .await
            .expect(200);
        let resources = explained["resources"].as_array().unwrap();
        let explained: Vec<_> = resources
            .iter()
            .filter(|resource| resource.get("offer").is_some())
            .map(|resource| (resource["identifier"].clone(), resource["offer"].clone()))
            .collect();
        assert_eq!(checked, explained, "{device}");
        for resource in resources {
            let offered = releases(resource).filter(|release| release["verdict"] == "offered");
            let offered: Vec<_> = offered.map(|release| &release["version_code"]).collect();
            assert_eq!(offered, resource.get("offer").into_iter().collect::<Vec<_>>());
        }
        offers += checked.len();
    }
    assert!(
        offers > 40,
        "the devices are offered too little to tell: {offers}"
    );
}

async fn explain_takes_the_paths_package_name(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let ask = async |own: Value| {
        let check = with(check_fields(), own);
        merchant.admin.post(&in_app("/explain"), &check).await
    };
    ask(json!({"package_name": null})).await.expect(200);
    ask(json!({"tenant_id": "10000000"})).await.expect(200);
    let other = ask(json!({"package_name": "com.other"})).await;
    assert_eq!(other.wrong_fields(), ["package_name"]);
    let other = ask(json!({"tenant_id": 20_000_000})).await;
    assert_eq!(other.wrong_fields(), ["tenant_id"]);
    let unknown = in_tenant("/apps/com.other/explain");
    let other = json!({"version_code": 1, "device_id": "x"});
    let other = merchant.admin.post(&unknown, &other).await;
    other.problem(404, "not_found");
    let old = json!({"old_package_names": ["com.old"]});
    merchant.admin.patch(&in_app(""), &old).await.expect(200);
    let check = json!({"version_code": 1, "device_id": "x"});
    let by_old_name = in_tenant("/apps/com.old/explain");
    merchant.admin.post(&by_old_name, &check).await.expect(200);
}

async fn wrong_fields_are_named_as_a_check_names_them(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let nothing = merchant.admin.post(&in_app("/explain"), &json!({})).await;
    let mut fields = nothing.wrong_fields();
    fields.sort();
    assert_eq!(fields, ["device_id", "version_code"]);
    let wrong = json!({"version_code": "50.0", "device_id": 7, "old_versions": "{", "org_info": 5,
        "attributes": {"a": []}, "at": "noon"});
    let refused = merchant.admin.post(&in_app("/explain"), &wrong).await;
    let mut fields = refused.wrong_fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "at",
            "attributes",
            "device_id",
            "old_versions",
            "org_info",
            "version_code"
        ]
    );
    let unknown = with(check_fields(), json!({"now": NOW}));
    let refused = merchant.admin.post(&in_app("/explain"), &unknown).await;
    assert_eq!(refused.wrong_fields(), ["now"]);
}

async fn explain(merchant: &Merchant, own: Value) -> Value {
    let check = with(check_fields(), own);
    merchant.admin.post(&in_app("/explain"), &check).await.expect(200)
}

fn releases(resource: &Value) -> impl Iterator<Item = &Value> {
    resource["releases"].as_array().unwrap().iter()
}

async fn release_a_bit_of_everything(merchant: &Merchant) {
    for (identifier, version, own) in [
        (PACKAGE, 55, json!({})),
        (PACKAGE, 60, json!({"rollout": {"percent": 50}})),
        (CHUKU, 1, json!({"floor": true})),
        (CHUKU, 2, json!({"org_exclusions": [{"l2Code": "HM-SH"}]})),
        (CHUKU, 3, json!({"device_types": ["10013"], "mandatory": true})),
        (CHUKU, 4, json!({"org_scopes": [{"l3Code": "8007"}]})),
        (CHUKU, 5, json!({"rollout": {"percent": 30, "unit": "l3"}})),
        ("config", 1, json!({"host_version_min": 51})),
        (
            "config",
            2,
            json!({"attribute_rules": [{"name": "ram", "op": "ge", "value": 4}]}),
        ),
        ("config", 3, json!({})),
    ] {
        let fields = with(release_fields(identifier, version), own);
        let fields = with(fields, json!({"publish": true}));
        let made = merchant.create(&fields).await.expect(201);
        if (identifier, version) == ("config", 3) {
            merchant.recall(&made, "rollback").await.expect(200);
        }
    }
    let pin = json!({"package_name": PACKAGE, "identifier": CHUKU, "org_path": ["HM", "HM-BJ"],
        "mode": "ceiling", "version_code": 2, "reason": "a test"});
    merchant.admin.put(&in_tenant("/pins"), &pin).await.expect(200);
}

/// Returns one of many devices, all of which differ.
fn device(number: usize) -> Value {
    let pick = |step: usize, of: &[Value]| of[number / step % of.len()].clone();
    json!({
        "package_name": PACKAGE,
        "version_code": pick(1, &[json!(0), json!(50), json!(55), json!(60)]),
        "device_id": format!("PDA{number}"),
        "device_type": pick(2, &[json!(null), json!("10013")]),
        "org_info": pick(3, &[json!(null), json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}),
            json!({"l1Code": "HM", "l2Code": "HM-BJ", "l3Code": "9001"})]),
        "old_versions": pick(5, &[json!({}), json!({CHUKU: 1, "config": 3}), json!({CHUKU: 4, "config": 2})]),
        "attributes": pick(7, &[json!({"ram": 8}), json!({"ram": "2"}), json!({})]),
    })
}

on_both_databases!(
    a_detail_names_the_condition_in_the_words_of_the_release,
    every_release_has_a_verdict_and_the_rule_that_decided_it,
    explain_names_the_state_of_the_catalog_that_a_check_names,
    explain_can_look_at_another_instant,
    explain_agrees_with_the_check_for_many_devices,
    explain_takes_the_paths_package_name,
    wrong_fields_are_named_as_a_check_names_them,
);
