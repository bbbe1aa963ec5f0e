//! Several calls in one request: public parameters in the query, one URL-encoded text per call in the body.

use actix_web::web;

use super::envelope::{self, Format};
use super::error::GatewayError;
use super::methods::Asked;
use super::params::{BodyKind, Params};
use super::pipeline;
use super::request_id;
use crate::services::Context;

/// More calls than one batch may have.
const MAX_CALLS: usize = 50;
const SEPARATOR: &str = "\r\n-S-\r\n";
/// Before parameters that all calls share, in the first piece.
const PUBLIC_MARK: &str = "#PUBLIC#";
/// Stands for a call without parameters.
const NO_PARAMETERS: &str = "N";

/// Answers a batch: the answers in their order, joined by the separator; an error is one for the whole batch.
pub(super) async fn answer(
    ctx: &web::Data<Context>,
    query: &Params,
    format: Format,
    body: &str,
    separator: Option<&str>,
) -> Result<Vec<u8>, GatewayError> {
    let verified = pipeline::verify_batch(ctx, query, body)?;
    let separator = separator.filter(|text| !text.is_empty()).unwrap_or(SEPARATOR);
    let mut pieces: Vec<&str> = body.split(separator).collect();
    let shared = pieces
        .first()
        .and_then(|first| first.strip_prefix(PUBLIC_MARK))
        .unwrap_or_default();
    if pieces.first().is_some_and(|first| first.starts_with(PUBLIC_MARK)) {
        pieces.remove(0);
    }
    if pieces.len() > MAX_CALLS {
        return Err(GatewayError::too_large(
            "at most 50 calls are answered in one batch",
        ));
    }
    let mut answers = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let own = if piece == NO_PARAMETERS {
            ""
        } else {
            piece.trim_start_matches("\r\n")
        };
        answers.push(answer_one(ctx, &verified, format, shared, own).await);
    }
    Ok(answers.join(separator.as_bytes()))
}

async fn answer_one(
    ctx: &web::Data<Context>,
    verified: &pipeline::Verified,
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
