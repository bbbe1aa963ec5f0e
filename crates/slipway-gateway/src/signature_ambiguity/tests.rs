use super::super::sign::canonical_text;
use super::*;

const READ: &[ReadParameter] = &[
    ("attributes", ValueKind::Json),
    ("device_id", ValueKind::Text),
    ("device_type", ValueKind::Text),
    ("old_versions", ValueKind::Json),
    ("package_name", ValueKind::Text),
    ("tenant_id", ValueKind::Integer),
    ("version_code", ValueKind::Integer),
];

fn read(required: &[&'static str]) -> ReadParameters {
    ReadParameters {
        all: READ.to_vec(),
        required: required.to_vec(),
    }
}

fn ambiguous<'a>(params: &[(&'a str, &'a str)]) -> Option<&'a str> {
    let params = params.iter().copied().collect();
    let found = ambiguous_parameter(&params, &read(&[]));
    let may_be_ambiguous = may_be_ambiguous(&params, &canonical_text(&params), READ.iter().copied());
    assert!(may_be_ambiguous || found.is_none(), "{params:?}");
    found
}

#[test]
fn honest_values_are_read_in_one_way() {
    assert_eq!(
        ambiguous(&[
            ("attributes", r#"{"device_id":"1","version_code":2}"#),
            ("device_id", "12345"),
            ("device_type", "10013"),
            ("old_versions", r#"{"a":{"version_code":3},"tenant_id":4}"#),
            ("package_name", "com.vendor.app"),
            ("tenant_id", "10000000"),
            ("version_code", "1"),
        ]),
        None
    );
    assert_eq!(
        ambiguous(&[("device_id", "device_id"), ("version_code", "1")]),
        None
    );
    assert_eq!(
        ambiguous(&[("package_name", "com.version_code.app"), ("version_code", "1")]),
        None
    );
    assert_eq!(
        ambiguous(&[("device_id", "attributes5"), ("version_code", "1")]),
        None
    );
}

#[test]
fn a_value_that_hides_a_parameter_is_found() {
    assert_eq!(
        ambiguous(&[("device_id", "1device_type2"), ("version_code", "1")]),
        Some("device_id")
    );
    assert_eq!(
        ambiguous(&[("device_id", "1old_versions{}"), ("version_code", "1")]),
        Some("device_id")
    );
    assert_eq!(
        ambiguous(&[("package_name", "atenant_id7"), ("version_code", "1")]),
        Some("package_name")
    );
    assert_eq!(
        ambiguous(&[("device_id", "1device_type2old_versions{}")]),
        Some("device_id")
    );
    assert_eq!(
        ambiguous(&[
            ("device_id", "1"),
            ("old_versions", r#"{"package_name":"a","version_code":"3"}"#)
        ]),
        None
    );
    assert_eq!(
        ambiguous(&[("device_id", r#"1old_versions{""#), ("package_name", r#"":"a"}"#)]),
        Some("device_id")
    );
    // The border between two present parameters moves.
    assert_eq!(
        ambiguous(&[("device_id", "1device_type9"), ("device_type", "2")]),
        Some("device_id")
    );
}

#[test]
fn a_parameter_that_nobody_reads_ends_a_run() {
    assert_eq!(
        ambiguous(&[("device_id", "1version_code2"), ("other", "x")]),
        None
    );
    assert_eq!(
        ambiguous(&[("device_id", "1device_type2"), ("other", "x")]),
        Some("device_id")
    );
}

#[test]
fn json_that_is_no_object_ends_too() {
    assert_eq!(
        ambiguous(&[("attributes", "null"), ("device_id", "1device_type2")]),
        Some("device_id")
    );
    assert_eq!(ambiguous(&[("attributes", "null"), ("device_id", "1")]), None);
}

#[test]
fn a_reading_without_what_is_required_is_none() {
    let params = ParameterSet::from_iter([
        ("device_id", "1"),
        ("package_name", "com.device_type.app"),
        ("version_code", "1"),
    ]);
    // Other reading: `device_id` `1package_namecom.` with `device_type` `.appversion_code1`.
    assert_eq!(ambiguous_parameter(&params, &read(&[])), Some("package_name"));
    assert_eq!(
        ambiguous_parameter(&params, &read(&["device_id", "package_name"])),
        None
    );
    assert_eq!(ambiguous_parameter(&params, &read(&["package_name"])), None);
    assert_eq!(
        ambiguous_parameter(&params, &read(&["device_id"])),
        Some("package_name")
    );
    let hidden = ParameterSet::from_iter([("device_id", "1device_type2"), ("version_code", "1")]);
    let required = read(&["device_id", "version_code"]);
    assert_eq!(ambiguous_parameter(&hidden, &required), Some("device_id"));
}

/// Largest texts with many possible readings. Trying every combination would not terminate in practice.
#[test]
fn long_texts_of_names_are_read_once() {
    let pieces = [
        "device_id1device_type2old_versions{}package_nameatenant_id7version_code1",
        "device_idattributesdevice_typeattributes",
        "attributes[\"attributes[\",",
        "attributes\"",
        "old_versions{\"",
        "tenant_id1version_code",
        "version_code ",
    ];
    for piece in pieces {
        let long = piece.repeat(300_000 / piece.len());
        let hidden = format!("{long}version_code");
        for value in [&long, &hidden] {
            let params = ParameterSet::from_iter([("device_id", value.as_str()), ("version_code", "1")]);
            ambiguous_parameter(&params, &read(&[]));
        }
    }
    let deep = "[".repeat(1_000_000);
    assert_eq!(ambiguous(&[("attributes", deep.as_str())]), None);
    let long = "device_type".repeat(90_000);
    let params = ParameterSet::from_iter([("device_id", long.as_str()), ("version_code", "1")]);
    assert_eq!(ambiguous_parameter(&params, &read(&[])), Some("device_id"));
}
