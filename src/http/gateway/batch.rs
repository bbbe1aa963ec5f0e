//! Several calls in one request: public parameters in the query, one URL-encoded text per call in the body.

use std::net::IpAddr;

use actix_web::web;
use tokio::time::Instant;

use super::envelope::{self, Format};
use super::error::GatewayError;
use super::methods::Asked;
use super::params::{BodyKind, Params};
use super::pipeline;
use super::request_id;
use crate::catalog::field::excerpt;
use crate::services::{CALL_LIMIT, Context};

/// More calls than one batch may have.
const MAX_CALLS: usize = 50;
/// The most bytes that the calls of a batch read together. What they share is read for each of them.
const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// Once the answers have this many bytes, the remaining calls are answered with an error.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The longest separator; it is repeated between the answers.
const MAX_SEPARATOR_BYTES: usize = 128;
const SEPARATOR: &str = "\r\n-S-\r\n";
/// Before parameters that all calls share, in the first piece.
const PUBLIC_MARK: &str = "#PUBLIC#";
/// Stands for a call without parameters of its own.
const NO_PARAMETERS: &str = "N";
/// What a batch's query may hold.
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
/// Those of the query that can be any text.
const FREE_TEXTS: [&str; 4] = ["partner_id", "session", "simplify", "target_app_key"];
/// How the signed text of a query ends.
const END_OF_QUERY: &str = "v2.0";

/// Answers a batch: the answers in their order, joined by the separator; an error is one for the whole batch.
pub(super) async fn answer(
    ctx: &web::Data<Context>,
    query: &Params<'_>,
    format: Format,
    body: &str,
    separator: Option<&str>,
    source: Option<IpAddr>,
) -> Result<Vec<u8>, GatewayError> {
    let verified = pipeline::verify_batch(ctx, query, body, source)?;
    refuse_movable_border(query)?;
    let separator = separator.filter(|text| !text.is_empty()).unwrap_or(SEPARATOR);
    if separator.len() > MAX_SEPARATOR_BYTES {
        return Err(GatewayError::too_large(
            "a separator of at most 128 bytes is taken",
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
            "the calls of a batch read at most 4 MiB together, and each reads what all share",
        ));
    }
    let mut answers = Vec::new();
    let began = Instant::now();
    for (index, piece) in pieces.into_iter().enumerate() {
        if index > 0 {
            answers.extend_from_slice(separator.as_bytes());
            // A batch is as much work as many requests; those of others go between.
            tokio::task::yield_now().await;
        }
        let refusal = if began.elapsed() >= CALL_LIMIT {
            Some(GatewayError::remote_unavailable(
                "the calls of this batch before it took too long; it was not done: send it again",
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

/// The signed text is the query's with the body appended, so the border between them could move. `v` is the last name
/// that a query may hold, and its value is exactly `2.0`: of two readings the one with the longer query has the
/// `v2.0` that ends the shorter one inside of a value, since no name has a `v` before its end. The values that are not
/// free (a known app key, a format, an algorithm, a timestamp) have none either, so it is inside of a free text; and
/// such a text is refused.
fn refuse_movable_border(query: &Params<'_>) -> Result<(), GatewayError> {
    for (name, value) in query.as_one_set().unwrap_or_default().iter() {
        if !QUERY_NAMES.contains(&name) {
            let why = format!(
                "the query of a batch holds public parameters alone, not {}",
                excerpt(name)
            );
            return Err(GatewayError::invalid_argument(name, &why));
        }
        if FREE_TEXTS.contains(&name) && value.contains(END_OF_QUERY) {
            let why =
                format!("{name} may not contain {END_OF_QUERY}, which ends the signed text of the query");
            return Err(GatewayError::invalid_argument(name, &why));
        }
    }
    Ok(())
}

/// The parameters that all calls share, and each call's own. Every piece is a call, an empty one too, so that there are
/// as many answers as a client that splits by the separator expects.
fn split<'a>(body: &'a str, separator: &str) -> (&'a str, Vec<&'a str>) {
    // Enough to see that there are too many: a separator may be one letter of a megabyte.
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

/// A separator from a header cannot hold line breaks, but clients put them around it. URL-encoded text has none.
fn without_line_breaks(piece: &str) -> &str {
    piece.trim_matches(['\r', '\n'])
}

async fn answer_one(
    ctx: &web::Data<Context>,
    verified: &pipeline::Verified<'_>,
    format: Format,
    shared: &str,
    own: &str,
) -> Vec<u8> {
    let id = request_id();
    let answered = match Params::read(shared, own.as_bytes(), &BodyKind::Form) {
        Err(error) => Err(error),
        Ok(params) if params.as_one_set().is_none() => Err(GatewayError::invalid_signature()),
        Ok(params) => {
            let asked = Asked {
                format,
                request_id: &id,
            };
            let answered = pipeline::answer_in_batch(ctx, &params, verified, asked).await;
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
            refuse_movable_border(&Params::of_query(query).unwrap())
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
