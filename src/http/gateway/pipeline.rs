//! Steps from parameters to a verified call, in the order of the protocol's error table. No parameter is trusted before
//! the signature is verified.

use super::errors::{invalid_argument, wrong_arguments};
use std::net::IpAddr;

use actix_web::web;

use super::method::{Method, MethodAnswer, MethodCall, ResponseContext};
use super::methods;
use crate::services::gateway_keys::{GatewayKey, find_key};
use crate::services::{Context, ServiceError};
use slipway_domain::catalog::field::{FieldError, excerpt};
use slipway_gateway::envelope::Format;
use slipway_gateway::error::GatewayError;
use slipway_gateway::params::Params;
use slipway_gateway::sign::{ParameterSet, SignMethod, canonical_text};
use slipway_gateway::signature_ambiguity::{ambiguous_parameter, may_be_ambiguous};
use slipway_gateway::timestamp;

/// Call with a known caller.
pub(super) struct VerifiedCall<'p> {
    pub(super) key: GatewayKey,
    /// Signed parameters.
    signed: ParameterSet<'p>,
    /// Signed text.
    text: String,
    /// Signature as sent.
    signature: &'p str,
    /// Client address.
    source: Option<IpAddr>,
}

/// Required public parameter with the error for its absence.
type RequiredParam = (&'static str, fn() -> GatewayError);

const REQUIRED_PARAMS: [RequiredParam; 5] = [
    ("method", GatewayError::missing_method),
    ("app_key", GatewayError::missing_app_key),
    ("v", GatewayError::missing_version),
    ("timestamp", GatewayError::missing_timestamp),
    ("sign", GatewayError::missing_signature),
];

/// Returns the response format that the parameters request.
pub(super) fn format_of(params: &Params<'_>) -> Result<Format, GatewayError> {
    Format::parse(params.given("format"), params.get("simplify")).ok_or_else(GatewayError::invalid_format)
}

/// Answers a single call.
pub(super) async fn answer(
    ctx: &web::Data<Context>,
    params: &Params<'_>,
    response_context: ResponseContext<'_>,
    source: Option<IpAddr>,
) -> Result<MethodAnswer, GatewayError> {
    require(params, &REQUIRED_PARAMS)?;
    let verified = verify(ctx, params, "", source)?;
    let method = permitted_method(params, &verified)?;
    count_call(ctx, params, &verified)?;
    require_arguments(params, method)?;
    reject_unknown(params, method)?;
    reject_ambiguous(method, &verified)?;
    dispatch(ctx, params, method, &verified, response_context).await
}

/// Verifies a batch, whose query requires every public parameter except the method.
pub(super) fn verify_batch<'p>(
    ctx: &web::Data<Context>,
    query: &'p Params<'_>,
    body: &str,
    source: Option<IpAddr>,
) -> Result<VerifiedCall<'p>, GatewayError> {
    require(query, &REQUIRED_PARAMS[1..])?;
    verify(ctx, query, body, source)
}

/// Answers one call of a batch, which the signature of the batch covers.
pub(super) async fn answer_in_batch(
    ctx: &web::Data<Context>,
    params: &Params<'_>,
    verified: &VerifiedCall<'_>,
    response_context: ResponseContext<'_>,
) -> Result<MethodAnswer, GatewayError> {
    require(params, &REQUIRED_PARAMS[..1])?;
    let method = permitted_method(params, verified)?;
    count_call(ctx, params, verified)?;
    require_arguments(params, method)?;
    reject_unknown(params, method)?;
    dispatch(ctx, params, method, verified, response_context).await
}

fn require(params: &Params<'_>, required: &[RequiredParam]) -> Result<(), GatewayError> {
    match required.iter().find(|(name, _)| params.given(name).is_none()) {
        Some((_, missing)) => Err(missing()),
        None => Ok(()),
    }
}

/// Verifies the key, the version, the timestamp and the signature, in this order. `body` is the raw text that a batch
/// signs too.
fn verify<'p>(
    ctx: &web::Data<Context>,
    params: &'p Params<'_>,
    body: &str,
    source: Option<IpAddr>,
) -> Result<VerifiedCall<'p>, GatewayError> {
    let key =
        find_key(ctx.checks(), params.get("app_key").unwrap_or_default()).map_err(|error| match error {
            ServiceError::NoCatalog => GatewayError::unavailable(),
            _ => GatewayError::invalid_app_key(),
        })?;
    check_version(params.get("v").unwrap_or_default())?;
    if !timestamp::is_current(params.get("timestamp").unwrap_or_default(), ctx.now()) {
        return Err(GatewayError::invalid_timestamp());
    }
    let verified = verify_signature(params, body, key, source)?;
    verified.key.record_use(ctx.checks());
    Ok(verified)
}

fn check_version(text: &str) -> Result<(), GatewayError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(_) if text == "2.0" => Ok(()),
        Ok(_) if is_number => Err(GatewayError::unsupported_version()),
        _ => Err(GatewayError::invalid_version()),
    }
}

fn verify_signature<'p>(
    params: &'p Params<'_>,
    body: &str,
    key: GatewayKey,
    source: Option<IpAddr>,
) -> Result<VerifiedCall<'p>, GatewayError> {
    let set = params.as_one_set().ok_or_else(GatewayError::invalid_signature)?;
    let algorithm = match params.given("sign_method") {
        None => SignMethod::Md5,
        Some(name) => SignMethod::parse(name).ok_or_else(GatewayError::invalid_signature)?,
    };
    let signature = params.get("sign").unwrap_or_default();
    let is_of_the_key = |text: &str| {
        key.secrets()
            .any(|secret| algorithm.verify(secret, text, signature))
    };
    // Some clients sign parameters without a value and some do not. Both signed texts denote the same request.
    let mut signed = set;
    let mut text = canonical_text(&signed) + body;
    if !is_of_the_key(&text) {
        signed = signed.without_blanks();
        text = canonical_text(&signed) + body;
        if !is_of_the_key(&text) {
            return Err(GatewayError::invalid_signature());
        }
    }
    Ok(VerifiedCall {
        key,
        signed,
        text,
        signature,
        source,
    })
}

fn permitted_method(
    params: &Params<'_>,
    verified: &VerifiedCall<'_>,
) -> Result<&'static Method, GatewayError> {
    let method =
        methods::find(params.get("method").unwrap_or_default()).ok_or_else(GatewayError::invalid_method)?;
    if (method.is_allowed)(verified.key.role()) {
        Ok(method)
    } else {
        Err(GatewayError::not_permitted())
    }
}

/// Counts the call by key, device and network, because a whole store may share one address.
fn count_call(
    ctx: &web::Data<Context>,
    params: &Params<'_>,
    verified: &VerifiedCall<'_>,
) -> Result<(), GatewayError> {
    let device = params.get("device_id").unwrap_or_default();
    ctx.workload()
        .gateway_calls
        .count(verified.key.app_key(), device, verified.source)
        .map_err(GatewayError::rate_limited)
}

fn require_arguments(params: &Params<'_>, method: &Method) -> Result<(), GatewayError> {
    let missing = method.required.iter().find(|name| params.given(name).is_none());
    missing.map_or(Ok(()), |name| {
        Err(wrong_arguments(&[FieldError::required(*name)]))
    })
}

fn reject_unknown(params: &Params<'_>, method: &Method) -> Result<(), GatewayError> {
    match method.find_rejected(params.names()) {
        Some(name) => Err(invalid_argument(
            name,
            &format!("{} takes no parameter {}", method.name, excerpt(name)),
        )),
        None => Ok(()),
    }
}

fn reject_ambiguous(method: &Method, verified: &VerifiedCall<'_>) -> Result<(), GatewayError> {
    // Nearly every request returns here, so that the slower analysis is rarely needed.
    if !may_be_ambiguous(&verified.signed, &verified.text, method.parameters()) {
        return Ok(());
    }
    match ambiguous_parameter(&verified.signed, &method.sorted_parameters()) {
        Some(name) => Err(invalid_argument(
            name,
            &format!(
                "{} holds the name of another parameter and a value for it, so the signature has two readings",
                excerpt(name)
            ),
        )),
        None => Ok(()),
    }
}

async fn dispatch(
    ctx: &web::Data<Context>,
    params: &Params<'_>,
    method: &Method,
    verified: &VerifiedCall<'_>,
    response_context: ResponseContext<'_>,
) -> Result<MethodAnswer, GatewayError> {
    let call = MethodCall {
        ctx,
        key: &verified.key,
        params,
        response_context,
        signature: verified.signature,
        source: verified.source,
    };
    (method.call)(call).await
}
