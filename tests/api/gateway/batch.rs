//! Several calls in one request.

use serde_json::{Value, json};

use super::fixture::{Fixture, TIMESTAMP, fixture};
use crate::api::harness::{Answer, CHECK, TopCall, percent, xml_to_json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const SEPARATOR: &str = "\r\n-S-\r\n";
const ROOT: &str = "wdk_rexout_resource_list_check_response";

/// Returns a call of a batch, from a device with this installed version.
fn piece(device_id: &str, installed: i64) -> String {
    let old_versions = percent(&json!({"com.hema.wms.chuku": installed}).to_string());
    format!(
        "method={CHECK}&package_name=com.hema.wms&version_code=50&device_id={device_id}&tenant_id=10000000\
         &old_versions={old_versions}"
    )
}

/// Returns the public parameters of a batch.
fn query(fixture: &Fixture) -> TopCall {
    fixture.client.call("", TIMESTAMP, &[]).without("method")
}

async fn send(fixture: &Fixture, body: &str) -> Answer {
    fixture.client.send_batch(&query(fixture), body, None).await
}

/// Returns the result of each call in a batch: the offered version, 0 for none, or the negative error code.
fn outcomes(text: &str, separator: &str) -> Vec<i64> {
    text.split(separator)
        .map(|answer| {
            let answer: Value = serde_json::from_str(answer).unwrap_or_else(|_| panic!("{answer}"));
            match answer["error_response"]["code"].as_i64() {
                Some(code) => -code,
                None => answer[ROOT]["data"]["d_t_o"][0]["version_code"]
                    .as_i64()
                    .unwrap_or(0),
            }
        })
        .collect()
}

async fn answers_stand_in_the_order_of_the_calls(database: TestDatabase) {
    let fixture = fixture(database).await;
    let unknown = piece("a", 1).replace("com.hema.wms&", "com.none&");
    let pieces = [
        piece("a", 1),
        piece("b", 240),
        "method=no.such.method".to_owned(),
        piece("c", 239),
        unknown,
        piece("d", 1).replace("version_code=50", "version_code=x"),
        "a=%FF".to_owned(),
        "method=a&method=a".to_owned(),
        piece("e", 1),
    ];
    let answer = send(&fixture, &pieces.join(SEPARATOR)).await;
    assert_eq!(answer.header("content-type"), "application/json;charset=UTF-8");
    assert_eq!(
        outcomes(&answer.text, SEPARATOR),
        [240, 0, -22, 240, 0, -41, -47, -25, 240]
    );
    let ids: std::collections::HashSet<_> = answer
        .text
        .split("\"request_id\":\"")
        .skip(1)
        .map(|rest| rest[..13].to_owned())
        .collect();
    assert_eq!(ids.len(), pieces.len());
}

/// Clients that split by the separator expect this number of answers.
async fn a_piece_without_parameters_is_a_call_without_a_method(database: TestDatabase) {
    let fixture = fixture(database).await;
    let good = piece("a", 1);
    for (body, expected) in [
        ("N".to_owned(), vec![-21]),
        (String::new(), vec![-21]),
        (format!("{good}{SEPARATOR}N"), vec![240, -21]),
        (format!("N{SEPARATOR}{good}"), vec![-21, 240]),
        (format!("{good}{SEPARATOR}{SEPARATOR}{good}"), vec![240, -21, 240]),
        (format!("{good}{SEPARATOR}"), vec![240, -21]),
        (format!("{good}&x=N"), vec![240]),
    ] {
        assert_eq!(
            outcomes(&send(&fixture, &body).await.text, SEPARATOR),
            expected,
            "{body}"
        );
    }
}

async fn parameters_can_be_common_to_all_calls(database: TestDatabase) {
    let fixture = fixture(database).await;
    let shared =
        format!("#PUBLIC#method={CHECK}&package_name=com.hema.wms&version_code=50&tenant_id=10000000");
    let body = [
        shared.as_str(),
        "device_id=a",
        "N",
        "device_id=b&package_name=com.none",
        "device_id=c&method=x",
    ];
    let answer = send(&fixture, &body.join(SEPARATOR)).await;
    assert_eq!(outcomes(&answer.text, SEPARATOR), [240, -40, 0, -22]);
    let whole = format!("{shared}&device_id=a{SEPARATOR}N");
    assert_eq!(outcomes(&send(&fixture, &whole).await.text, SEPARATOR), [240]);
    // An empty batch has no answers.
    let nothing = send(&fixture, &shared).await.body;
    assert_eq!(nothing["error_response"]["code"], 21);
}

async fn a_header_replaces_the_separator(database: TestDatabase) {
    let fixture = fixture(database).await;
    let (one, other) = (piece("a", 1), piece("b", 240));
    for body in [format!("{one}-*-{other}"), format!("{one}\r\n-*-\r\n{other}")] {
        let answer = fixture
            .client
            .send_batch(&query(&fixture), &body, Some("-*-"))
            .await;
        assert_eq!(outcomes(&answer.text, "-*-"), [240, 0], "{body}");
    }
    let usual = format!("{one}{SEPARATOR}{other}");
    let answer = fixture
        .client
        .send_batch(&query(&fixture), &usual, Some(""))
        .await;
    assert_eq!(outcomes(&answer.text, SEPARATOR), [240, 0]);
}

async fn a_batch_has_at_most_fifty_calls(database: TestDatabase) {
    let fixture = fixture(database).await;
    let pieces: Vec<_> = (0..51).map(|number| piece(&number.to_string(), 1)).collect();
    let answer = send(&fixture, &pieces[..50].join(SEPARATOR)).await;
    assert_eq!(outcomes(&answer.text, SEPARATOR), [240; 50]);
    let error = &send(&fixture, &pieces.join(SEPARATOR)).await.body["error_response"];
    assert_eq!(
        (&error["code"], &error["msg"]),
        (&json!(43), &json!("Parameter error"))
    );
    assert_eq!(error["sub_msg"], "at most 50 calls are answered in one batch");
    let with_shared = format!("#PUBLIC#a=1{SEPARATOR}{}", pieces[..50].join(SEPARATOR));
    assert_eq!(
        outcomes(&send(&fixture, &with_shared).await.text, SEPARATOR),
        [240; 50]
    );
}

async fn a_failure_before_the_calls_is_one_error(database: TestDatabase) {
    let fixture = fixture(database).await;
    let good = piece("a", 1);
    for (query, code) in [
        (query(&fixture).with("sign", "00"), 25),
        (query(&fixture).without("app_key"), 28),
        (query(&fixture).without("v"), 32),
        (query(&fixture).with("timestamp", "2026-03-02 09:49:59"), 31),
        (query(&fixture).with("app_key", "1"), 29),
    ] {
        let answer = fixture.client.send_batch(&query, &good, None).await;
        assert_eq!(answer.body["error_response"]["code"], code, "{}", answer.text);
    }
    // The signature covers the body too.
    let signed = query(&fixture).signed_with(&good);
    let call = TopCall {
        params: signed,
        ..query(&fixture)
    };
    let moved = good.replace("device_id=a", "device_id=b");
    let answer = fixture.client.send_batch(&call, &moved, None).await;
    assert_eq!(answer.body["error_response"]["code"], 25);

    let url = fixture.client.url.replace("/rest", "/batch") + "?format=json";
    let get = Answer::read(fixture.client.http.get(url).send().await.unwrap()).await;
    assert_eq!(get.status, 200);
    assert_eq!(get.body["error_response"]["code"], 9);
    let bad = send(&fixture, &"x".repeat(1024 * 1024 + 1)).await;
    assert_eq!(bad.body["error_response"]["code"], 43);
}

async fn a_batch_is_answered_in_xml(database: TestDatabase) {
    let fixture = fixture(database).await;
    let body = [piece("a", 1).as_str(), "N"].join(SEPARATOR);
    let query = query(&fixture).without("format");
    let answer = fixture.client.send_batch(&query, &body, None).await;
    assert_eq!(answer.header("content-type"), "text/xml;charset=UTF-8");
    let answers: Vec<_> = answer.text.split(SEPARATOR).map(xml_to_json).collect();
    assert_eq!(answers[0][ROOT]["data"]["d_t_o"][0]["version_code"], "240");
    assert_eq!(answers[1]["error_response"]["code"], "21");
    let simplified = query.with("format", "json").with("simplify", "true");
    let answer = fixture.client.send_batch(&simplified, &piece("a", 1), None).await;
    assert_eq!(answer.body["data"][0]["version_code"], 240);
}

/// In the signed text, the body follows the query. The boundary between them must not move.
async fn the_border_between_query_and_body_is_fixed(database: TestDatabase) {
    let fixture = fixture(database).await;
    let body = piece("a", 1);
    for (name, value) in [
        ("method", CHECK),
        ("version_code", "1"),
        ("device_id", "a"),
        ("session", "v2.0"),
        ("partner_id", "top-sdk-v2.0.1"),
        ("simplify", "v2.0true"),
        ("target_app_key", "1v2.0"),
    ] {
        let refused = fixture
            .client
            .send_batch(&query(&fixture).with(name, value), &body, None)
            .await;
        let error = &refused.body["error_response"];
        assert_eq!(error["code"], 41, "{}", refused.text);
        assert_eq!(error["msg"], format!("Invalid arguments:{name}"));
        // A caller without the secret learns nothing.
        let forged = query(&fixture).with(name, value).with("sign", "00");
        let forged = fixture.client.send_batch(&forged, &body, None).await;
        assert_eq!(forged.body["error_response"]["code"], 25);
    }
    let carried = query(&fixture)
        .with("session", "a session")
        .with("partner_id", "top-sdk-java-20200923")
        .with("target_app_key", "v2");
    let answer = fixture.client.send_batch(&carried, &body, None).await;
    assert_eq!(outcomes(&answer.text, SEPARATOR), [240]);
    // A batch whose text has another boundary: its body starts like the rest of a query.
    let rest = format!("timestamp{TIMESTAMP}v2.0{body}");
    let original = query(&fixture).with("target_app_key", "1");
    let signature = original.signed_with(&rest)["sign"].clone();
    let moved = original
        .with("target_app_key", &format!("1timestamp{TIMESTAMP}v2.0"))
        .with("sign", &signature);
    let answer = fixture.client.send_batch(&moved, &body, None).await;
    let error = &answer.body["error_response"];
    assert_eq!(
        error["msg"], "Invalid arguments:target_app_key",
        "{}",
        answer.text
    );
}

/// The batch is signed with one key, and is answered in one format.
async fn calls_of_a_batch_cannot_bring_their_own_key_or_form(database: TestDatabase) {
    let fixture = fixture(database).await;
    let other = fixture.app.top_client(&fixture.admin, 10_000_000, "device").await;
    let body = format!(
        "{}&app_key={}&format=xml&v=1&sign=00",
        piece("a", 1),
        other.app_key
    );
    assert_eq!(outcomes(&send(&fixture, &body).await.text, SEPARATOR), [240]);
}

on_both_databases!(
    answers_stand_in_the_order_of_the_calls,
    a_piece_without_parameters_is_a_call_without_a_method,
    parameters_can_be_common_to_all_calls,
    a_header_replaces_the_separator,
    a_batch_has_at_most_fifty_calls,
    a_failure_before_the_calls_is_one_error,
    a_batch_is_answered_in_xml,
    the_border_between_query_and_body_is_fixed,
    calls_of_a_batch_cannot_bring_their_own_key_or_form,
);
