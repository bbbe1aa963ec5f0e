//! Invalid checks: raw JSON by field.

use serde_json::json;

/// A field and an invalid value for it, as raw JSON. The refusal must name the field.
pub(super) type WrongField = (&'static str, String);

/// Returns every invalid value of every field. Those of the three JSON fields appear plain and in a string.
pub(super) fn wrong_fields() -> Vec<WrongField> {
    let mut all = Vec::new();
    for (field, values) in SCALARS {
        all.extend(values.iter().map(|value| (field, (*value).to_owned())));
    }
    all.push(("device_id", json!("x".repeat(129)).to_string()));
    all.push(("device_id", json!("店".repeat(129)).to_string()));
    for (field, values) in DOCUMENTS {
        for value in values {
            all.push((field, (*value).to_owned()));
            all.push((field, json!(value).to_string()));
            // Encoded twice, as some clients do.
            all.push((field, json!(json!(value).to_string()).to_string()));
        }
        all.extend(NO_JSON.map(|text| (field, json!(text).to_string())));
        all.push((field, r#""\ud800""#.to_owned()));
        all.push((field, r#""{\"a\":\"\ud800\"}""#.to_owned()));
        all.extend(too_deep().map(|value| (field, value)));
        all.extend(too_large(field).map(|value| (field, value)));
    }
    all.push(("org_info", json!(vec![json!({"l1Code": "HM"}); 9]).to_string()));
    all
}

const SCALARS: [(&str, &[&str]); 5] = [
    (
        "package_name",
        &[
            r#""""#,
            r#""  ""#,
            r#""\u3000""#,
            r#""\n""#,
            "5",
            "true",
            "[]",
            "{}",
            r#"["com.hema.wms"]"#,
            r#""\ud800""#,
        ],
    ),
    (
        "version_code",
        &[
            r#""""#,
            r#""  ""#,
            r#""x""#,
            r#""-1""#,
            r#""+1""#,
            r#""5.0""#,
            r#""1e3""#,
            r#""5 5""#,
            r#""0x10""#,
            r#""٥""#,
            r#""５""#,
            r#""5\u0000""#,
            r#""null""#,
            r#""9223372036854775808""#,
            r#""\ud800""#,
            "-1",
            "50.0",
            "5.5",
            "1e3",
            "1E0",
            "-0.0",
            "9223372036854775808",
            "18446744073709551615",
            "-9223372036854775809",
            "1e400",
            "true",
            "false",
            "[]",
            "[5]",
            "{}",
        ],
    ),
    (
        "device_id",
        &[
            r#""""#,
            r#""  ""#,
            r#""\u0000""#,
            r#""PDA\u0000001""#,
            r#""PDA\n001""#,
            r#""\u0007""#,
            r#""a\u007f""#,
            r#""a\u0085""#,
            "5",
            "1.5",
            "true",
            "[]",
            "{}",
            r#"["PDA001"]"#,
            r#""\udc00\ud800""#,
        ],
    ),
    (
        "device_type",
        &[
            "5",
            "10013",
            "1.5",
            "true",
            "false",
            "[]",
            "{}",
            r#"["10013"]"#,
            r#""\ud800""#,
        ],
    ),
    (
        "tenant_id",
        &[
            r#""x""#,
            r#""-1""#,
            r#""0""#,
            r#""1.0""#,
            r#""9223372036854775808""#,
            "-1",
            "0",
            "1.0",
            "10000000.0",
            "1e7",
            "9223372036854775808",
            "true",
            "[]",
            "[10000000]",
            "{}",
        ],
    ),
];

const DOCUMENTS: [(&str, &[&str]); 3] = [
    (
        "old_versions",
        &[
            "5",
            "true",
            "1.5",
            r#"{"com.a.b": -1}"#,
            r#"{"com.a.b": 1.5}"#,
            r#"{"com.a.b": 50.0}"#,
            r#"{"com.a.b": 1e3}"#,
            r#"{"com.a.b": 9223372036854775808}"#,
            r#"{"com.a.b": true}"#,
            r#"{"com.a.b": null}"#,
            r#"{"com.a.b": ""}"#,
            r#"{"com.a.b": " "}"#,
            r#"{"com.a.b": "x"}"#,
            r#"{"com.a.b": "-1"}"#,
            r#"{"com.a.b": "+1"}"#,
            r#"{"com.a.b": "5.0"}"#,
            r#"{"com.a.b": "9223372036854775808"}"#,
            r#"{"com.a.b": []}"#,
            r#"{"com.a.b": [3]}"#,
            r#"{"com.a.b": {}}"#,
            r#"{"com.a.b": {"md5": "a"}}"#,
            r#"{"com.a.b": {"versionCode": null}}"#,
            r#"{"com.a.b": {"versionCode": -1}}"#,
            r#"{"com.a.b": {"versionCode": {}}}"#,
            r#"{"com.a.b": {"version": 3}}"#,
            r#"{"com.a.b": {"versionCode": 1, "md5": 5}}"#,
            r#"{"com.a.b": {"versionCode": 1, "md5": []}}"#,
            r#"{"com.a.b": 1, "com.c.d": "x"}"#,
            r#"{"versionCode": 3}"#,
            r#"{"packageName": "com.a.b"}"#,
            r#"{"packageName": "", "versionCode": 3}"#,
            r#"{"packageName": 5, "versionCode": 3}"#,
            r#"{"identifier": " ", "versionCode": 3}"#,
            r#"{"identifier": null, "versionCode": 3}"#,
            r#"[{"com.a.b": 3}]"#,
            r#"[{"packageName": "com.a.b", "versionCode": 3}, {"com.a.b": 3}]"#,
            r#"[{"packageName": "com.a.b", "versionCode": 3.0}]"#,
            r#"[{"versionCode": 3}]"#,
            "[{}]",
            "[null]",
            "[5]",
            r#"["com.a.b"]"#,
            "[[]]",
            r#"[[{"packageName": "com.a.b", "versionCode": 3}]]"#,
        ],
    ),
    (
        "org_info",
        &[
            "5",
            "true",
            "1.5",
            r#"{"l1Code": 1.5}"#,
            r#"{"l1Code": 8007.0}"#,
            r#"{"l3Code": 1e3}"#,
            r#"{"l1Code": true}"#,
            r#"{"l1Code": []}"#,
            r#"{"l1Code": ["HM"]}"#,
            r#"{"l5Code": {}}"#,
            r#"{"l2_code": false}"#,
            r#"{"l4": [1]}"#,
            "[null]",
            "[5]",
            r#"["HM"]"#,
            r#"["HM", "HM-SH", "8007"]"#,
            "[[]]",
            r#"[{"l1Code": "HM"}, {"l1Code": 1.5}]"#,
            r#"[[{"l1Code": "HM"}]]"#,
        ],
    ),
    (
        "attributes",
        &[
            "5",
            "true",
            "1.5",
            "[1]",
            r#"["a"]"#,
            "[{}]",
            r#"[{"a": 1}]"#,
            r#"{"a": []}"#,
            r#"{"a": [1]}"#,
            r#"{"a": {"b": []}}"#,
            r#"{"a.b": 1, "a": {"b": 2}}"#,
            r#"{"a": {"b": 2}, "a.b": 1}"#,
            r#"{"a": {"b.c": 2, "b": {"c": 1}}}"#,
        ],
    ),
];

/// Texts that are not JSON.
const NO_JSON: [&str; 16] = [
    "x",
    "{",
    "}",
    "[",
    "{]",
    "{a:1}",
    "{'a':1}",
    r#"{"a"}"#,
    r#"{"a":}"#,
    r#"{"a":1,}"#,
    "{} {}",
    "{}x",
    "nul",
    "NaN",
    "undefined",
    "a=b",
];

/// Returns documents nested deeper than 8, in arrays and in objects; `{}` has depth 1.
fn too_deep() -> [String; 6] {
    let objects = format!("{}{{}}{}", r#"{"a":"#.repeat(8), "}".repeat(8));
    let arrays = format!("{}{}", "[".repeat(9), "]".repeat(9));
    let very = format!("{}{}", "[".repeat(100), "]".repeat(100));
    [
        json!(objects).to_string(),
        json!(arrays).to_string(),
        json!(very).to_string(),
        objects,
        arrays,
        very,
    ]
}

/// Returns documents over 64 KiB, as text and in compact form.
fn too_large(field: &str) -> [String; 2] {
    let name = "a".repeat(64 * 1024 - 5);
    let value = if field == "org_info" { r#""1""# } else { "1" };
    // One byte too many: a name, two quotes, two braces, a colon and the value.
    let document = format!("{{\"{name}\":{value}}}");
    [json!(document).to_string(), document]
}
