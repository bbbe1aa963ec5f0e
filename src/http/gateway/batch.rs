//! Batches: several calls in one request. The query contains the public parameters, the body one URL-encoded text per
//! call.

use super::errors::invalid_argument;
use std::net::IpAddr;

use actix_web::web;

use super::method::ResponseContext;
use super::pipeline;
use super::request_id;
use crate::services::{CALL_LIMIT, Context};
use crate::timer;
use slipway_domain::catalog::field::excerpt;
use slipway_gateway::envelope::{self, Format};
use slipway_gateway::error::GatewayError;
use slipway_gateway::params::{BodyKind, Params};

/// Maximum number of calls in a batch.
const MAX_CALLS: usize = 50;
/// Maximum bytes that the calls of a batch parse together. Shared parameters count once for each call.
const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of the answers. Beyond it, the remaining calls of the batch are answered with an error.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
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
const QUERY_SUFFIX: &str = "v2.0";

/// Answers a batch with the answers of its calls, in order and joined by the separator. An error applies to the whole
/// batch.
pub(super) async fn answer(
    ctx: &web::Data<Context>,
    query: &Params<'_>,
    format: Format,
    body: &str,
    separator: Option<&str>,
    source: Option<IpAddr>,
) -> Result<Vec<u8>, GatewayError> {
    let verified = pipeline::verify_batch(ctx, query, body, source)?;
    reject_ambiguous_query(query)?;
    let separator = separator.filter(|text| !text.is_empty()).unwrap_or(SEPARATOR);
    if separator.len() > MAX_SEPARATOR_BYTES {
        return Err(GatewayError::too_large(
            "the separator may have at most 128 bytes",
        ));
    }
    let (shared, pieces) = split(body, separator);
    if pieces.is_empty() {
        return Err(GatewayError::missing_method());
    }
    if pieces.len() > MAX_CALLS {
        return Err(GatewayError::too_large(
            "at most 50 calls are answered in one batch",
        ));
    }
    let own: usize = pieces.iter().map(|piece| piece.len()).sum();
    if shared.len().saturating_mul(pieces.len()).saturating_add(own) > MAX_READ_BYTES {
        return Err(GatewayError::too_large(
            "the calls of a batch may have at most 4 MiB together; shared parameters count for each",
        ));
    }
    let mut answers = Vec::new();
    let began = timer::runtime_now();
    for (index, piece) in pieces.into_iter().enumerate() {
        if index > 0 {
            answers.extend_from_slice(separator.as_bytes());
            // A batch is as much work as many requests, so it yields to other requests between its calls.
            tokio::task::yield_now().await;
        }
        let refusal = if began.elapsed() >= CALL_LIMIT {
            Some(GatewayError::remote_unavailable(
                "earlier calls of this batch took too long; this call was not executed: send it again",
            ))
        } else if answers.len() >= MAX_ANSWER_BYTES {
            Some(GatewayError::too_large(
                "the answers of this batch are larger than 4 MiB; send this call again in another batch",
            ))
        } else {
            None
        };
        match refusal {
            None => answers.extend(answer_one(ctx, &verified, format, shared, piece).await),
            Some(error) => answers.extend(envelope::failure(format, &error, &request_id())),
        }
    }
    Ok(answers)
}

/// Rejects queries whose border to the body could move. The signed text is that of the query with the body appended.
///
/// The query ends with `v2.0`, because `v` is the last name that it may contain and its value is exactly `2.0`. Suppose
/// a signed text has two readings. The longer query then contains the `v2.0` that ends the shorter one. This `v2.0`
/// lies inside a value, because no other name contains a `v`. It cannot lie in a restricted value (a known app key, a
/// format, an algorithm, a timestamp), because none contains `v2.0` either. It therefore lies inside a free text, and
/// such a text is rejected.
fn reject_ambiguous_query(query: &Params<'_>) -> Result<(), GatewayError> {
    for (name, value) in query.as_one_set().unwrap_or_default().iter() {
        if !QUERY_NAMES.contains(&name) {
            let why = format!(
                "the query of a batch may only contain public parameters, not {}",
                excerpt(name)
            );
            return Err(invalid_argument(name, &why));
        }
        if FREE_TEXT_PARAMS.contains(&name) && value.contains(QUERY_SUFFIX) {
            let why =
                format!("{name} may not contain {QUERY_SUFFIX}, which ends the signed text of the query");
            return Err(invalid_argument(name, &why));
        }
    }
    Ok(())
}

/// Returns the parameters shared by all calls, and the own parameters of each call. Every piece is a call, even an
/// empty one. The number of answers then equals the number that a client expects when it splits by the separator.
fn split<'a>(body: &'a str, separator: &str) -> (&'a str, Vec<&'a str>) {
    // Bounds the number of pieces, but still detects an excess. The separator may be a single letter in a body of 1
    // MiB.
    let pieces = body.split(separator).take(MAX_CALLS + 2);
    let mut pieces: Vec<_> = pieces.map(without_line_breaks).collect();
    let shared = pieces.first().and_then(|first| first.strip_prefix(PUBLIC_MARK));
    if shared.is_some() {
        pieces.remove(0);
    }
    for piece in &mut pieces {
        if *piece == NO_PARAMETERS {
            *piece = "";
        }
    }
    (shared.unwrap_or_default(), pieces)
}

/// Trims line breaks. A separator from a header cannot contain them, but clients add them around it. URL-encoded text
/// contains none.
fn without_line_breaks(piece: &str) -> &str {
    piece.trim_matches(['\r', '\n'])
}

async fn answer_one(
    ctx: &web::Data<Context>,
    verified: &pipeline::VerifiedCall<'_>,
    format: Format,
    shared: &str,
    own: &str,
) -> Vec<u8> {
    let id = request_id();
    let answered = match Params::read(shared, own.as_bytes(), &BodyKind::Form) {
        Err(error) => Err(error),
        Ok(params) if params.as_one_set().is_none() => Err(GatewayError::invalid_signature()),
        Ok(params) => {
            let response_context = ResponseContext {
                format,
                request_id: &id,
            };
            let answered = pipeline::answer_in_batch(ctx, &params, verified, response_context).await;
            answered.map(|answer| answer.body)
        }
    };
    answered.unwrap_or_else(|error| envelope::failure(format, &error, &id))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let refused = |query: &str| {
            reject_ambiguous_query(&Params::of_query(query).unwrap())
                .map_err(|error| error.sub_code.unwrap_or_default())
        };
        assert_eq!(refused("app_key=1&v=2.0&partner_id=v2&session=2.0"), Ok(()));
        for (query, name) in [
            ("app_key=1&v=2.0&method=x", "method"),
            ("v=2.0&version_code=1", "version_code"),
            ("v=2.0&session=av2.0b", "session"),
            ("v=2.0&simplify=truev2.0", "simplify"),
        ] {
            assert_eq!(refused(query), Err(format!("isv.invalid-parameter:{name}")));
        }
    }
}
