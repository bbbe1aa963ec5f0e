//! Of all requests that match one signature, at most one is accepted as a push. Text that was signed as something else
//! never is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use slipway_gateway::sign::canonical_text;

use super::cuts::{MILLISECONDS, Reading, is_possible_of_public, meaning, readings};
use super::fixture::{ALIPAY_CONTEXT, Fixture, TIMESTAMP, fixture, push_req};
use crate::api::harness::{CHECK, PUSH, TopCall, TopClient, form};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::fuzzing::{FuzzCase, fuzz_cases};

/// All parameters of a push.
const KNOWN: [&str; 12] = [
    "alipay_context",
    "app_key",
    "format",
    "method",
    "partner_id",
    "req",
    "session",
    "sign_method",
    "simplify",
    "target_app_key",
    "timestamp",
    "v",
];
/// Parameters that clients may send and a push refuses.
const UNKNOWN: [&str; 9] = [
    "attributes",
    "device_id",
    "device_type",
    "foo",
    "old_versions",
    "package_name",
    "tenant_id",
    "version_code",
    "zz",
];
const REQUIRED: [&str; 6] = ["alipay_context", "app_key", "method", "req", "timestamp", "v"];

type Params = BTreeMap<String, String>;

fn req(action: &str) -> String {
    push_req(&["A"], json!({"action": action}))
}

/// Generates a plausible value of a parameter.
fn typical(name: &'static str) -> BoxedStrategy<String> {
    let values = match name {
        "alipay_context" => vec![
            ALIPAY_CONTEXT.to_owned(),
            "{}".to_owned(),
            r#"{"loginId":"req{}v2.0"}"#.to_owned(),
        ],
        "req" => vec![
            req("preview"),
            req("session1"),
            req(r#""}v2.0"#),
            format!(" {} ", req("preview")),
        ],
        "method" => vec![PUSH.to_owned()],
        _ => {
            let values: &[&str] = match name {
                "format" => &["json", "xml", "", " "],
                "sign_method" => &["md5", "hmac", "hmac-sha256", ""],
                "simplify" => &["true", "1", ""],
                "timestamp" => &[TIMESTAMP, MILLISECONDS],
                "v" => &["2.0"],
                "attributes" | "old_versions" => &["{}", "null", ""],
                "tenant_id" => &["10000000"],
                "version_code" => &["1", "7"],
                "package_name" => &["com.hema.wms"],
                _ => &["", "1", "PDA-07", " ", "2.0", "店"],
            };
            values.iter().map(|text| (*text).to_owned()).collect()
        }
    };
    select(values).boxed()
}

/// Generates a text that contains names and values of parameters.
fn nasty() -> impl Strategy<Value = String> {
    let names: Vec<_> = KNOWN.into_iter().chain(UNKNOWN).collect();
    let hidden =
        select(names).prop_flat_map(|name| typical(name).prop_map(move |value| format!("{name}{value}")));
    let piece = prop_oneof![
        6 => hidden,
        1 => select(vec!["1", "v", "{", "\"", "{}", " ", "id", "2.0", "店"]).prop_map(str::to_owned),
    ];
    vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

/// Generates parameters whose values are valid, or start with a valid value.
fn parameters(
    required: &'static [&'static str],
    optional: &'static [&'static str],
    fixed: &'static [&'static str],
) -> impl Strategy<Value = Reading> {
    let of = |name: &'static str, is_required: bool| {
        let value = if fixed.contains(&name) {
            typical(name)
        } else {
            prop_oneof![
                3 => typical(name),
                1 => nasty(),
                2 => (typical(name), nasty()).prop_map(|(start, rest)| start + &rest),
            ]
            .boxed()
        };
        let value = if is_required {
            value.prop_map(Some).boxed()
        } else {
            option::weighted(0.4, value).boxed()
        };
        value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let required = required.iter().map(|name| of(name, true));
    let all: Vec<_> = required
        .chain(optional.iter().map(|name| of(name, false)))
        .collect();
    all.prop_map(|params| params.into_iter().flatten().collect())
}

/// Generates a push, which is usually accepted.
fn push() -> impl Strategy<Value = Reading> {
    parameters(
        &REQUIRED,
        &[
            "format",
            "partner_id",
            "session",
            "sign_method",
            "simplify",
            "target_app_key",
        ],
        &[
            "alipay_context",
            "app_key",
            "format",
            "method",
            "req",
            "sign_method",
            "timestamp",
            "v",
        ],
    )
}

/// Generates a check with additional parameters. Values that the client does not control, such as a device's name, may
/// be an attempt to turn it into a push.
fn check() -> impl Strategy<Value = Reading> {
    let check = parameters(
        &[
            "app_key",
            "device_id",
            "method",
            "package_name",
            "tenant_id",
            "timestamp",
            "v",
            "version_code",
        ],
        &[
            "device_type",
            "foo",
            "format",
            "partner_id",
            "req",
            "session",
            "sign_method",
            "simplify",
            "target_app_key",
            "zz",
        ],
        &[
            "app_key",
            "format",
            "method",
            "sign_method",
            "tenant_id",
            "timestamp",
            "v",
            "version_code",
        ],
    );
    check.prop_map(|mut params| {
        for (name, value) in &mut params {
            if name == "method" {
                CHECK.clone_into(value);
            }
        }
        params
    })
}

/// Returns true if the protocol permits the value. The server may refuse more values, but not fewer.
fn is_possible(app_key: &str, name: &str, value: &str) -> bool {
    if let Some(is_possible) = is_possible_of_public((app_key, PUSH), name, value) {
        return is_possible;
    }
    match name {
        "alipay_context" | "req" => serde_json::from_str::<Value>(value).is_ok(),
        _ => true,
    }
}

#[derive(Debug, Default)]
struct Seen {
    taken_originals: usize,
    refused_originals: usize,
    other_readings: usize,
    taken_others: usize,
}

struct Trial<'a> {
    operator: &'a TopClient,
    signature: String,
    case: &'a FuzzCase,
}

impl Trial<'_> {
    /// Returns true if this reading of the signature is accepted as a push.
    async fn is_taken(&self, params: &Params) -> bool {
        if params.get("method").is_none_or(|method| method != PUSH) {
            return false;
        }
        let mut signed = params.clone();
        signed.insert("sign".to_owned(), self.signature.clone());
        let call = TopCall {
            params: signed,
            secret: String::new(),
        };
        let answer = self.operator.send(&call).await;
        assert_eq!(answer.status, 200, "{}: {}", self.case.again(), answer.text);
        ["\"result_code\":\"200\"", "<result_code>200</result_code>"]
            .iter()
            .any(|success| answer.text.contains(success))
    }
}

fn is_complete(reading: &Reading) -> bool {
    let has = |required: &&str| reading.iter().any(|(name, _)| name == required);
    REQUIRED.iter().all(has)
}

/// Returns all readings of a text that could be a push, some that could not, and the same with additional blank
/// parameters.
fn as_pushes(app_key: &str, text: &str) -> Vec<Params> {
    let all: Vec<_> = KNOWN.into_iter().chain(UNKNOWN).collect();
    let possible = |name: &str, value: &str| is_possible(app_key, name, value);
    let mut found = readings(text, &KNOWN, &possible, 400);
    found.extend(readings(text, &all, &possible, 100));
    found.retain(is_complete);
    found.truncate(100);
    found.extend(readings(text, &all, &|_, _| true, 5));
    let found: BTreeSet<Params> = found
        .into_iter()
        .map(|reading| reading.into_iter().collect())
        .collect();
    let with_blanks = |reading: &Params| {
        let mut reading = reading.clone();
        for name in ["session", "simplify", "format", "partner_id"] {
            reading.entry(name.to_owned()).or_insert_with(|| " ".to_owned());
        }
        reading
    };
    let blank: Vec<_> = found.iter().map(with_blanks).collect();
    found.into_iter().chain(blank).collect()
}

async fn try_original(
    (fixture, operator): (&Fixture, &TopClient),
    (mut params, leaves_blanks_out): (Params, bool),
    case: &FuzzCase,
    seen: &mut Seen,
) {
    params.insert("app_key".to_owned(), operator.app_key.clone());
    let is_signed = |value: &String| !leaves_blanks_out || !value.trim().is_empty();
    let signed: Params = params
        .iter()
        .filter(|(_, value)| is_signed(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let text = canonical_text(
        &signed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
    );
    let call = TopCall {
        params: signed,
        secret: operator.secret.clone(),
    };
    let trial = Trial {
        operator,
        signature: call.signed_with("")["sign"].clone(),
        case,
    };
    let mut taken = Vec::new();
    if trial.is_taken(&params).await {
        seen.taken_originals += 1;
        taken.push(params.clone());
    } else {
        seen.refused_originals += 1;
    }
    for reading in as_pushes(&operator.app_key, &text) {
        seen.other_readings += 1;
        if reading != params && trial.is_taken(&reading).await {
            seen.taken_others += 1;
            taken.push(reading);
        }
    }
    let meanings: BTreeSet<_> = taken.iter().map(meaning).collect();
    let forms: Vec<_> = taken.iter().map(form).collect();
    let is_push = params["method"] == PUSH;
    assert!(
        meanings.len() <= usize::from(is_push),
        "{}: {} of {}",
        case.again(),
        forms.join("\n"),
        form(&params)
    );
    // Additional blank parameters change nothing: it is one push.
    let pushes = fixture.pushes().await.len();
    assert!(
        pushes <= seen.taken_originals + seen.taken_others,
        "{}",
        case.again()
    );
}

async fn try_originals(original: impl Strategy<Value = Reading>, usual: u64) -> (Seen, u64) {
    let fixture = fixture(TestDatabase::sqlite().await).await;
    let operator = fixture.operator(&["A"]).await;
    let mut seen = Seen::default();
    let mut cases = 0;
    for mut case in fuzz_cases(usual) {
        cases += 1;
        let (params, leaves_blanks_out) = case.draw(&(&original, any::<bool>()));
        let params = params.into_iter().collect();
        try_original(
            (&fixture, &operator),
            (params, leaves_blanks_out),
            &case,
            &mut seen,
        )
        .await;
    }
    eprintln!("{seen:?}");
    (seen, cases)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_readings_of_a_push_one_is_taken_at_most() {
    let (seen, cases) = try_originals(push(), 150).await;
    if cases >= 150 {
        let cases = usize::try_from(cases).unwrap();
        assert!(seen.taken_originals > cases / 20, "{seen:?}");
        assert!(seen.refused_originals > cases / 20, "{seen:?}");
        assert!(seen.other_readings > cases, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reading_of_a_check_is_taken_as_a_push() {
    let (seen, cases) = try_originals(check(), 150).await;
    assert_eq!((seen.taken_originals, seen.taken_others), (0, 0), "{seen:?}");
    if cases >= 150 {
        assert!(seen.other_readings > usize::try_from(cases).unwrap(), "{seen:?}");
    }
}

/// A parameter of a check contains everything of a push before its timestamp, and the rest of the check would become
/// the push's session. The only obstacle is that a push accepts no other parameter.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_contains_a_push_is_not_taken_as_a_push() {
    let fixture = fixture(TestDatabase::sqlite().await).await;
    let operator = fixture.operator(&["A"]).await;
    let inside = format!(
        "alipay_context{ALIPAY_CONTEXT}app_key{}formatjsonmethod{PUSH}req{}session",
        operator.app_key,
        req("preview")
    );
    let mut refused_for_it = 0;
    for name in ["Zone", "a", "device_type", "zz"] {
        let check = operator
            .call(CHECK, TIMESTAMP, &super::fixture::DEVICE_CHECK)
            // This one decides if the session contains the name of another.
            .with("sign_method", "md5")
            .with(name, &inside);
        for check in [check.clone(), check.without("version_code")] {
            let signature = check.signed_with("")["sign"].clone();
            let pairs = check
                .params
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let text = canonical_text(&pairs.collect());
            let names: Vec<_> = KNOWN.into_iter().chain([name]).collect();
            let possible = |name: &str, value: &str| is_possible(&operator.app_key, name, value);
            for reading in readings(&text, &names, &possible, 100)
                .into_iter()
                .filter(is_complete)
            {
                let call = TopCall {
                    params: reading.into_iter().collect(),
                    secret: String::new(),
                };
                let answer = operator.send(&call.with("sign", &signature)).await;
                assert!(answer.text.contains("error_response"), "{}", answer.text);
                let why = format!("Invalid arguments:{name}");
                refused_for_it += usize::from(answer.text.contains(&why));
            }
            // The same as a batch whose query ends within the text.
            let (before, body) = text.split_once("v2.0").unwrap();
            let query = operator
                .call("", TIMESTAMP, &[])
                .without("method")
                .with("sign", &signature);
            operator
                .send_batch(&query.with("session", before), body, None)
                .await;
        }
    }
    assert!(refused_for_it > 0, "nothing came so far");
    assert_eq!(fixture.pushes().await, [Value::Null; 0]);
}
