//! Unusual forms of a check that are equivalent to the plain one.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{APP, Fixture, RESOURCE, app_path, tenant};
use crate::api::harness::{Caller, release_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Returns a check whose answer depends on each of its fields.
fn plain() -> Value {
    json!({
        "package_name": APP,
        "version_code": 50,
        "device_id": "PDA001",
        "device_type": "10013",
        "old_versions": {RESOURCE: 230},
        "org_info": {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"},
        "attributes": {"webview": 8.1, "build": {"type": "user"}},
    })
}

/// Raw JSON equivalent to the plain value of a field.
const SAME: [(&str, &[&str]); 8] = [
    (
        "version_code",
        &[
            "50",
            r#""50""#,
            r#"" 50 ""#,
            r#""\u300050\t""#,
            r#""000050""#,
            "   50\n",
        ],
    ),
    ("device_type", &[r#""10013""#, r#""\u0031\u0030013""#]),
    ("package_name", &[r#""com.hema.wms""#, r#""com\u002ehema.wms""#]),
    (
        "old_versions",
        &[
            r#"{"com.hema.wms.chuku": "230"}"#,
            r#"{"com.hema.wms.chuku": " 0230 "}"#,
            r#"{"com.hema.wms.chuku": {"versionCode": 230}}"#,
            r#"{"com.hema.wms.chuku": {"version_code": "230", "md5": null}}"#,
            r#"{"com.hema.wms.chuku": {"versionCode": 230, "version_code": 7, "md5": " ", "more": [1]}}"#,
            r#"{"com.hema.wms.chuku": {"versionCode": null, "version_code": 230}}"#,
            r#"{"com.hema.wms.chuku": 1, "com.hema.wms.chuku": 230}"#,
            r#"{"com.hema.wms.chuku": 230, "com.hema.wms.chuku": 0}"#,
            r#"{"com.hema.wms.chuku": 230, "not in the catalog": 5, "": 1}"#,
            r#"{"packageName": "com.hema.wms.chuku", "versionCode": 230}"#,
            r#"{"package_name": "com.hema.wms.chuku", "version_code": 230, "name": {}}"#,
            r#"{"identifier": "com.hema.wms.chuku", "packageName": "com.hema.wms", "versionCode": 230}"#,
            r#"{"identifier": null, "packageName": "com.hema.wms.chuku", "versionCode": "230"}"#,
            r#"[{"packageName": "com.hema.wms.chuku", "versionCode": 230}]"#,
            r#"[{"identifier": "com.hema.wms.chuku", "versionCode": 7}, {"identifier": "com.hema.wms.chuku", "versionCode": 230}]"#,
        ],
    ),
    (
        "org_info",
        &[
            r#"{"l1Code": " HM ", "l2Code": "HM-SH\t", "l3Code": "8007"}"#,
            r#"{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": 8007}"#,
            r#"{"l1_code": "HM", "l2_code": "HM-SH", "l3_code": "8007"}"#,
            r#"{"l1": "HM", "l2": "HM-SH", "l3": 8007}"#,
            r#"{"l1Code": "HM", "l1_code": "X", "l1": "Y", "l2Code": "HM-SH", "l3Code": "8007"}"#,
            r#"{"l1Code": null, "l1_code": "", "l1": "HM", "l2Code": "HM-SH", "l3Code": "8007", "l4Code": " "}"#,
            r#"{"l1Code": "X", "l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}"#,
            r#"{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007", "l6Code": true, "name": [1.5]}"#,
            r#"[{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}]"#,
            r#"[{"l1Code": "X"}, {}, {"l3Code": "8007"}, {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}]"#,
            r#"{"l3Code": "8007"}"#,
        ],
    ),
    (
        "attributes",
        &[
            r#"{"webview": "8.1", "build.type": "user"}"#,
            r#"{"webview": "8.1.0", "build": {"type": "user", "more": null}}"#,
            r#"{"webview": 7, "webview": 8.1, "build": {"type": "user"}, "more": true, "none": null, "": ""}"#,
            r#"{"build": {"type": "eng"}, "build": {"type": "user"}, "webview": "8.1"}"#,
        ],
    ),
    (
        "tenant_id",
        &["10000000", r#""10000000""#, r#"" 010000000 ""#, "null"],
    ),
    ("device_id", &[r#""PDA001""#, r#""\u0050DA001""#]),
];

/// Raw JSON that counts as absent in the three JSON fields and the device type.
const NOTHING: [&str; 14] = [
    "null",
    "{}",
    "[]",
    " { } ",
    r#""""#,
    r#""  ""#,
    r#""\n\t""#,
    r#""null""#,
    r#"" {} ""#,
    r#""[ ]""#,
    r#""\"\"""#,
    r#""\"  \"""#,
    r#""\"{}\"""#,
    r#""\"null\"""#,
];

async fn ask(device: &Caller, field: &str, json: Option<&str>) -> (Value, String) {
    let mut body = plain();
    body.as_object_mut().unwrap().shift_remove(field);
    let text = body.to_string();
    let text = match json {
        Some(json) => format!("{{\"{field}\":{json},{}", text.strip_prefix('{').unwrap()),
        None => text,
    };
    let answer = device
        .send(device.request(Method::POST, "/v1/check").body(text))
        .await;
    let revision = answer.header("slipway-revision").to_owned();
    (answer.expect(200), revision)
}

/// Starts a server with a release for the plain check's device alone.
async fn set_up(database: TestDatabase) -> Fixture {
    let fixture = Fixture::set(database).await;
    let recall = app_path(&format!("/releases/{}/recall", fixture.published));
    let stop = json!({"mode": "stop", "reason": "for a test"});
    fixture.admin.post(&recall, &stop).await.expect(200);
    let nodes = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});
    fixture
        .admin
        .put(&tenant("/org-directory"), &nodes)
        .await
        .expect(200);
    let mut release = release_fields(RESOURCE, 250);
    for (name, value) in [
        ("publish", json!(true)),
        ("host_version_min", json!(50)),
        ("host_version_max", json!(50)),
        ("device_types", json!(["10013"])),
        ("org_scopes", json!([{"l1Code": "HM", "l3Code": "8007"}])),
        ("rollout", json!({"percent": 0})),
        ("device_ids", json!(["PDA001"])),
        (
            "attribute_rules",
            json!([{"name": "webview", "op": "semver", "value": ">=8.1, <8.2"}, {"name": "build.type", "op": "eq", "value": "user"}]),
        ),
    ] {
        release[name] = value;
    }
    fixture
        .admin
        .post(&app_path("/releases"), &release)
        .await
        .expect(201);
    // Only fresh installs skip it, so the installed version matters too.
    let mut floor = release;
    floor["version_code"] = json!(245);
    floor["version_name"] = json!("1.0.245");
    floor["md5"] = json!("f".repeat(32));
    floor["floor"] = json!(true);
    fixture
        .admin
        .post(&app_path("/releases"), &floor)
        .await
        .expect(201);
    fixture
}

async fn odd_forms_are_answered_like_the_plain_one(database: TestDatabase) {
    let fixture = set_up(database).await;
    let expected = fixture.device.post("/v1/check", &plain()).await.expect(200);
    assert_eq!(expected["data"][0]["version_code"], 245, "{expected}");
    for (field, forms) in SAME {
        for form in forms {
            let (answer, _) = ask(&fixture.device, field, Some(form)).await;
            assert_eq!(answer, expected, "{field} = {form}");
            if ["old_versions", "org_info", "attributes"].contains(&field) {
                let text = json!(form).to_string();
                let twice = json!(text).to_string();
                for form in [text, twice, json!(format!(" {form}\n")).to_string()] {
                    let (answer, _) = ask(&fixture.device, field, Some(&form)).await;
                    assert_eq!(answer, expected, "{field} = {form}");
                }
            }
        }
    }
    let (answer, _) = ask(&fixture.device, "tenant_id", None).await;
    assert_eq!(answer, expected);
}

async fn what_says_nothing_is_absent(database: TestDatabase) {
    let fixture = set_up(database).await;
    let expected = fixture.device.post("/v1/check", &plain()).await.expect(200);
    for field in ["old_versions", "org_info", "attributes"] {
        let (absent, _) = ask(&fixture.device, field, None).await;
        assert_ne!(absent, expected, "{field} makes no difference");
        for nothing in NOTHING {
            let (answer, _) = ask(&fixture.device, field, Some(nothing)).await;
            assert_eq!(answer, absent, "{field} = {nothing}");
        }
    }
    let (absent, _) = ask(&fixture.device, "device_type", None).await;
    assert_ne!(absent, expected);
    for nothing in ["null", r#""""#, r#""   ""#, r#""\u3000""#, r#""\n""#] {
        let (answer, _) = ask(&fixture.device, "device_type", Some(nothing)).await;
        assert_eq!(answer, absent, "device_type = {nothing}");
    }
}

/// Texts are taken literally. A different text is another device, another type or an unknown app.
async fn texts_are_taken_as_sent(database: TestDatabase) {
    let fixture = set_up(database).await;
    let (absent, _) = ask(&fixture.device, "device_type", None).await;
    for other in [
        r#"" 10013""#,
        r#""10013 ""#,
        r#""\u0000""#,
        &json!("x".repeat(10_000)).to_string(),
    ] {
        let (answer, _) = ask(&fixture.device, "device_type", Some(other)).await;
        assert_eq!(answer, absent, "{other}");
    }
    for other in [
        r#"" PDA001""#,
        r#""pda001""#,
        r#""店""#,
        &json!("店".repeat(128)).to_string(),
    ] {
        let (answer, _) = ask(&fixture.device, "device_id", Some(other)).await;
        assert_eq!(answer["data"], json!([]), "{other}");
    }
    for other in [
        r#"" com.hema.wms""#,
        r#""Com.Hema.Wms""#,
        r#""a\u0000""#,
        r#""店""#,
        r#""../..""#,
        &json!("x".repeat(10_000)).to_string(),
    ] {
        let (answer, revision) = ask(&fixture.device, "package_name", Some(other)).await;
        assert_eq!(answer["msg_code"], "APP_UNKNOWN", "{other}");
        assert_eq!(answer["data"], json!([]), "{other}");
        assert!(!revision.is_empty());
    }
    for (field, limit) in [
        ("version_code", "9223372036854775807"),
        ("version_code", "0"),
        ("version_code", "-0"),
    ] {
        let (answer, _) = ask(&fixture.device, field, Some(limit)).await;
        assert_eq!(answer["succeed"], true);
    }
}

/// The largest and the deepest documents that are accepted.
async fn documents_at_their_limits_are_read(database: TestDatabase) {
    let fixture = set_up(database).await;
    let expected = fixture.device.post("/v1/check", &plain()).await.expect(200);
    let known = format!("\"{RESOURCE}\":230,");
    let filler = "a".repeat(64 * 1024 - known.len() - 6);
    let document = format!("{{{known}\"{filler}\":1}}");
    assert_eq!(document.len(), 64 * 1024);
    let spaced = format!("{{{known}      \"{filler}\"\n:\t1}}");
    for form in [document.clone(), json!(document).to_string(), spaced] {
        let (answer, _) = ask(&fixture.device, "old_versions", Some(&form)).await;
        assert_eq!(answer, expected);
    }
    let deep = format!(
        r#"{{"webview":8.1,"build":{{"type":"user"}},"a":{}{{}}{}}}"#,
        r#"{"a":"#.repeat(6),
        "}".repeat(6)
    );
    for form in [deep.clone(), json!(deep).to_string()] {
        let (answer, _) = ask(&fixture.device, "attributes", Some(&form)).await;
        assert_eq!(answer, expected);
    }
    let eight = json!(vec![
        json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"});
        8
    ])
    .to_string();
    let (answer, _) = ask(&fixture.device, "org_info", Some(&eight)).await;
    assert_eq!(answer, expected);
}

on_both_databases!(
    odd_forms_are_answered_like_the_plain_one,
    what_says_nothing_is_absent,
    texts_are_taken_as_sent,
    documents_at_their_limits_are_read,
);
