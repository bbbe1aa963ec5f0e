//! Batches: several calls in one request. The query contains the public parameters, the body one URL-encoded text per
//! call.

use super::error::GatewayError;
use super::params::Params;

/// Maximum number of calls in a batch.
const MAX_CALLS: usize = 50;
/// Maximum bytes that the calls of a batch parse together. Shared parameters count once for each call.
const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// Maximum length of the separator, which is repeated between the answers.
const MAX_SEPARATOR_BYTES: usize = 128;
const SEPARATOR: &str = "\r\n-S-\r\n";
/// Prefix of the first piece if it contains parameters shared by all calls.
const PUBLIC_MARK: &str = "#PUBLIC#";
/// Placeholder for a call without parameters of its own.
const NO_PARAMETERS: &str = "N";
/// Parameters allowed in the query of a batch.
const QUERY_NAMES: [&str; 10] = [
    "app_key",
    "format",
    "partner_id",
    "session",
    "sign",
    "sign_method",
    "simplify",
    "target_app_key",
    "timestamp",
    "v",
];
/// Query parameters that may contain any text.
const FREE_TEXT_PARAMS: [&str; 4] = ["partner_id", "session", "simplify", "target_app_key"];
/// End of the signed text of a query.
pub const QUERY_SUFFIX: &str = "v2.0";

/// Calls of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct BatchCalls<'a> {
    /// Parameters shared by all calls.
    pub shared: &'a str,
    /// Own parameters of each call.
    pub own: Vec<&'a str>,
}

/// Parameter that makes the query of a batch ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryRefusal<'a> {
    /// Not a public parameter.
    NotPublic(&'a str),
    /// The value contains [`QUERY_SUFFIX`].
    ContainsSuffix(&'a str),
}

/// Returns the separator of the calls, which a client may choose.
pub fn separator(chosen: Option<&str>) -> Result<&str, GatewayError> {
    let separator = chosen.filter(|text| !text.is_empty()).unwrap_or(SEPARATOR);
    if separator.len() > MAX_SEPARATOR_BYTES {
        return Err(GatewayError::too_large(
            "the separator may have at most 128 bytes",
        ));
    }
    Ok(separator)
}

impl<'a> BatchCalls<'a> {
    /// Splits the body into calls, and rejects a batch that is too large.
    pub fn read(body: &'a str, separator: &str) -> Result<Self, GatewayError> {
        let calls = Self::split(body, separator);
        if calls.own.is_empty() {
            return Err(GatewayError::missing_method());
        }
        if calls.own.len() > MAX_CALLS {
            return Err(GatewayError::too_large(
                "at most 50 calls are answered in one batch",
            ));
        }
        if calls.parsed_bytes() > MAX_READ_BYTES {
            return Err(GatewayError::too_large(
                "the calls of a batch may have at most 4 MiB together; shared parameters count for each",
            ));
        }
        Ok(calls)
    }

    /// Every piece is a call, even an empty one. The number of answers then equals the number that a client expects when
    /// it splits by the separator.
    fn split(body: &'a str, separator: &str) -> Self {
        // Bounds the number of pieces, but still detects an excess. The separator may be a single letter in a body of 1
        // MiB.
        let pieces = body.split(separator).take(MAX_CALLS + 2);
        let mut own: Vec<_> = pieces.map(without_line_breaks).collect();
        let shared = own.first().and_then(|first| first.strip_prefix(PUBLIC_MARK));
        if shared.is_some() {
            own.remove(0);
        }
        for piece in &mut own {
            if *piece == NO_PARAMETERS {
                *piece = "";
            }
        }
        Self {
            shared: shared.unwrap_or_default(),
            own,
        }
    }

    fn parsed_bytes(&self) -> usize {
        let own: usize = self.own.iter().map(|piece| piece.len()).sum();
        self.shared
            .len()
            .saturating_mul(self.own.len())
            .saturating_add(own)
    }
}

/// Trims line breaks. A separator from a header cannot contain them, but clients add them around it. URL-encoded text
/// contains none.
fn without_line_breaks(piece: &str) -> &str {
    piece.trim_matches(['\r', '\n'])
}

/// Rejects queries whose border to the body could move. The signed text is that of the query with the body appended.
///
/// The query ends with `v2.0`, because `v` is the last name that it may contain and its value is exactly `2.0`. Suppose
/// a signed text has two readings. The longer query then contains the `v2.0` that ends the shorter one. This `v2.0`
/// lies inside a value, because no other name contains a `v`. It cannot lie in a restricted value (a known app key, a
/// format, an algorithm, a timestamp), because none contains `v2.0` either. It therefore lies inside a free text, and
/// such a text is rejected.
pub fn require_unambiguous_query<'a>(query: &'a Params<'_>) -> Result<(), QueryRefusal<'a>> {
    for (name, value) in query.as_one_set().unwrap_or_default().iter() {
        if !QUERY_NAMES.contains(&name) {
            return Err(QueryRefusal::NotPublic(name));
        }
        if FREE_TEXT_PARAMS.contains(&name) && value.contains(QUERY_SUFFIX) {
            return Err(QueryRefusal::ContainsSuffix(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(body: &'a str, separator: &str) -> (&'a str, Vec<&'a str>) {
        let calls = BatchCalls::split(body, separator);
        (calls.shared, calls.own)
    }

    #[test]
    fn every_piece_is_a_call() {
        assert_eq!(split("a=1\r\n-S-\r\na=2", SEPARATOR), ("", vec!["a=1", "a=2"]));
        assert_eq!(split("#PUBLIC#m=1\r\n-S-\r\nN", SEPARATOR), ("m=1", vec![""]));
        assert_eq!(split("#PUBLIC#m=1", SEPARATOR), ("m=1", vec![]));
        assert_eq!(split("", SEPARATOR), ("", vec![""]));
        assert_eq!(
            split("a=1\r\n-S-\r\n\r\n-S-\r\n", SEPARATOR),
            ("", vec!["a=1", "", ""])
        );
        assert_eq!(split("a=1\r\n@@\r\na=N@@N", "@@"), ("", vec!["a=1", "a=N", ""]));
    }

    #[test]
    fn a_query_is_read_in_one_way() {
        let accepted = Params::of_query("app_key=1&v=2.0&partner_id=v2&session=2.0").unwrap();
        assert_eq!(require_unambiguous_query(&accepted), Ok(()));
        for (query, refusal) in [
            ("app_key=1&v=2.0&method=x", QueryRefusal::NotPublic("method")),
            ("v=2.0&version_code=1", QueryRefusal::NotPublic("version_code")),
            ("v=2.0&session=av2.0b", QueryRefusal::ContainsSuffix("session")),
            (
                "v=2.0&simplify=truev2.0",
                QueryRefusal::ContainsSuffix("simplify"),
            ),
        ] {
            let query = Params::of_query(query).unwrap();
            assert_eq!(require_unambiguous_query(&query), Err(refusal));
        }
    }
}
