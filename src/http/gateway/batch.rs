//! Batches: several calls in one request, each with its own answer.

use std::net::IpAddr;

use actix_web::web;
use tokio::time::Instant;

use super::errors::invalid_argument;
use super::method::ResponseContext;
use super::pipeline::{self, VerifiedCall};
use super::request_id;
use crate::services::{CALL_LIMIT, Context};
use crate::timer;
use slipway_domain::catalog::field::excerpt;
use slipway_gateway::batch::{
    BatchCalls, QUERY_SUFFIX, QueryRefusal, require_unambiguous_query, separator as separator_of,
};
use slipway_gateway::envelope::{self, Format};
use slipway_gateway::error::GatewayError;
use slipway_gateway::params::{BodyKind, Params};

/// Maximum size of the answers. Beyond it, the remaining calls of the batch are answered with an error.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

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
    require_unambiguous_query(query).map_err(query_error)?;
    let separator = separator_of(separator)?;
    let calls = BatchCalls::read(body, separator)?;
    let mut answers = Vec::new();
    let began = timer::runtime_now();
    for (index, own) in calls.own.into_iter().enumerate() {
        if index > 0 {
            answers.extend_from_slice(separator.as_bytes());
            // A batch is as much work as many requests, so it yields to other requests between its calls.
            tokio::task::yield_now().await;
        }
        match refusal(began, answers.len()) {
            None => answers.extend(answer_one(ctx, &verified, format, calls.shared, own).await),
            Some(error) => answers.extend(envelope::failure(format, &error, &request_id())),
        }
    }
    Ok(answers)
}

/// Returns the error for the next call once the batch has taken too long or its answers are too large.
fn refusal(began: Instant, answer_bytes: usize) -> Option<GatewayError> {
    if began.elapsed() >= CALL_LIMIT {
        Some(GatewayError::remote_unavailable(
            "earlier calls of this batch took too long; this call was not executed: send it again",
        ))
    } else if answer_bytes >= MAX_ANSWER_BYTES {
        Some(GatewayError::too_large(
            "the answers of this batch are larger than 4 MiB; send this call again in another batch",
        ))
    } else {
        None
    }
}

fn query_error(refusal: QueryRefusal<'_>) -> GatewayError {
    let (name, why) = match refusal {
        QueryRefusal::NotPublic(name) => (
            name,
            format!(
                "the query of a batch may only contain public parameters, not {}",
                excerpt(name)
            ),
        ),
        QueryRefusal::ContainsSuffix(name) => (
            name,
            format!("{name} may not contain {QUERY_SUFFIX}, which ends the signed text of the query"),
        ),
    };
    invalid_argument(name, &why)
}

async fn answer_one(
    ctx: &web::Data<Context>,
    verified: &VerifiedCall<'_>,
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
