//! Conditional requests (RFC 9110, section 13).

use std::time::{Duration, SystemTime};

use actix_web::http::header::{
    self, HeaderMap, HeaderName, HttpDate, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};

use super::ranges::{RangeEffect, evaluate};

/// Validators and length of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Representation {
    /// Strong entity tag, with its quotes.
    pub(super) etag: String,
    /// In whole seconds.
    pub(super) last_modified: SystemTime,
    pub(super) length: u64,
}

/// Response that the headers of a GET or HEAD request ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    PreconditionFailed,
    NotModified,
    Content(RangeEffect),
}

/// Evaluates the conditions in the order of section 13.2.2.
pub(super) fn evaluate_conditions(headers: &HeaderMap, content: &Representation) -> Outcome {
    let is_strong_match = |tag: &str| tag == content.etag;
    let is_weak_match = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == content.etag;
    if headers.contains_key(IF_MATCH) {
        if !has_tag(headers, IF_MATCH, is_strong_match) {
            return Outcome::PreconditionFailed;
        }
    } else if date(headers, IF_UNMODIFIED_SINCE).is_some_and(|date| content.last_modified > date) {
        return Outcome::PreconditionFailed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if has_tag(headers, IF_NONE_MATCH, is_weak_match) {
            return Outcome::NotModified;
        }
    } else if date(headers, IF_MODIFIED_SINCE).is_some_and(|date| content.last_modified <= date) {
        return Outcome::NotModified;
    }
    Outcome::Content(range(headers, content))
}

fn range(headers: &HeaderMap, content: &Representation) -> RangeEffect {
    let mut all = headers.get_all(RANGE).filter_map(|range| range.to_str().ok());
    match (all.next(), all.next()) {
        (Some(range), None) if is_current(headers, content) => evaluate(range, content.length),
        _ => RangeEffect::Whole,
    }
}

/// Returns `true` without `If-Range`, or if it names this content.
fn is_current(headers: &HeaderMap, content: &Representation) -> bool {
    let Some(condition) = headers.get(IF_RANGE) else {
        return true;
    };
    let Ok(condition) = condition.to_str() else {
        return false;
    };
    condition == content.etag || parse_date(condition) == Some(content.last_modified)
}

/// Returns `true` if the header is `*` or has a matching entity tag.
fn has_tag(headers: &HeaderMap, name: HeaderName, is_match: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || is_match(tag))
}

/// Returns the date of a header; an invalid one counts as absent.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    parse_date(headers.get(name)?.to_str().ok()?)
}

fn parse_date(text: &str) -> Option<SystemTime> {
    text.parse::<HttpDate>().ok().map(SystemTime::from)
}

/// Returns the instant of whole seconds since the epoch.
pub(super) fn instant(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Returns the header of an instant.
pub(super) fn http_date(instant: SystemTime) -> String {
    header::HttpDate::from(instant).to_string()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EQUAL: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn outcome(headers: &[(&str, &str)]) -> Outcome {
        let content = Representation {
            etag: "\"a\"".to_owned(),
            last_modified: instant(784_111_777),
            length: 10,
        };
        let request = headers.iter().fold(TestRequest::default(), |request, header| {
            request.append_header(*header)
        });
        evaluate_conditions(request.to_http_request().headers(), &content)
    }

    #[test]
    fn conditions_are_evaluated_in_their_order() {
        let whole = Outcome::Content(RangeEffect::Whole);
        let part = Outcome::Content(RangeEffect::Part(2..4));
        let range = ("range", "bytes=2-3");
        for (headers, expected) in [
            (vec![], whole.clone()),
            (vec![range], part.clone()),
            (vec![("if-match", "\"a\"")], whole.clone()),
            (vec![("if-match", "\"b\", \"a\"")], whole.clone()),
            (vec![("if-match", "*")], whole.clone()),
            (vec![("if-match", "W/\"a\"")], Outcome::PreconditionFailed),
            (vec![("if-match", "\"b\"")], Outcome::PreconditionFailed),
            (
                vec![("if-match", "\"b\""), ("if-none-match", "\"a\"")],
                Outcome::PreconditionFailed,
            ),
            (vec![("if-unmodified-since", BEFORE)], Outcome::PreconditionFailed),
            (vec![("if-unmodified-since", EQUAL)], whole.clone()),
            (
                vec![("if-match", "\"a\""), ("if-unmodified-since", BEFORE)],
                whole.clone(),
            ),
            (vec![("if-none-match", "\"a\"")], Outcome::NotModified),
            (vec![("if-none-match", "W/\"a\""), range], Outcome::NotModified),
            (vec![("if-none-match", "\"b\"")], whole.clone()),
            (
                vec![("if-none-match", "\"b\""), ("if-modified-since", AFTER)],
                whole.clone(),
            ),
            (vec![("if-modified-since", EQUAL)], Outcome::NotModified),
            (vec![("if-modified-since", BEFORE)], whole.clone()),
            (vec![("if-modified-since", "yesterday")], whole.clone()),
            (vec![("if-range", "\"a\""), range], part.clone()),
            (vec![("if-range", "W/\"a\""), range], whole.clone()),
            (vec![("if-range", "\"b\""), range], whole.clone()),
            (vec![("if-range", EQUAL), range], part),
            (vec![("if-range", AFTER), range], whole.clone()),
            (vec![range, ("range", "bytes=0-1")], whole),
        ] {
            assert_eq!(outcome(&headers), expected, "{headers:?}");
        }
    }
}
