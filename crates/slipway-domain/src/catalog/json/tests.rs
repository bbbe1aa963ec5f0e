//! Tests of the preservation of numbers, keys and white space.

use serde_json::value::RawValue;

use super::{JsonText, Node, compact_length, last_of_each};
use crate::catalog::field::Invalid;

fn compacted(sent: &str) -> Result<String, Invalid> {
    let raw: &RawValue = serde_json::from_str(sent).unwrap();
    let length = compact_length(raw);
    let compacted = JsonText::compacted(raw)?;
    if !sent.contains("\"a\":1,\"b\":2,\"a\"") {
        assert_eq!(length, compacted.as_str().len(), "{sent}");
    }
    Ok(compacted.as_str().to_owned())
}

#[test]
fn repeated_keys_are_kept() {
    let Ok(Node::Object(members)) = Node::parse(r#"{"a":1,"b":2,"a":3}"#, 8) else {
        panic!("an object");
    };
    assert_eq!(members.len(), 3);
    let kept = last_of_each(members);
    assert_eq!(kept[0], ("a".into(), Node::Number("3".into())));
    assert_eq!(kept.len(), 2);
}

#[test]
fn depth_is_limited_and_counted_from_one() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Node::parse(&nested(8), 8).is_ok());
    assert!(
        Node::parse(&nested(9), 8)
            .unwrap_err()
            .contains("nested deeper than 8")
    );
    assert!(Node::parse(&nested(100_000), 8).is_err());
}

#[test]
fn exactly_one_value_is_read() {
    for text in [
        "{} {}",
        "{'a': 1}",
        "",
        "[1 2]",
        "[1,]",
        "01",
        "1.",
        "+1",
        "\"a",
        "\"\\ud800\"",
    ] {
        assert!(Node::parse(text, 8).is_err(), "{text}");
    }
}

#[test]
fn the_compact_form_keeps_numbers_to_the_character() {
    for number in [
        "0.9215686321258545",
        "18446744073709551616",
        "-0",
        "-0.0",
        "1.0",
        "1e5",
        "1E+5",
        "1e999999999",
        "100000000000000000000000000000000000000001",
        "0.1000",
    ] {
        let sent = format!(" {{ \"n\" : [ {number} , {{\"m\": {number}}} ] }} ");
        let kept = format!("{{\"n\":[{number},{{\"m\":{number}}}]}}");
        assert_eq!(compacted(&sent).unwrap(), kept);
    }
}

#[test]
fn the_compact_form_is_that_of_other_writers() {
    for sent in [
        r#"{"b": [true, false, null, "x"], "a": {}, "c": []}"#,
        r#"{"\u0061\/": "\u4e2d\t\"\\ é"}"#,
        r#"{"a":1,"b":2,"a":{"c":3}}"#,
        r#""text""#,
        "12",
    ] {
        let value: serde_json::Value = serde_json::from_str(sent).unwrap();
        assert_eq!(compacted(sent).unwrap(), value.to_string());
    }
}

#[test]
fn private_names_of_serde_json_are_names_like_any_other() {
    for sent in [
        r#"{"a":{"$serde_json::private::Number":"1"}}"#,
        r#"{"a":{"$serde_json::private::RawValue":"[1,2]"}}"#,
    ] {
        assert_eq!(compacted(sent).unwrap(), sent);
    }
}

#[test]
fn only_the_order_of_members_makes_no_difference() {
    let same = |a: &str, b: &str| {
        let text = |text: &str| JsonText::checked(text.to_owned()).unwrap();
        text(a).is_equivalent_to(&text(b))
    };
    assert!(same(
        r#"{"a":1,"b":{"c":2,"d":3}}"#,
        r#"{"b":{"d":3,"c":2},"a":1}"#
    ));
    assert!(!same("[1,2]", "[2,1]"));
    assert!(!same("1", "1.0"));
}
