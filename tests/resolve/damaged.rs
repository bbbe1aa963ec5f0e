//! What cannot happen: an index or a place in an app that leads nowhere. It closes the release rather than open it to
//! everybody.

use serde_json::{Value, json};

use super::case::{CompiledCase, list};

const NOWHERE: [(u32, u32); 3] = [(0, 1_000), (1_000, 1_001), (2, 1)];

/// Two releases that only some devices are meant to get: one by all that targets a release, one by its allow-list.
fn case() -> Value {
    json!({"apps": [{
        "package_name": "com.hema.wms",
        "app_name": "WMS",
        "releases": [
            {
                "identifier": "com.hema.wms.a",
                "version_code": 1,
                "device_types": ["10013"],
                "host_version_min": 1,
                "org_scopes": [{"l3Code": "8007"}],
                "org_exclusions": [{"l3Code": "8008"}],
                "attribute_rules": [{"name": "os", "op": "eq", "value": "8"}],
                "rollout": {"percent": 50, "key": "a key"},
            },
            {
                "identifier": "com.hema.wms.b",
                "version_code": 1,
                "device_ids": ["PDA0"],
                "rollout": {"percent": 0},
            },
        ],
    }]})
}

/// How many of a hundred devices get the first release, and the second one.
fn offered(compiled: &CompiledCase) -> (usize, usize) {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut offered = (0, 0);
    for device in 0..100 {
        let request = json!({
            "package_name": "com.hema.wms",
            "version_code": 1,
            "device_id": format!("PDA{device}"),
            "device_type": "10013",
            "org_info": {"l3Code": "8007"},
            "attributes": {"os": "8"},
        });
        let answer = compiled.check(&request, now, false);
        for offer in list(&answer["offers"]) {
            if offer["identifier"] == "com.hema.wms.a" {
                offered.0 += 1;
            } else {
                offered.1 += 1;
            }
        }
    }
    offered
}

fn offered_with(pointer: &str, value: &Value) -> (usize, usize) {
    let damage = |app: &mut Value| *app.pointer_mut(pointer).expect(pointer) = value.clone();
    offered(&CompiledCase::new(&case()).with_changed_apps(damage))
}

#[test]
fn an_app_that_is_whole_is_offered_to_those_who_are_meant() {
    let (selected, listed) = offered_with("/enabled", &json!(true));
    assert!((30..70).contains(&selected), "{selected}");
    assert_eq!(listed, 1);
}

#[test]
fn a_release_whose_targets_are_not_there_is_offered_to_nobody() {
    for index in [2, 1_000, u32::MAX - 1] {
        assert_eq!(
            offered_with("/releases/0/targets", &json!(index)),
            (0, 1),
            "{index}"
        );
    }
}

#[test]
fn a_list_that_is_not_there_lets_nobody_pass() {
    for (start, end) in NOWHERE {
        let nowhere = json!({"start": start, "end": end});
        for list in ["device_types", "scopes", "exclusions", "rules"] {
            let found = offered_with(&format!("/targets/rows/0/{list}"), &nowhere);
            assert_eq!(found, (0, 1), "{list} {nowhere}");
        }
        let found = offered_with("/targets/rows/1/allow_list", &nowhere);
        assert_eq!(found.1, 0, "{nowhere}");
        let found = offered_with("/resources/0/releases", &nowhere);
        assert_eq!(found, (0, 1), "{nowhere}");
    }
}

#[test]
fn a_text_that_is_not_there_lets_nobody_pass() {
    let nowhere = json!({"start": 1_000, "length": 4});
    for text in [
        "/targets/words/0",
        "/targets/scopes/0/2",
        "/targets/rows/0/rollout_key",
        "/resources/0/identifier",
    ] {
        assert_eq!(offered_with(text, &nowhere), (0, 1), "{text}");
    }
    assert_eq!(offered_with("/targets/words/1", &nowhere).1, 0);
}
