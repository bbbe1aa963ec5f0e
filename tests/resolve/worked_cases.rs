//! The worked cases of the rules, in the resolver. `tests/api/worked_cases.rs` runs them over HTTP, including refusals.

use serde_json::{Value, json};
use slipway_domain::catalog::rollout::{Share, bucket};

use super::case::{CompiledCase, list};

pub(crate) fn file() -> Value {
    serde_json::from_str(include_str!("check-cases.json")).unwrap()
}

#[test]
fn the_worked_cases_are_answered_as_written() {
    let file = file();
    let mut checks = 0;
    for case in list(&file["cases"]) {
        let mut state = case.clone();
        for check in list(&case["checks"]) {
            for action in list(&check["do"]) {
                apply(&mut state, action);
            }
            // The resolver does not handle tenants or the gateway's notations for them.
            let about_the_tenant = ["unknown", "other"]
                .iter()
                .any(|tenant| check["tenant"] == *tenant);
            if check["request"].is_null() || about_the_tenant || check["face"] == "gateway" {
                continue;
            }
            let now = check["now"]
                .as_str()
                .or(case["now"].as_str())
                .unwrap()
                .parse()
                .unwrap();
            let request = padded(check);
            let answer = CompiledCase::new(&state).check(&request, now, false);
            let context = format!("{}: {request}", case["name"]);
            assert_expected(&check["expect"], &answer, &context);
            checks += 1;
        }
    }
    assert!(checks > 150, "only {checks} checks were made");
}

#[test]
fn the_bucket_vectors_hold() {
    let file = file();
    let vectors = list(&file["buckets"]);
    assert!(!vectors.is_empty());
    for vector in vectors {
        let unit = vector["unit"].as_str().unwrap();
        let number = bucket(vector["rollout_key"].as_str().unwrap(), [unit]);
        assert_eq!(json!(number), vector["bucket"], "{vector}");
        for (percent, selected) in vector["selected"].as_object().unwrap() {
            let share = Share::from_percent(&serde_json::from_str(percent).unwrap()).unwrap();
            assert_eq!(json!(share.selects(number)), *selected, "{vector} at {percent}");
        }
    }
}

/// Pads a text with blanks to the length in `pad`.
pub(crate) fn padded(check: &Value) -> Value {
    let mut request = check["request"].clone();
    for (field, bytes) in check["pad"].as_object().into_iter().flatten() {
        let text = request[field].as_str().unwrap();
        let width = usize::try_from(bytes.as_u64().unwrap()).unwrap();
        request[field] = json!(format!("{text}{}", " ".repeat(width - text.len())));
    }
    request
}

/// Compares the members that the case specifies.
pub(crate) fn assert_expected(expected: &Value, answer: &Value, context: &str) {
    for member in ["error", "field", "msg_code"] {
        if !expected[member].is_null() {
            assert_eq!(expected[member], answer[member], "{context}: {answer}");
        }
    }
    if expected["offers"].is_null() {
        return;
    }
    let (expected, offers) = (list(&expected["offers"]), list(&answer["offers"]));
    assert!(answer["error"].is_null(), "{context}: {answer}");
    assert_eq!(expected.len(), offers.len(), "{context}: {answer}");
    for (expected, offer) in expected.iter().zip(offers) {
        for (member, value) in expected.as_object().unwrap() {
            if member == "config_json" {
                let parse = |json: &Value| serde_json::from_str::<Value>(json.as_str().unwrap()).unwrap();
                assert_eq!(parse(value), parse(&offer[member]), "{context}");
            } else {
                assert_eq!(*value, offer[member], "{context}: {member} of {offer}");
            }
        }
        assert_eq!(
            expected["uninstall_type"], offer["uninstall_type"],
            "{context}: {offer}"
        );
    }
}

/// Applies an administrator's action before a check to the case itself. A refused action changes nothing.
fn apply(state: &mut Value, action: &Value) {
    if action["expect"] == "refused" {
        return;
    }
    match action["action"].as_str().unwrap() {
        "publish" | "resume" => release(state, action)["state"] = json!("published"),
        "pause" => release(state, action)["state"] = json!("paused"),
        "discard" => release(state, action)["state"] = json!("discarded"),
        "recall" => {
            let recalled = release(state, action);
            recalled["state"] = json!("recalled");
            recalled["recall_mode"] = action["mode"].clone();
        }
        "set_rollout" => release(state, action)["rollout"]["percent"] = action["percent"].clone(),
        "patch_release" => merge(release(state, action), &action["fields"]),
        "patch_resource" => {
            let resources = state["apps"][0]["resources"].as_array_mut().unwrap();
            let patched = resources
                .iter_mut()
                .find(|resource| resource["identifier"] == action["identifier"]);
            merge(patched.unwrap(), &action["fields"]);
        }
        "create_release" => create_release(state, &action["fields"]),
        other => panic!("the cases have a new action: {other}"),
    }
}

fn create_release(state: &mut Value, fields: &Value) {
    let releases = state["apps"][0]["releases"].as_array_mut().unwrap();
    let same = |release: &Value| {
        release["identifier"] == fields["identifier"] && release["version_code"] == fields["version_code"]
    };
    if !releases.iter().any(same) {
        let mut created = fields.clone();
        created["state"] = json!("draft");
        releases.push(created);
    }
}

fn release<'a>(state: &'a mut Value, action: &Value) -> &'a mut Value {
    let name = action["release"].as_str().unwrap().to_owned();
    state["apps"][0]["releases"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|release| {
            format!(
                "{}@{}",
                release["identifier"].as_str().unwrap(),
                release["version_code"]
            ) == name
        })
        .unwrap()
}

fn merge(target: &mut Value, fields: &Value) {
    for (field, value) in fields.as_object().unwrap() {
        target[field] = value.clone();
    }
}
