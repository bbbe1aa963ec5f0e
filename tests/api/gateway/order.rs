//! Of two errors, the one that is checked first is reported.

use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture, stage_with};
use crate::api::harness::{Answer, CHECK, TopCall, form, percent};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// A request under construction.
#[derive(Clone)]
struct Request {
    verb: reqwest::Method,
    call: TopCall,
    /// Text after the form.
    appended: &'static str,
}

/// A fault: its error code, and a function that adds it to a request.
type Fault = (u16, fn(&mut Request));

fn set(request: &mut Request, name: &str, value: &str) {
    request.call = request.call.clone().with(name, value);
}

fn remove(request: &mut Request, name: &str) {
    request.call = request.call.clone().without(name);
}

/// Faults in the order of their checks.
const FAULTS: &[Fault] = &[
    (9, |request| request.verb = reqwest::Method::PUT),
    (47, |request| request.appended = "&x=%FF"),
    (23, |request| set(request, "format", "yaml")),
    (21, |request| remove(request, "method")),
    (28, |request| remove(request, "app_key")),
    (32, |request| remove(request, "v")),
    (30, |request| remove(request, "timestamp")),
    (24, |request| set(request, "sign", "")),
    (29, |request| set(request, "app_key", "1")),
    (33, |request| set(request, "v", "two")),
    (34, |request| set(request, "v", "3.0")),
    (31, |request| set(request, "timestamp", "2026-03-02 10:10:01")),
    (25, |request| set(request, "sign", "00")),
    (22, |request| set(request, "method", "no.such.method")),
    (7, |request| set(request, "device_id", BUSY)),
    (40, |request| remove(request, "package_name")),
    (41, |request| set(request, "package_name", "com.asimplifytrue")),
    (41, |request| set(request, "version_code", "1.5")),
    (11, |request| set(request, "tenant_id", "77")),
];

/// A device that has used its limit of one call per minute.
const BUSY: &str = "BUSY";

async fn send(fixture: &Fixture, request: Request) -> Answer {
    let signed = request.call.signed_with("");
    let url = format!("{}?format={}", fixture.client.url, percent(&signed["format"]));
    let sent = fixture
        .client
        .http
        .request(request.verb, url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(&signed) + request.appended);
    Answer::read(sent.send().await.unwrap()).await
}

fn code_of(answer: &Answer) -> u16 {
    let text = &answer.text;
    let (_, rest) = text
        .split_once("\"code\":")
        .or_else(|| text.split_once("<code>"))
        .unwrap_or_else(|| panic!("{text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

async fn of_two_faults_the_earlier_one_is_told(database: TestDatabase) {
    let fixture = stage_with(database, |config| config.gateway_calls_per_minute = 1).await;
    let busy = fixture
        .client
        .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
        .with("device_id", BUSY);
    let mut number = 0;
    for (index, (code, earlier)) in FAULTS.iter().enumerate() {
        for (_, later) in &FAULTS[index..] {
            number += 1;
            let call = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
            let mut request = Request {
                verb: reqwest::Method::POST,
                // Each uses its own device, which has not called yet.
                call: call.with("device_id", &format!("PDA{number}")),
                appended: "",
            };
            later(&mut request);
            earlier(&mut request);
            if request.call.params["device_id"] == BUSY {
                // After this call the limit is used up in any case.
                fixture.client.send(&busy).await;
            }
            let answer = send(&fixture, request).await;
            assert_eq!(code_of(&answer), *code, "{number}: {}", answer.text);
        }
    }
}

async fn an_ambiguity_is_told_before_wrong_types(database: TestDatabase) {
    let fixture = fixture(database).await;
    let call = fixture
        .client
        .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
        .with("device_id", "1device_type2")
        .with("tenant_id", "0");
    let answer = fixture.client.send(&call).await;
    assert_eq!(
        answer.body["error_response"]["msg"],
        "Invalid arguments:device_id"
    );
}

on_both_databases!(
    of_two_faults_the_earlier_one_is_told,
    an_ambiguity_is_told_before_wrong_types,
);
