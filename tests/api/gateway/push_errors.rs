//! Errors of a push, byte for byte in both formats.

use serde_json::{Value, json};

use super::error_rows::{Judge, NOT_PERMITTED, Row, plain};
use super::fixture::{ALIPAY_CONTEXT, DEVICE_CHECK, TIMESTAMP, fixture, push_call, push_req};
use slipway::services::PermitClass;
use slipway_domain::catalog::ids::TenantId;

use crate::api::harness::{Answer, CHECK, PUSH, TENANT, TopCall, TopClient};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Checks an error in JSON and in XML.
async fn expect(client: &TopClient, call: &TopCall, expected: Row<'_>) {
    let mut judge = Judge::default();
    judge.judge_json(&client.send(call).await, expected);
    judge.judge_xml(&client.send(&call.clone().without("format")).await, expected);
}

async fn missing(client: &TopClient, call: &TopCall, name: &str) {
    let expected = Row {
        code: 40,
        msg: &format!("Missing required arguments:{name}"),
        sub_code: &format!("isv.missing-parameter:{name}"),
        sub_msg: &format!("{name} is required"),
    };
    expect(client, call, expected).await;
}

async fn invalid(client: &TopClient, call: &TopCall, name: &str, why: &str) {
    let expected = Row {
        code: 41,
        msg: &format!("Invalid arguments:{name}"),
        sub_code: &format!("isv.invalid-parameter:{name}"),
        sub_msg: why,
    };
    expect(client, call, expected).await;
}

async fn arguments_that_are_missing_or_wrong_are_named(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let call = push_call(&operator, &push_req(&["A"], json!({})));
    for name in ["alipay_context", "req"] {
        missing(&operator, &call.clone().without(name), name).await;
        missing(&operator, &call.clone().with(name, " "), name).await;
        for text in ["[]", "null", "\"{}\"", "{", "x", "{}1"] {
            let why = format!("{name}: not a JSON object");
            invalid(&operator, &call.clone().with(name, text), name, &why).await;
        }
    }
    // Of several missing arguments, the first on the page is reported.
    missing(
        &operator,
        &call.clone().without("req").without("alipay_context"),
        "alipay_context",
    )
    .await;
    let context = r#"{"havanaId":"","loginId":5}"#;
    let why = "alipay_context.loginId must be a text, not a number";
    invalid(
        &operator,
        &call.clone().with("alipay_context", context),
        "alipay_context.loginId",
        why,
    )
    .await;

    let with_req = |other: Value| call.clone().with("req", &push_req(&["A"], other));
    missing(
        &operator,
        &with_req(json!({"target_info": null})),
        "req.target_info",
    )
    .await;
    missing(&operator, &with_req(json!({"action": ""})), "req.action").await;
    missing(
        &operator,
        &with_req(json!({"package_push_info": {"pack_url": "a:b", "app_type": "t"}})),
        "req.package_push_info.app_id",
    )
    .await;
    let one = json!([{"hardware_id": "A", "project_id": "stores"}, {"hardware_id": "A"}]);
    missing(
        &operator,
        &with_req(json!({"target_info": one})),
        "req.target_info[1].project_id",
    )
    .await;
    for (other, name, why) in [
        (
            json!({"target_info": ["uuid"]}),
            "req.target_info[0]",
            r#"req.target_info[0] must be a device such as {"hardware_id":"111","project_id":"projectId"}, not a text"#,
        ),
        (
            json!({"target_info": []}),
            "req.target_info",
            "req.target_info must name 1 to 1000 devices, not 0; a device that is named again counts once",
        ),
        (
            json!({"trace_id": 11111}),
            "req.trace_id",
            "req.trace_id must be a text, not a number",
        ),
        (
            json!({"source_url": "x".repeat(2_049)}),
            "req.source_url",
            "req.source_url must be 1 to 2048 characters long, not 2049",
        ),
    ] {
        invalid(&operator, &with_req(other), name, why).await;
    }
    let many: Vec<_> = (0..1_001)
        .map(|id| json!({"hardware_id": id.to_string(), "project_id": "stores"}))
        .collect();
    let why =
        "req.target_info must name 1 to 1000 devices, not 1001; a device that is named again counts once";
    invalid(
        &operator,
        &with_req(json!({"target_info": many})),
        "req.target_info",
        why,
    )
    .await;
    // A missing argument is reported before a wrong one.
    missing(
        &operator,
        &with_req(json!({"trace_id": 5, "action": null})),
        "req.action",
    )
    .await;
    assert_eq!(fixture.pushes().await, [Value::Null; 0]);
}

async fn a_push_takes_no_parameter_that_it_does_not_know(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let call = push_call(&operator, &push_req(&["A"], json!({})));
    for name in ["device_id", "tenant_id", "a", "zz", "Req", "", "sign2"] {
        let why = format!("{PUSH} takes no parameter {name}");
        for value in ["1", ""] {
            invalid(&operator, &call.clone().with(name, value), name, &why).await;
        }
    }
    let why =
        "session holds the name of another parameter and a value for it, so the signature has two readings";
    for value in ["1simplifytrue", "1target_app_key2"] {
        invalid(&operator, &call.clone().with("session", value), "session", why).await;
    }
    assert_eq!(fixture.pushes().await, [Value::Null; 0]);
}

async fn only_operators_of_a_tenant_that_is_not_disabled_push(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let req = push_req(&["A"], json!({}));
    // The role is checked before the arguments.
    expect(&fixture.client, &push_call(&fixture.client, &req), NOT_PERMITTED).await;
    expect(
        &fixture.client,
        &fixture.client.call(PUSH, TIMESTAMP, &[]),
        NOT_PERMITTED,
    )
    .await;
    let check = operator
        .send(&operator.call(CHECK, TIMESTAMP, &DEVICE_CHECK))
        .await;
    assert_eq!(
        check.body["wdk_rexout_resource_list_check_response"]["succeed"],
        "true"
    );

    let platform = fixture.app.platform_admin().await;
    let path = format!("/api/v1/tenants/{TENANT}");
    platform
        .patch(&path, &json!({"enabled": false}))
        .await
        .expect(200);
    expect(&operator, &push_call(&operator, &req), NOT_PERMITTED).await;
    let wrong = operator.call(
        PUSH,
        TIMESTAMP,
        &[("alipay_context", ALIPAY_CONTEXT), ("req", "x")],
    );
    invalid(&operator, &wrong, "req", "req: not a JSON object").await;
    platform.patch(&path, &json!({"enabled": true})).await.expect(200);
    assert_eq!(fixture.pushes().await, [Value::Null; 0]);
}

/// Returns the first number that is a word of its own.
fn seconds_of(text: &str) -> u64 {
    text.split(' ').find_map(|word| word.parse().ok()).unwrap()
}

/// A node at its limit of expensive calls is not the caller's error. Clients repeat such a call automatically.
async fn a_node_that_is_busy_asks_to_be_called_again(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let call = push_call(&operator, &push_req(&["A"], json!({})));
    let permits = &fixture.app.running.context.workload().permits;
    let class = PermitClass::Device(TenantId::parse(TENANT).unwrap());
    let held: Vec<_> = std::iter::from_fn(|| permits.acquire(class, 0).ok()).collect();
    for (form, judge) in [
        ("json", Judge::judge_json as fn(&mut Judge, &Answer, Row<'_>)),
        ("xml", Judge::judge_xml),
    ] {
        let answer = operator.send(&call.clone().with("format", form)).await;
        let seconds = seconds_of(&answer.text);
        assert!((1..=8).contains(&seconds), "{seconds}");
        let why = format!("too many calls are under way; repeat the request in {seconds} seconds");
        let expected = Row {
            sub_code: "isp.top-remote-service-unavailable",
            sub_msg: &why,
            ..plain(15, "Remote service error")
        };
        judge(&mut Judge::default(), &answer, expected);
    }
    drop(held);
    let taken = operator.send(&call).await;
    assert_eq!(
        taken.body["yunos_miniapp_offlinepkg_push_response"]["result"]["success"],
        true
    );
}

on_both_databases!(
    a_node_that_is_busy_asks_to_be_called_again,
    arguments_that_are_missing_or_wrong_are_named,
    a_push_takes_no_parameter_that_it_does_not_know,
    only_operators_of_a_tenant_that_is_not_disabled_push,
);
