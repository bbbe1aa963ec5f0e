//! Of all requests that match one signature, the accepted ones mean the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use slipway_gateway::sign::canonical_text;

use super::cuts::{MILLISECONDS, Reading, is_possible_of_public, meaning, readings};
use super::fixture::{Fixture, TIMESTAMP, fixture};
use crate::api::harness::{CHECK, TopCall, form};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::fuzzing::{FuzzCase, fuzz_cases};

/// Parameters that a check depends on.
const READ: [&str; 15] = [
    "app_key",
    "attributes",
    "device_id",
    "device_type",
    "format",
    "method",
    "old_versions",
    "org_info",
    "package_name",
    "sign_method",
    "simplify",
    "tenant_id",
    "timestamp",
    "v",
    "version_code",
];
/// Parameters that are passed through, and some unknown ones.
const UNREAD: [&str; 7] = [
    "a",
    "foo",
    "name",
    "partner_id",
    "session",
    "target_app_key",
    "zz",
];
const REQUIRED: [&str; 8] = [
    "app_key",
    "device_id",
    "method",
    "package_name",
    "tenant_id",
    "timestamp",
    "v",
    "version_code",
];

/// Generates a plausible value of a parameter.
fn typical(name: &'static str) -> BoxedStrategy<String> {
    let values: &[&str] = match name {
        "attributes" | "old_versions" | "org_info" => &[
            "{}",
            "null",
            "",
            "[]",
            r#""{}""#,
            " {} ",
            r#"{"package_name":"a","version_code":"3"}"#,
            r#"{"device_id":"1","v":"2.0version_code1"}"#,
        ],
        "tenant_id" => &["10000000", " 10000000", "10000000 "],
        "version_code" => &["1", "", " 7 ", "2"],
        "format" => &["json", "xml", "", " "],
        "method" => &[CHECK],
        "sign_method" => &["md5", "hmac", "hmac-sha256", ""],
        "simplify" => &["true", "1", "", "xsimplifytrue"],
        "timestamp" => &[TIMESTAMP, MILLISECONDS],
        "v" => &["2.0"],
        "package_name" => &["com.hema.wms", "com.a"],
        _ => &["", "1", "PDA-07", " ", "2.0", "店"],
    };
    select(values).prop_map(str::to_owned).boxed()
}

/// Generates a text that contains names and values of other parameters.
fn nasty() -> impl Strategy<Value = String> {
    let names: Vec<_> = READ.into_iter().chain(UNREAD).collect();
    let hidden = select(names.clone())
        .prop_flat_map(|name| typical(name).prop_map(move |value| format!("{name}{value}")));
    let torn = (select(names), any::<prop::sample::Index>())
        .prop_map(|(name, at)| name[..at.index(name.len())].to_owned());
    let piece = prop_oneof![
        6 => hidden,
        1 => torn,
        1 => select(vec!["1", "x", "_", "v", "{", "\"", "{}", " ", "id", "2.0", "店"]).prop_map(str::to_owned),
    ];
    vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

/// Generates a value for the original request. It is often valid, so that originals are accepted.
fn value(name: &'static str) -> BoxedStrategy<String> {
    match name {
        "app_key" | "method" | "timestamp" | "v" => typical(name),
        "tenant_id" => prop_oneof![12 => typical(name), 1 => nasty()].boxed(),
        "version_code" | "format" | "attributes" | "old_versions" | "org_info" | "sign_method" => {
            prop_oneof![8 => typical(name), 1 => nasty()].boxed()
        }
        _ => prop_oneof![
            2 => typical(name),
            1 => nasty(),
            2 => (typical(name), nasty()).prop_map(|(start, rest)| start + &rest),
        ]
        .boxed(),
    }
}

/// Generates the parameters of a request, and a flag that is true if its client omits blank ones from the signature.
fn original() -> impl Strategy<Value = (Reading, bool)> {
    let of = |name: &'static str| {
        let value = value(name);
        let value = if REQUIRED.contains(&name) {
            value.prop_map(Some).boxed()
        } else if UNREAD.contains(&name) {
            option::weighted(0.08, value).boxed()
        } else {
            option::of(value).boxed()
        };
        value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let params: Vec<_> = READ.into_iter().chain(UNREAD).map(of).collect();
    let params = params.prop_map(|params| params.into_iter().flatten().collect());
    (params, any::<bool>())
}

/// Returns true if the protocol permits the value. The server may refuse more values, but not fewer.
fn is_possible(app_key: &str, name: &str, value: &str) -> bool {
    if let Some(is_possible) = is_possible_of_public((app_key, CHECK), name, value) {
        return is_possible;
    }
    let blank = value.trim().is_empty();
    match name {
        "tenant_id" | "version_code" => value.trim().parse::<u64>().is_ok(),
        "attributes" | "old_versions" | "org_info" => {
            blank || serde_json::from_str::<serde_json::Value>(value).is_ok()
        }
        "device_id" | "package_name" => !blank,
        _ => true,
    }
}

/// Returns the effective parameters without the signature, which only proves the others.
fn meaning_unsigned(params: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let mut meaning = meaning(params);
    meaning.remove("sign");
    meaning
}
/// Counts of the covered cases, so that the test cannot pass without trying anything.
#[derive(Debug, Default)]
struct Seen {
    accepted_originals: usize,
    refused_originals: usize,
    other_readings: usize,
    accepted_others: usize,
    /// Accepted requests with text in ignored parameters.
    accepted_with_unread: usize,
}

/// One signature, and the requests to try with it.
struct Trial<'a> {
    fixture: &'a Fixture,
    signature: String,
    case: &'a FuzzCase,
}

impl Trial<'_> {
    async fn is_accepted(&self, params: &BTreeMap<String, String>) -> bool {
        let mut signed = params.clone();
        signed.insert("sign".to_owned(), self.signature.clone());
        let call = TopCall {
            params: signed,
            secret: String::new(),
        };
        let answer = self.fixture.client.send(&call).await;
        assert_eq!(
            answer.status,
            200,
            "{}: {}: {}",
            self.case.again(),
            call.form(),
            answer.text
        );
        if answer.text.starts_with('{') {
            answer.body.is_object() && answer.body["error_response"].is_null()
        } else {
            !answer.text.contains("?><error_response>")
        }
    }
}

async fn try_original(fixture: &Fixture, case: &mut FuzzCase, seen: &mut Seen) {
    let (params, leaves_blanks_out) = case.draw(&original());
    let mut params: BTreeMap<_, _> = params.into_iter().collect();
    params.insert("app_key".to_owned(), fixture.client.app_key.clone());
    let is_signed = |value: &String| !leaves_blanks_out || !value.trim().is_empty();
    let signed: BTreeMap<_, _> = params
        .iter()
        .filter(|(_, value)| is_signed(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let borrowed = signed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let text = canonical_text(&borrowed.collect());
    let call = TopCall {
        params: signed,
        secret: fixture.client.secret.clone(),
    };
    let trial = Trial {
        fixture,
        signature: call.signed_with("")["sign"].clone(),
        case,
    };
    judge(&trial, &params, &text, seen).await;
}

async fn judge(trial: &Trial<'_>, original: &BTreeMap<String, String>, text: &str, seen: &mut Seen) {
    let mut accepted = Vec::new();
    if trial.is_accepted(original).await {
        seen.accepted_originals += 1;
        accepted.push(original.clone());
    } else {
        seen.refused_originals += 1;
    }
    for reading in other_readings(&trial.fixture.client.app_key, text) {
        seen.other_readings += 1;
        if &reading != original && trial.is_accepted(&reading).await {
            seen.accepted_others += 1;
            accepted.push(reading);
        }
    }
    let read_alone =
        |params: &&BTreeMap<String, String>| params.keys().all(|name| READ.contains(&name.as_str()));
    let of_read: Vec<_> = accepted.iter().filter(read_alone).collect();
    seen.accepted_with_unread += accepted.len() - of_read.len();
    let meanings: BTreeSet<_> = of_read.iter().map(|params| meaning_unsigned(params)).collect();
    assert!(
        meanings.len() <= 1,
        "{}: one signature, two meanings:\n{}",
        trial.case.again(),
        of_read
            .iter()
            .map(|params| form(params))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

/// Returns all readings of a text that could be answered, some that could not, and the same with additional blank
/// parameters.
fn other_readings(app_key: &str, text: &str) -> Vec<BTreeMap<String, String>> {
    let all: Vec<_> = READ.into_iter().chain(UNREAD).collect();
    let possible = |name: &str, value: &str| is_possible(app_key, name, value);
    let is_complete = |reading: &Reading| {
        let has = |required: &str| reading.iter().any(|(name, _)| name == required);
        REQUIRED.iter().all(|required| has(required))
    };
    let mut found = readings(text, &READ, &possible, 400);
    found.extend(readings(text, &all, &possible, 100));
    found.retain(is_complete);
    found.truncate(200);
    found.extend(readings(text, &all, &|_, _| true, 5));
    let found: BTreeSet<BTreeMap<_, _>> = found
        .into_iter()
        .map(|reading| reading.into_iter().collect())
        .collect();
    let with_blanks = |reading: &BTreeMap<String, String>| {
        let mut reading = reading.clone();
        for name in ["attributes", "device_type", "simplify", "format"] {
            reading.entry(name.to_owned()).or_insert_with(|| " ".to_owned());
        }
        reading
    };
    let blank: Vec<_> = found.iter().map(with_blanks).collect();
    found.into_iter().chain(blank).collect()
}

/// The test does not write to the database, so one kind of database suffices.
#[tokio::test(flavor = "multi_thread")]
async fn of_all_readings_of_a_signature_those_accepted_mean_the_same() {
    let fixture = fixture(TestDatabase::sqlite().await).await;
    let mut seen = Seen::default();
    let mut cases = 0;
    for mut case in fuzz_cases(150) {
        cases += 1;
        try_original(&fixture, &mut case, &mut seen).await;
    }
    eprintln!("{seen:?}");
    if cases >= 150 {
        assert!(seen.accepted_originals > cases / 20, "{seen:?}");
        assert!(seen.refused_originals > cases / 20, "{seen:?}");
        assert!(seen.other_readings > cases, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_requests_are_not_taken_for_ambiguous() {
    let fixture = fixture(TestDatabase::sqlite().await).await;
    let honest = [
        ("package_name", "com.hema.wms"),
        ("package_name", "com.vendor.app"),
        ("package_name", "com.device_type.version_code.v"),
        ("device_id", "PDA-device-07"),
        ("device_id", "device_id"),
        ("device_id", "8c:85:90:ab:cd:ef"),
        ("device_id", "attributes{}"),
        ("device_type", "device"),
        ("device_type", "pos-v2.0"),
        (
            "old_versions",
            r#"{"package_name":"com.hema.wms","version_code":3}"#,
        ),
        (
            "old_versions",
            r#"[{"packageName":"tenant_id1","versionCode":3}]"#,
        ),
        (
            "attributes",
            r#"{"device_id":"1","v":"2.0","timestamp":"2026-03-02 10:00:00"}"#,
        ),
        ("attributes", r#"{"note":"device_type10013old_versions{}"}"#),
        (
            "org_info",
            r#"{"l1Code":"version_code","l2Code":"sign_methodmd5"}"#,
        ),
        ("session", "a session"),
        ("partner_id", "top-sdk-java-20200923"),
    ];
    for sign_method in ["md5", "hmac", "hmac-sha256"] {
        for (name, value) in honest {
            let call = fixture
                .client
                .call(CHECK, TIMESTAMP, &super::fixture::DEVICE_CHECK)
                .with("device_type", "10013")
                .with("old_versions", "{}")
                .with("org_info", r#"{"l1Code":"HM"}"#)
                .with("attributes", "{}")
                .with("sign_method", sign_method)
                .with(name, value);
            let answer = fixture.client.send(&call).await;
            let response = &answer.body["wdk_rexout_resource_list_check_response"];
            assert_eq!(response["succeed"], "true", "{name}={value}: {}", answer.text);
        }
    }
}
