//! The table of errors, byte for byte in both formats. Only the request id is replaced.

use serde_json::json;

use super::error_rows::{Judge, NOT_PERMITTED, Row, plain};
use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture};
use crate::api::harness::{Answer, CHECK, TopCall, TopClient, test_config};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const INVALID_FORMAT: Row<'_> = plain(23, "Invalid format");
const INVALID_SIGNATURE: Row<'_> = plain(25, "Invalid signature");
const INVALID_TIMESTAMP: Row<'_> = plain(31, "Invalid timestamp");
const UNAVAILABLE: Row<'_> = plain(10, "Service currently unavailable");
const INVALID_APP_KEY: Row<'_> = Row {
    sub_code: "isv.appkey-not-exists",
    ..plain(29, "Invalid app Key")
};

fn call(fixture: &Fixture) -> TopCall {
    fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK)
}

async fn what_is_missing_from_the_envelope_is_named(database: TestDatabase) {
    let fixture = fixture(database).await;
    let mut judge = Judge::default();
    for (name, expected) in [
        ("method", plain(21, "Missing method")),
        ("app_key", plain(28, "Missing app key")),
        ("v", plain(32, "Missing version")),
        ("timestamp", plain(30, "Missing timestamp")),
    ] {
        judge
            .try_call(&fixture.client, call(&fixture).without(name), expected)
            .await;
        judge
            .try_call(&fixture.client, call(&fixture).with(name, ""), expected)
            .await;
        judge
            .try_call(&fixture.client, call(&fixture).with(name, " \t"), expected)
            .await;
    }
    let unsigned = call(&fixture).with("sign", "");
    judge
        .try_call(&fixture.client, unsigned, plain(24, "Missing signature"))
        .await;
    let nothing = Answer::read(fixture.client.http.get(&fixture.client.url).send().await.unwrap()).await;
    judge.judge_xml(&nothing, plain(21, "Missing method"));
}

async fn what_is_wrong_with_the_envelope_is_told(database: TestDatabase) {
    let fixture = fixture(database).await;
    let mut judge = Judge::default();
    let invalid_version = plain(33, "Invalid version");
    let unsupported_version = plain(34, "Unsupported version");
    let short = &"0".repeat(32);
    let long = &"A".repeat(64);
    for (name, value, expected) in [
        ("app_key", "1", INVALID_APP_KEY),
        ("app_key", "' OR 1=1", INVALID_APP_KEY),
        ("v", "two", invalid_version),
        ("v", "2.0.0", invalid_version),
        ("v", "2,0", invalid_version),
        ("v", "-2.0", invalid_version),
        ("v", "NaN", invalid_version),
        ("v", "2", unsupported_version),
        ("v", "2.00", unsupported_version),
        ("v", "3.0", unsupported_version),
        ("timestamp", "yesterday", INVALID_TIMESTAMP),
        ("timestamp", "2026-03-02 10:10:01", INVALID_TIMESTAMP),
        ("timestamp", "2026-03-02 09:49:59", INVALID_TIMESTAMP),
        ("timestamp", "2026-03-02 02:00:00", INVALID_TIMESTAMP),
        ("timestamp", "1772416200", INVALID_TIMESTAMP),
        ("sign", short, INVALID_SIGNATURE),
        ("sign", long, INVALID_SIGNATURE),
        ("sign", "杭州", INVALID_SIGNATURE),
        ("sign_method", "sha256", INVALID_SIGNATURE),
        ("sign_method", "MD5", INVALID_SIGNATURE),
        ("method", "no.such.method", plain(22, "Invalid method")),
        (
            "method",
            "WDK.rexout.resource.list.check",
            plain(22, "Invalid method"),
        ),
    ] {
        judge
            .try_call(&fixture.client, call(&fixture).with(name, value), expected)
            .await;
    }
    for format in ["yaml", "JSON", "json ", "xml;"] {
        let call = call(&fixture).with("format", format);
        judge.judge_xml(&fixture.client.send(&call).await, INVALID_FORMAT);
        judge.judge_xml(&fixture.client.get(&call).await, INVALID_FORMAT);
    }
    let twice = format!("{}&device_id=PDA002", call(&fixture).form());
    judge.judge_json(&post(&fixture, "", twice).await, INVALID_SIGNATURE);
}

async fn post(fixture: &Fixture, query: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = fixture
        .client
        .http
        .post(format!("{}{query}", fixture.client.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    Answer::read(request.send().await.unwrap()).await
}

async fn verbs_other_than_get_and_post_are_refused(database: TestDatabase) {
    let fixture = fixture(database).await;
    let mut judge = Judge::default();
    let expected = plain(9, "Http action not allowed");
    for verb in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let verb = reqwest::Method::from_bytes(verb.as_bytes()).unwrap();
        let request = |query: &str| {
            let url = format!("{}?{query}", fixture.client.url);
            fixture.client.http.request(verb.clone(), url).send()
        };
        let form = call(&fixture).form();
        judge.judge_json(&Answer::read(request(&form).await.unwrap()).await, expected);
        judge.judge_xml(
            &Answer::read(request("format=xml").await.unwrap()).await,
            expected,
        );
        judge.judge_xml(&Answer::read(request("").await.unwrap()).await, expected);
    }
    let url = fixture.client.url.replace("/rest", "/batch");
    for verb in [reqwest::Method::GET, reqwest::Method::PUT] {
        let answer = fixture.client.http.request(verb, format!("{url}?format=json"));
        judge.judge_json(&Answer::read(answer.send().await.unwrap()).await, expected);
    }
}

async fn text_that_is_no_utf8_is_refused(database: TestDatabase) {
    let fixture = fixture(database).await;
    let mut judge = Judge::default();
    let expected = plain(47, "Invalid encoding");
    let form = call(&fixture).form();
    for bad in ["x=%FF", "%C3%28=x", "device_type=%ED%A0%80"] {
        let body = format!("{form}&{bad}");
        judge.judge_xml(&post(&fixture, "", body.clone()).await, expected);
        judge.judge_json(&post(&fixture, "?format=json", body).await, expected);
        let in_query = post(&fixture, &format!("?{bad}&format=json"), form.clone()).await;
        // An unreadable query has no readable format either.
        judge.judge_xml(&in_query, expected);
    }
    let raw = [form.as_bytes(), b"&x=\xff"].concat();
    judge.judge_xml(&post(&fixture, "", raw).await, expected);
}

async fn a_required_argument_must_be_given(database: TestDatabase) {
    let fixture = fixture(database).await;
    let mut judge = Judge::default();
    for (name, expected) in [
        (
            "package_name",
            Row {
                sub_code: "isv.missing-parameter:package_name",
                sub_msg: "package_name is required",
                ..plain(40, "Missing required arguments:package_name")
            },
        ),
        (
            "version_code",
            Row {
                sub_code: "isv.missing-parameter:version_code",
                sub_msg: "version_code is required",
                ..plain(40, "Missing required arguments:version_code")
            },
        ),
        (
            "device_id",
            Row {
                sub_code: "isv.missing-parameter:device_id",
                sub_msg: "device_id is required",
                ..plain(40, "Missing required arguments:device_id")
            },
        ),
        (
            "tenant_id",
            Row {
                sub_code: "isv.missing-parameter:tenant_id",
                sub_msg: "tenant_id is required",
                ..plain(40, "Missing required arguments:tenant_id")
            },
        ),
    ] {
        judge
            .try_call(&fixture.client, call(&fixture).without(name), expected)
            .await;
        judge
            .try_call(&fixture.client, call(&fixture).with(name, ""), expected)
            .await;
        judge
            .try_call(
                &fixture.client,
                call(&fixture).with(name, " \u{3000}\n"),
                expected,
            )
            .await;
    }
    // Of several errors, the first in the page's table is reported.
    let none = call(&fixture)
        .without("tenant_id")
        .without("device_id")
        .without("package_name");
    let answer = fixture.client.send(&none).await;
    assert_eq!(
        answer.body["error_response"]["msg"],
        "Missing required arguments:package_name"
    );
}

/// Returns parameters with refused values, and the reasons.
fn wrong_values() -> Vec<(&'static str, String, &'static str)> {
    let version = "version_code must be an integer from 0 to 9223372036854775807, as a number or as digits";
    let tenant = "tenant_id must be an integer from 1 to 9223372036854775807, as a number or as digits";
    let device = "device_id must be 1 to 128 characters without control characters";
    let rows = [
        ("version_code", "1.5", version),
        ("version_code", "-1", version),
        ("version_code", "+1", version),
        ("version_code", "1 2", version),
        ("version_code", "0x10", version),
        ("version_code", "9223372036854775808", version),
        ("version_code", "一", version),
        ("tenant_id", "0", tenant),
        ("tenant_id", "hema", tenant),
        ("tenant_id", "10000000.0", tenant),
        ("device_id", "PDA\u{7}001", device),
        (
            "org_info",
            "{",
            "org_info is not valid JSON (EOF while parsing an object at line 1 column 1)",
        ),
        (
            "org_info",
            "5",
            r#"org_info must be an object such as {"l1Code": "HM"} or an array of them, not a number"#,
        ),
        (
            "org_info",
            r#"["HM"]"#,
            r#"org_info must list memberships such as {"l1Code": "HM"}, not a text"#,
        ),
        (
            "old_versions",
            "HM",
            "old_versions is not valid JSON (expected value at line 1 column 1)",
        ),
        (
            "old_versions",
            "true",
            "old_versions must be an object or an array of entries, not a boolean",
        ),
        (
            "old_versions",
            r#"{"a":"x"}"#,
            "old_versions needs a version of a that is an integer from 0 to 9223372036854775807, as a number or as digits",
        ),
        (
            "attributes",
            "[1]",
            "attributes must be an object of scalars, not an array",
        ),
        (
            "attributes",
            r#"{"a":[]}"#,
            "attributes needs a scalar as a, not an array",
        ),
        (
            "attributes",
            "{} {}",
            "attributes is not valid JSON (trailing characters at line 1 column 4)",
        ),
        (
            "device_id",
            "1device_type2",
            "device_id holds the name of another parameter and a value for it, so the signature has two readings",
        ),
        (
            "package_name",
            "com.a.bsimplifytrue",
            "package_name holds the name of another parameter and a value for it, so the signature has two readings",
        ),
    ];
    let mut all: Vec<_> = rows
        .map(|(name, value, why)| (name, value.to_owned(), why))
        .into();
    all.push(("device_id", "x".repeat(129), device));
    all
}

async fn a_wrong_argument_is_named_with_the_reason(database: TestDatabase) {
    let fixture = fixture(database).await;
    let mut judge = Judge::default();
    for (name, value, why) in wrong_values() {
        let expected = Row {
            code: 41,
            msg: format!("Invalid arguments:{name}").leak(),
            sub_code: format!("isv.invalid-parameter:{name}").leak(),
            sub_msg: why,
        };
        judge
            .try_call(&fixture.client, call(&fixture).with(name, &value), expected)
            .await;
    }
    let large = call(&fixture).with("old_versions", &format!("{{\"a\":\"{}\"}}", "1".repeat(65_536)));
    let expected = Row {
        sub_code: "isv.invalid-parameter:old_versions",
        sub_msg: "old_versions is 65544 bytes; at most 65536 are read",
        ..plain(41, "Invalid arguments:old_versions")
    };
    judge.judge_json(&fixture.client.send(&large).await, expected);
}

/// Answers do not reveal which tenants exist.
async fn foreign_unknown_and_disabled_tenants_look_alike(database: TestDatabase) {
    let fixture = fixture(database).await;
    let platform = fixture.app.platform_admin().await;
    for tenant in [77, 78] {
        let body = json!({"id": tenant, "name": "another"});
        platform.post("/api/v1/tenants", &body).await.expect(201);
    }
    let of_disabled = fixture.app.top_client(&platform, 78, "device").await;
    let disabled = json!({"enabled": false});
    platform.patch("/api/v1/tenants/78", &disabled).await.expect(200);
    let mut judge = Judge::default();
    for tenant in ["77", "78", "79", "9223372036854775807"] {
        let call = call(&fixture).with("tenant_id", tenant);
        judge.try_call(&fixture.client, call, NOT_PERMITTED).await;
    }
    for tenant in ["77", "78", "79"] {
        let call = of_disabled
            .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
            .with("tenant_id", tenant);
        judge.try_call(&of_disabled, call, NOT_PERMITTED).await;
    }
}

/// A key may belong to a tenant that this node has not been able to read, so it must not be reported as unknown.
async fn a_key_of_an_unread_tenant_is_not_called_unknown(database: TestDatabase) {
    let fixture = fixture(database).await;
    let platform = fixture.app.platform_admin().await;
    let body = json!({"id": 77, "name": "another"});
    platform.post("/api/v1/tenants", &body).await.expect(201);
    let readable = fixture.app.top_client(&platform, 77, "device").await;
    spoil_releases(&fixture.app.database.url).await;
    let config = test_config(&fixture.app.database.url);
    let start = crate::api::harness::start(fixture.app.clock.clone());
    let node = slipway::app::start(&config, start).await.unwrap();
    let at_node = |client: &TopClient| TopClient {
        url: format!("http://{}/router/rest", node.address),
        ..client.clone()
    };
    let mut judge = Judge::default();
    let client = at_node(&fixture.client);
    judge.try_call(&client, call(&fixture), UNAVAILABLE).await;
    judge
        .try_call(&client, call(&fixture).with("app_key", "1"), UNAVAILABLE)
        .await;
    // Other tenants are not affected.
    let readable = at_node(&readable);
    let call = readable
        .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
        .with("tenant_id", "77");
    let answer = readable.send(&call).await;
    assert_eq!(
        answer.body["wdk_rexout_resource_list_check_response"]["msg_code"],
        "APP_UNKNOWN"
    );
    judge
        .try_call(&readable, call.with("sign", "00"), INVALID_SIGNATURE)
        .await;
    // After all tenants have been read, a nonexistent key is unknown.
    let unknown = fixture
        .client
        .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
        .with("app_key", "1");
    judge.try_call(&fixture.client, unknown, INVALID_APP_KEY).await;
}

async fn spoil_releases(url: &str) {
    use sea_orm::ConnectionTrait;
    let connection = sea_orm::Database::connect(url).await.unwrap();
    connection
        .execute_unprepared("UPDATE releases SET md5 = 'none'")
        .await
        .unwrap();
}

on_both_databases!(
    what_is_missing_from_the_envelope_is_named,
    what_is_wrong_with_the_envelope_is_told,
    verbs_other_than_get_and_post_are_refused,
    text_that_is_no_utf8_is_refused,
    a_required_argument_must_be_given,
    a_wrong_argument_is_named_with_the_reason,
    foreign_unknown_and_disabled_tenants_look_alike,
    a_key_of_an_unread_tenant_is_not_called_unknown,
);
