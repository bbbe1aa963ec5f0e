//! The check that is cheap to repeat: by query parameters, with an entity tag.

use serde_json::{Value, json};

use super::harness::{Answer, CHUKU, Caller, Merchant, PACKAGE, TENANT, TestApp, check_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const PATH: &str = "/v1/check?package_name=com.hema.wms&version_code=50&device_id=PDA001";

/// Repeats a check with the known tag.
async fn again(device: &Caller, path: &str, known: &str) -> Answer {
    let request = device.request(reqwest::Method::GET, path);
    device.send(request.header("If-None-Match", known)).await
}

async fn both_verbs_give_the_same_answer_and_tag(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant
        .published_with(
            CHUKU,
            240,
            json!({"org_scopes": [{"l3Code": "8007"}], "device_types": ["10 013"],
            "attribute_rules": [{"name": "abi", "op": "eq", "value": "arm64+v8a"}]}),
        )
        .await;
    let posted = with(
        check_fields(),
        json!({"device_type": "10 013", "org_info": {"l3Code": "8007"}, "attributes": {"abi": "arm64+v8a"},
            "old_versions": {CHUKU: 239}, "tenant_id": TENANT}),
    );
    let posted = merchant.device.post("/v1/check", &posted).await;
    let queried = merchant
        .device
        .get(&format!(
            "{PATH}&device_type=10+013&org_info=%7B%22l3Code%22%3A%228007%22%7D\
             &attributes=%7B%22abi%22:%22arm64%2Bv8a%22%7D&old_versions=%7B%22{CHUKU}%22%3A239%7D&tenant_id={TENANT}&more=1"
        ))
        .await;
    assert_eq!(posted.status, 200);
    assert_eq!(queried.text, posted.text);
    assert_eq!(queried.body["data"][0]["version_code"], 240);
    assert_eq!(queried.header("etag"), posted.header("etag"));
    assert_eq!(queried.header("cache-control"), "private, no-cache");
    assert_eq!(
        queried.header("slipway-revision"),
        posted.header("slipway-revision")
    );
}

async fn a_known_answer_is_304_until_the_offers_change(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let first = merchant.device.get(PATH).await;
    let tag = first.header("etag").to_owned();
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let answer = again(&merchant.device, PATH, &known).await;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), tag);
        assert!(!answer.header("slipway-revision").is_empty());
    }
    assert_eq!(again(&merchant.device, PATH, "\"other\"").await.status, 200);
    let posted = merchant
        .device
        .call_with(
            ("If-None-Match", &tag),
            reqwest::Method::POST,
            "/v1/check",
            &check_fields(),
        )
        .await;
    assert_eq!(posted.status, 200);

    // A change that does not concern the device keeps the tag.
    let before = first.header("slipway-revision").to_owned();
    merchant
        .published_with("com.hema.wms.other", 3, json!({"device_types": ["another"]}))
        .await;
    let unchanged = again(&merchant.device, PATH, &tag).await;
    assert_eq!(unchanged.status, 304);
    assert_ne!(unchanged.header("slipway-revision"), before);
    merchant.published(CHUKU, 241).await;
    let changed = again(&merchant.device, PATH, &tag).await;
    assert_eq!(changed.expect(200)["data"][0]["version_code"], 241);
}

async fn the_tag_tells_an_unknown_app_from_nothing_to_offer(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let nothing = merchant.device.get(PATH).await;
    let unknown = merchant.device.get(&PATH.replace(PACKAGE, "com.none")).await;
    let names = |answer: &Answer| answer.body["msg_code"].clone();
    assert_eq!(
        (names(&nothing), names(&unknown)),
        (json!(""), json!("APP_UNKNOWN"))
    );
    assert_ne!(nothing.header("etag"), unknown.header("etag"));

    // The tag does not cover the interval to the next check.
    app.set_clock("2026-03-02T07:00:00Z");
    let later = again(&merchant.device, PATH, nothing.header("etag")).await;
    assert_eq!(later.status, 304);
}

async fn two_nodes_give_the_same_tag(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let (node, device) = app.at_another_node(&merchant.device).await;
    let (here, there) = (merchant.device.get(PATH).await, device.get(PATH).await);
    assert_eq!(there.header("etag"), here.header("etag"));
    node.stop().await.unwrap();
}

async fn wrong_parameters_are_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let Merchant { device, .. } = app.merchant().await;
    for (path, fields) in [
        ("/v1/check", vec!["package_name", "version_code", "device_id"]),
        (
            "/v1/check?package_name=a&version_code=1.5&device_id=%20",
            vec!["version_code", "device_id"],
        ),
        (
            "/v1/check?package_name=a&version_code=1&device_id=1&org_info=%7B",
            vec!["org_info"],
        ),
        (
            "/v1/check?package_name=a&version_code=1&device_id=1&tenant_id=x",
            vec!["tenant_id"],
        ),
        (
            "/v1/check?package_name=a&version_code=1&device_id=1&device_id=2",
            vec!["device_id"],
        ),
        ("/v1/check?package_name=%FF", vec!["query"]),
    ] {
        assert_eq!(device.get(path).await.wrong_fields(), fields, "{path}");
    }
    let names: Vec<_> = (0..101).map(|number| format!("x{number}=1")).collect();
    let many = device.get(&format!("/v1/check?{}", names.join("&"))).await;
    assert_eq!(many.wrong_fields(), ["query"]);
    let foreign = device.get(&format!("{PATH}&tenant_id=20000000")).await;
    foreign.problem(403, "permission_denied");
    let nobody: Value = app.anyone().get(PATH).await.problem(401, "unauthenticated");
    assert!(nobody["detail"].as_str().unwrap().contains("slipway_device_"));
}

on_both_databases!(
    both_verbs_give_the_same_answer_and_tag,
    a_known_answer_is_304_until_the_offers_change,
    the_tag_tells_an_unknown_app_from_nothing_to_offer,
    two_nodes_give_the_same_tag,
    wrong_parameters_are_named,
);
