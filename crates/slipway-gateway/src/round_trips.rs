//! Property tests with generated values: the server decodes what a client encodes, and verifies what it signs.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::params::{BodyKind, Params};
use super::sign::{ParameterSet, canonical_text};

type Set = BTreeMap<String, String>;

/// Escaping style of a client.
#[derive(Debug, Clone, Copy)]
enum Escaping {
    /// Everything except letters and digits, in upper-case hexadecimal.
    Upper,
    /// Everything except letters and digits, in lower-case hexadecimal.
    Lower,
    /// Everything, including letters and digits.
    All,
    /// Only the characters that a form must escape.
    Least,
}

fn escaping() -> impl Strategy<Value = Escaping> {
    select(vec![
        Escaping::Upper,
        Escaping::Lower,
        Escaping::All,
        Escaping::Least,
    ])
}

/// URL-encodes a text; a space becomes `+` or an escape.
fn encode(text: &str, escaping: Escaping, plus: bool) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in text.bytes() {
        let is_plain = match escaping {
            Escaping::All => false,
            Escaping::Least => !b"&=%+ #".contains(&byte),
            Escaping::Upper | Escaping::Lower => byte.is_ascii_alphanumeric(),
        };
        match (is_plain, byte) {
            (_, b' ') if plus => encoded.push(b'+'),
            (true, _) => encoded.push(byte),
            (false, _) if matches!(escaping, Escaping::Lower) => {
                encoded.extend(format!("%{byte:02x}").bytes());
            }
            (false, _) => encoded.extend(format!("%{byte:02X}").bytes()),
        }
    }
    encoded
}

fn form(set: &Set, escaping: Escaping, plus: bool) -> Vec<u8> {
    let pairs: Vec<_> = set
        .iter()
        .map(|(name, value)| [encode(name, escaping, plus), encode(value, escaping, plus)].join(&b'='))
        .collect();
    pairs.join(&b'&')
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        select(vec![
            "&",
            "=",
            "%",
            "+",
            " ",
            "%41",
            "\r\n",
            "\r\n--1ae7d7eb",
            "--",
            "\"",
            ";",
            "杭州",
            "🚀",
            "\0",
            "{}",
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn set(name: &'static str) -> impl Strategy<Value = Set> {
    btree_map(name, value(), 0..20)
}

fn borrowed(set: &Set) -> ParameterSet<'_> {
    set.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// Implements the rule of the protocol literally: sort by bytes and concatenate.
fn signed_text(set: &Set, keeps: impl Fn(&str) -> bool) -> String {
    let mut pairs: Vec<_> = set
        .iter()
        .filter(|(name, value)| *name != "sign" && keeps(value))
        .collect();
    pairs.sort_by_key(|(name, _)| name.as_bytes().to_vec());
    let mut text = String::new();
    for (name, value) in pairs {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

proptest! {
    #[test]
    fn a_form_is_read_as_it_was_written(
        in_query in set("[a-z_]{1,12}|\\PC{1,4}"),
        in_body in set("[a-z_]{1,12}|\\PC{1,4}"),
        escaping in escaping(),
        plus: bool,
    ) {
        let query = String::from_utf8(form(&in_query, escaping, plus)).unwrap();
        let body = form(&in_body, escaping, plus);
        let params = Params::read(&query, &body, &BodyKind::Form).unwrap();
        let mut expected = in_query;
        expected.extend(in_body);
        prop_assert_eq!(params.as_one_set().unwrap(), borrowed(&expected));
    }

    #[test]
    fn parts_are_read_as_they_were_written(
        written in set("[a-z_]{1,12}"),
        before in select(vec!["", "\r\n", "preamble\r\n"]),
        separator in select(vec![": form-data; name=", ":form-data;name="]),
        more in select(vec!["", "\r\nContent-Type: text/plain; charset=UTF-8"]),
        boundary in "[0-9]{1,20}|-{2,26}[0-9a-f]{8}",
    ) {
        let delimiter = format!("\n--{boundary}");
        prop_assume!(written.values().all(|value| !value.contains(&delimiter)));
        // Such a value would be a delimiter at the beginning of a line.
        prop_assume!(written.values().all(|value| !value.starts_with(&delimiter[1..])));
        let mut body = before.to_owned();
        for (name, value) in &written {
            let part = format!("--{boundary}\r\nContent-Disposition{separator}\"{name}\"{more}\r\n\r\n{value}\r\n");
            body.push_str(&part);
        }
        let end = format!("--{boundary}--\r\n");
        body.push_str(&end);
        let kind = BodyKind::of(Some(&format!("multipart/form-data; boundary={boundary}")));
        let params = Params::read("", body.as_bytes(), &kind).unwrap();
        prop_assert_eq!(params.as_one_set().unwrap(), borrowed(&written));
    }

    #[test]
    fn the_signed_text_is_that_of_the_rule(written in set("[a-zA-Z_]{1,3}|sign|v|version_code|\\PC{1,2}")) {
        prop_assert_eq!(canonical_text(&borrowed(&written)), signed_text(&written, |_| true));
        prop_assert_eq!(
            canonical_text(&borrowed(&written).without_blanks()),
            signed_text(&written, |value| value.chars().any(|c| !c.is_whitespace()))
        );
    }

    #[test]
    fn whatever_arrives_is_read_or_refused(
        query in any::<String>(),
        body in vec(any::<u8>(), 0..300),
        content_type in "(multipart/form-data; boundary=)?[ -~]{0,20}",
    ) {
        for kind in [BodyKind::Form, BodyKind::of(Some(&content_type)), BodyKind::Multipart { boundary: "1".to_owned() }] {
            if let Err(error) = Params::read(&query, &body, &kind) {
                prop_assert!([43, 47].contains(&error.code));
            }
        }
    }
}
