//! Generated invalid requests: the answer is always JSON or a problem, never a failure, and the server continues to
//! work.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::apps::{create_app, update_app};
use super::check_wrong::wrong_fields;
use super::fixture::{APP, Fixture, app_path, tenant};
use super::org_directory::replace;
use super::pins::pin_of_device;
use super::releases::{create_release, update_release};
use super::table::Operation;
use crate::api::harness::Caller;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const CASES: usize = 400;

/// Mutation of a valid body.
#[derive(Debug, Clone)]
enum Mutation {
    /// Replaces the whole body.
    Replace(Value),
    /// Replaces one value inside the body.
    Inside(Index, Value),
    /// Renames a member.
    Rename(Index, String),
    /// Replaces some bytes.
    Bytes(Vec<(Index, u8)>),
    /// Cuts off the end.
    Cut(Index),
    /// Repeats a piece of the text.
    Repeat(Index, Index),
    /// Replaces a value with raw text.
    Raw(Index, String),
}

fn scalar() -> impl Strategy<Value = Value> {
    let numbers = select(vec![
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(-0.0),
        json!(0.1),
    ]);
    let texts = select(vec![
        "",
        " ",
        "\0",
        "\u{feff}",
        "\u{202e}",
        "null",
        "{}",
        "[]",
        "true",
        "0",
        "-1",
        "00",
        "1e9",
        "9223372036854775808",
        "com.hema.wms",
        "com.hema.wms.chuku",
        "../../etc/passwd",
        "'; DROP TABLE apps; --",
        "%00",
        "${x}",
        "2026-03-02T02:00:00Z",
        "2016-12-31T23:59:60Z",
        "9999-12-31T23:59:59.9999999Z",
        "0000-01-01T00:00:00Z",
        "device",
        "hold",
        "https://a",
        "a:b",
        "Asia/Shanghai",
        "店",
    ]);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        numbers,
        texts.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (0_usize..5_000).prop_map(|length| Value::from("x".repeat(length))),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        select(vec![
            "package_name",
            "identifier",
            "name",
            "path",
            "op",
            "value",
            "l1Code",
            "percent",
            "versionCode",
            "",
            "a.b"
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    scalar().prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(name.clone(), inner, 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let raw = wrong_fields()
        .into_iter()
        .map(|(_, json)| json)
        .filter(|json| json.len() < 1_000);
    prop_oneof![
        1 => document().prop_map(Mutation::Replace),
        6 => (any::<Index>(), document()).prop_map(|(at, value)| Mutation::Inside(at, value)),
        1 => (any::<Index>(), any::<String>()).prop_map(|(at, name)| Mutation::Rename(at, name)),
        2 => vec((any::<Index>(), any::<u8>()), 1..4).prop_map(Mutation::Bytes),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        2 => (any::<Index>(), select(raw.collect::<Vec<_>>())).prop_map(|(at, json)| Mutation::Raw(at, json)),
    ]
}

fn mutated(valid: &Value, mutation: &Mutation) -> Vec<u8> {
    let text = valid.to_string();
    let mut bytes = text.clone().into_bytes();
    match mutation {
        Mutation::Replace(value) => value.to_string().into(),
        Mutation::Inside(at, value) => {
            let mut body = valid.clone();
            let places = pointers(&body);
            *body.pointer_mut(at.get::<String>(&places)).unwrap() = value.clone();
            body.to_string().into()
        }
        Mutation::Rename(at, name) => {
            let members = valid.as_object().unwrap();
            let chosen = at.index(members.len());
            let renamed = members.iter().enumerate();
            let renamed = renamed.map(|(index, (old, value))| {
                let name = if index == chosen {
                    name.clone()
                } else {
                    old.clone()
                };
                (name, value.clone())
            });
            renamed.collect::<Value>().to_string().into()
        }
        Mutation::Bytes(changes) => {
            for (at, byte) in changes {
                let place = at.index(bytes.len());
                bytes[place] = *byte;
            }
            bytes
        }
        Mutation::Cut(at) => {
            bytes.truncate(at.index(bytes.len()));
            bytes
        }
        Mutation::Repeat(from, to) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let piece = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, piece);
            bytes
        }
        Mutation::Raw(at, json) => {
            let mut body = valid.clone();
            let places = pointers(&body);
            *body.pointer_mut(at.get::<String>(&places)).unwrap() = Value::from("@ here @");
            body.to_string().replace("\"@ here @\"", json).into()
        }
    }
}

/// Returns the pointers to all values inside a value.
fn pointers(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let inside: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (step, value) in inside {
        all.extend(pointers(value).into_iter().map(|rest| format!("/{step}{rest}")));
    }
    all
}

fn operations(fixture: &Fixture) -> Vec<(Caller, Operation)> {
    let check = json!({"package_name": APP, "version_code": 50, "device_id": "PDA001", "device_type": "10013",
        "old_versions": {"com.hema.wms.chuku": {"versionCode": 230, "md5": "x"}, "a": "5"},
        "org_info": [{"l1Code": "HM"}, {"l3_code": 8007}], "attributes": {"webview": 8.1, "a": {"b": true}}});
    let mut all: Vec<_> = [
        create_app(),
        update_app(),
        create_release(),
        update_release(&fixture.draft),
        pin_of_device(),
        replace(),
        Operation::new(
            reqwest::Method::POST,
            app_path("/explain"),
            check.clone(),
            Vec::new(),
        ),
        Operation::new(
            reqwest::Method::POST,
            tenant("/device-keys"),
            json!({"name": "a key"}),
            Vec::new(),
        ),
    ]
    .map(|operation| (fixture.admin.clone(), operation))
    .into();
    let check = Operation::new(reqwest::Method::POST, "/v1/check", check, Vec::new());
    let device = (fixture.device.clone(), check);
    // Devices make most calls, so theirs get the most cases.
    all.extend([
        (
            device.0.clone(),
            Operation {
                valid: device.1.valid.clone(),
                path: device.1.path.clone(),
                method: device.1.method.clone(),
                fields: Vec::new(),
            },
        ),
        device,
    ]);
    all
}

async fn nonsense_is_answered_and_survived(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let operations = operations(&fixture);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let cases = (0..operations.len(), mutation());
    for case in 0..CASES {
        let (operation, mutation) = cases.new_tree(&mut runner).unwrap().current();
        let (caller, operation) = &operations[operation];
        let body = mutated(&operation.valid, &mutation);
        let request = caller
            .request(operation.method.clone(), &operation.path)
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(10))
            .body(body);
        let answer = caller.send(request).await;
        let label = format!(
            "case {case}: {} {} {mutation:?}: {} {}",
            operation.method, operation.path, answer.status, answer.text
        );
        assert!(answer.status < 500, "{label}");
        assert!(answer.body.is_object(), "{label}");
        let expected = if answer.status < 300 {
            "application/json"
        } else {
            "application/problem+json"
        };
        assert_eq!(answer.header("content-type"), expected, "{label}");
        assert!(answer.status < 300 || answer.body["code"].is_string(), "{label}");
    }
    fixture.everything().await;
    fixture.admin.get(&tenant("/audit?limit=200")).await.expect(200);
    fixture.app.anyone().get("/healthz").await.expect(200);
    let check = json!({"package_name": APP, "version_code": 50, "device_id": "PDA001"});
    fixture.device.post("/v1/check", &check).await.expect(200);
}

on_both_databases!(nonsense_is_answered_and_survived);
