//! Exhaustive search for all readings of a signed text as parameters. It follows the protocol's specification, not the
//! code.

use std::collections::BTreeMap;

use super::fixture::TIMESTAMP;

/// Possible values of a parameter in a check that is answered, according to the public protocol. A text split in
/// another way is an error under any interpretation.
pub(super) type IsPossible<'a> = &'a dyn Fn(&str, &str) -> bool;

/// Names and values in ascending order of names.
pub(super) type Reading = Vec<(String, String)>;

/// Maximum number of steps for one text.
const MAX_STEPS: usize = 100_000;

/// Returns up to `limit` readings of a text with these names.
pub(super) fn readings(
    text: &str,
    names: &[&str],
    is_possible: IsPossible<'_>,
    limit: usize,
) -> Vec<Reading> {
    let mut cutter = Cutter {
        text,
        names,
        is_possible,
        limit,
        steps: 0,
        found: Vec::new(),
    };
    cutter.cut(0, &mut Vec::new());
    cutter.found
}

struct Cutter<'a> {
    text: &'a str,
    names: &'a [&'a str],
    is_possible: IsPossible<'a>,
    limit: usize,
    steps: usize,
    found: Vec<Reading>,
}

impl Cutter<'_> {
    fn cut(&mut self, position: usize, before: &mut Reading) {
        self.steps += 1;
        if self.found.len() >= self.limit || self.steps > MAX_STEPS {
            return;
        }
        let rest = &self.text[position..];
        let last = before.last().map(|(name, _)| name.clone()).unwrap_or_default();
        for name in self
            .names
            .iter()
            .filter(|name| **name > last.as_str() && rest.starts_with(**name))
        {
            let start = position + name.len();
            for end in start..=self.text.len() {
                if !self.text.is_char_boundary(end) || !self.can_end(end, name) {
                    continue;
                }
                let value = &self.text[start..end];
                if !(self.is_possible)(name, value) {
                    continue;
                }
                before.push(((*name).to_owned(), value.to_owned()));
                if end == self.text.len() {
                    self.found.push(before.clone());
                } else {
                    self.cut(end, before);
                }
                before.pop();
            }
        }
    }

    /// Returns true at the end of the text, or if a later name begins there.
    fn can_end(&self, end: usize, name: &str) -> bool {
        let rest = &self.text[end..];
        rest.is_empty()
            || self
                .names
                .iter()
                .any(|next| *next > name && rest.starts_with(next))
    }
}

#[test]
fn every_way_to_cut_a_text_is_found() {
    let found = readings("a1b2b3", &["a", "b", "c"], &|_, _| true, 100);
    let text = |reading: &Reading| {
        let pairs: Vec<_> = reading
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    };
    let found: Vec<_> = found.iter().map(text).collect();
    assert_eq!(found, ["a=1&b=2b3", "a=1b2&b=3", "a=1b2b3"]);
    let digits = |_: &str, value: &str| value.bytes().all(|byte| byte.is_ascii_digit());
    assert!(readings("a1b2b3", &["a", "b", "c"], &digits, 100).is_empty());
}

/// The tests' instant in milliseconds.
pub(super) const MILLISECONDS: &str = "1772416800000";

/// Returns true if a public parameter of a call can have a value according to the protocol, and `None` for any other
/// parameter.
pub(super) fn is_possible_of_public(
    (app_key, method): (&str, &str),
    name: &str,
    value: &str,
) -> Option<bool> {
    let blank = value.trim().is_empty();
    Some(match name {
        "app_key" => value == app_key,
        "method" => value == method,
        "v" => value == "2.0",
        "timestamp" => value == TIMESTAMP || value == MILLISECONDS,
        "format" => blank || ["json", "xml"].contains(&value),
        "sign_method" => blank || ["md5", "hmac", "hmac-sha256"].contains(&value),
        _ => return None,
    })
}

/// Returns the effective parameters: blank ones are removed, and defaults are filled in.
pub(super) fn meaning(params: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let given = params.iter().filter(|(_, value)| !value.trim().is_empty());
    let mut meaning: BTreeMap<_, _> = BTreeMap::from([("format", "xml"), ("sign_method", "md5")]);
    meaning.extend(given.map(|(name, value)| (name.as_str(), value.as_str())));
    meaning
}
