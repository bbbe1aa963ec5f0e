//! Apps whose bytes are authentic but wrong. Reading refuses such an app, so that no wrong reference can offer a
//! release to an excluded device.

use serde_json::{Value, json};

use super::case::{CompiledCase, list};

/// Ranges that no list of the app has.
const OUTSIDE: [(u32, u32); 3] = [(0, 1_000), (1_000, 1_001), (2, 1)];

/// Returns a case with releases for some devices only: one with every kind of targeting, one with an allow-list, and an
/// older one of the same resource.
fn case() -> Value {
    json!({"apps": [{
        "package_name": "com.hema.wms",
        "app_name": "WMS",
        "releases": [
            {
                "identifier": "com.hema.wms.a",
                "version_code": 1,
                "device_types": ["10013", "10014"],
                "host_version_min": 1,
                "org_scopes": [{"l3Code": "8007"}, {"l3Code": "8009"}],
                "org_exclusions": [{"l3Code": "8008"}, {"l3Code": "8010"}],
                "attribute_rules": [{"name": "os", "op": "eq", "value": "8"}],
                "rollout": {"percent": 50, "key": "a key"},
            },
            {
                "identifier": "com.hema.wms.b",
                "version_code": 2,
                "device_ids": ["PDA0"],
                "rollout": {"percent": 0},
            },
            {"identifier": "com.hema.wms.b", "version_code": 1, "state": "paused"},
        ],
    }]})
}

/// Returns a pointer into the only part of the app.
fn in_part(pointer: &str) -> String {
    format!("/parts/0{pointer}")
}

/// Reads the app after one value was replaced.
fn read_with(pointer: &str, value: &Value) -> Result<CompiledCase, String> {
    let damage = |app: &mut Value| *app.pointer_mut(&in_part(pointer)).expect(pointer) = value.clone();
    CompiledCase::new(&case()).with_changed_apps(damage)
}

/// Reads the app after two values were swapped.
fn read_with_swapped((one, other): (&str, &str)) -> Result<CompiledCase, String> {
    CompiledCase::new(&case()).with_changed_apps(|app| {
        let (one, other) = (in_part(one), in_part(other));
        let values = [&one, &other].map(|pointer| app.pointer(pointer).expect(pointer).clone());
        assert_ne!(values[0], values[1], "{one} {other}");
        *app.pointer_mut(&other).unwrap() = values[0].clone();
        *app.pointer_mut(&one).unwrap() = values[1].clone();
    })
}

#[track_caller]
fn assert_refused(read: Result<CompiledCase, String>, reason: &str) {
    match read {
        Ok(_) => panic!("it is accepted, not refused because {reason}"),
        Err(error) => assert!(error.contains(reason), "{error}: {reason}"),
    }
}

#[test]
fn an_app_that_is_whole_is_offered_to_those_who_are_meant() {
    let compiled = read_with("/enabled", &json!(true)).ok().unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut offered = [0, 0];
    for (device, store) in (0..100).flat_map(|device| [(device, "8007"), (device, "8008")]) {
        let request = json!({
            "package_name": "com.hema.wms",
            "version_code": 1,
            "device_id": format!("PDA{device}"),
            "device_type": "10013",
            "org_info": {"l3Code": store},
            "attributes": {"os": "8"},
        });
        for offer in list(&compiled.check(&request, now, false)["offers"]) {
            let is_first = offer["identifier"] == "com.hema.wms.a";
            assert!(!is_first || store == "8007", "{device} is excluded");
            offered[usize::from(!is_first)] += 1;
        }
    }
    assert!((30..70).contains(&offered[0]), "{offered:?}");
    assert_eq!(offered[1], 2, "the listed device, at either store");
}

#[test]
fn a_reference_to_absent_targets_is_refused() {
    for index in [3, 1_000, u32::MAX - 1] {
        assert_refused(
            read_with("/releases/0/targets", &json!(index)),
            "outside of the app's targets",
        );
    }
}

#[test]
fn a_part_that_its_list_does_not_have_is_refused() {
    for (start, end) in OUTSIDE {
        let outside = json!({"start": start, "end": end});
        for (list, name) in [
            ("/targets/rows/0/device_types", "words"),
            ("/targets/rows/1/allow_list", "words"),
            ("/targets/rows/0/scopes", "scopes"),
            ("/targets/rows/0/exclusions", "scopes"),
            ("/targets/rows/0/rules", "attribute rules"),
            ("/resources/0/releases", "releases"),
            ("/resources/0/md5s", "MD5s"),
        ] {
            let reason = format!("outside of the app's {name}");
            assert_refused(read_with(list, &outside), &reason);
        }
    }
}

#[test]
fn a_text_that_the_pool_does_not_have_is_refused() {
    let outside = json!({"start": 1_000, "length": 4});
    for text in [
        "/targets/words/0",
        "/targets/words/2",
        "/targets/scopes/0/2",
        "/targets/scopes/2/2",
        "/targets/rows/0/rollout_key",
        "/resources/0/identifier",
    ] {
        assert_refused(read_with(text, &outside), "outside of the app's texts");
    }
}

#[test]
fn prepared_bytes_that_are_absent_are_refused() {
    for member in ["start", "lengths/0"] {
        for piece in ["/prepared", "/releases/0/prepared"] {
            assert_refused(
                read_with(&format!("{piece}/{member}"), &json!(100_000)),
                "outside of the app's prepared bytes",
            );
        }
    }
}

#[test]
fn a_resource_that_repairs_mismatches_without_digests_is_refused() {
    assert_refused(
        read_with("/resources/0/repair_on_mismatch", &json!(true)),
        "outside of the app's MD5s",
    );
}

/// Lists are searched by bisection, which would miss an exclusion in an unsorted list.
#[test]
fn lists_in_another_order_are_refused() {
    for (swapped, name) in [
        (("/targets/words/0", "/targets/words/1"), "words"),
        (("/targets/scopes/0", "/targets/scopes/1"), "scopes"),
        (("/targets/scopes/2", "/targets/scopes/3"), "scopes"),
        (("/releases/1", "/releases/2"), "releases"),
    ] {
        let reason = format!("the {name} are out of order");
        assert_refused(read_with_swapped(swapped), &reason);
    }
}

#[test]
fn a_resource_whose_summary_is_wrong_is_refused() {
    for (fact, wrong) in [
        ("has_floors", json!(true)),
        ("has_mandatory", json!(true)),
        ("has_recalled", json!(true)),
        ("highest_version", json!(7)),
    ] {
        assert_refused(
            read_with(&format!("/resources/1/{fact}"), &wrong),
            "differs from its releases",
        );
    }
}

#[test]
fn values_that_the_domain_does_not_know_are_refused() {
    for level in [0, 6, 255] {
        let unit = json!({ "Level": level });
        assert_refused(read_with("/releases/0/unit", &unit), "level from 1 to 5");
    }
    assert_refused(read_with("/releases/0/share", &json!(10_001)), "from 0 to 100");
    let rule = json!(r#"{"name":"os","op":"gt","value":"many"}"#);
    assert_refused(read_with("/targets/rules/0", &rule), "must be a number");
}
