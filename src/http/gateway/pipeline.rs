//! Steps from parameters to a verified call, in the order of the protocol's error table. No parameter is trusted before
//! the signature is verified.

use std::net::IpAddr;

use actix_web::web;

use super::errors::{invalid_argument, wrong_arguments};
use super::method::{Method, MethodAnswer, MethodCall, ResponseContext};
use super::methods;
use crate::services::Context;
use crate::services::authentication::{GatewayKey, find_app_key};
use slipway_domain::catalog::field::{FieldError, excerpt};
use slipway_gateway::error::GatewayError;
use slipway_gateway::params::Params;
use slipway_gateway::signature_ambiguity::{ambiguous_parameter, may_be_ambiguous};
use slipway_gateway::signed_request::{Requires, SignedRequest, require_version};
use slipway_gateway::timestamp;

/// Call with a known caller.
pub(super) struct VerifiedCall<'p> {
    pub(super) key: GatewayKey,
    signed: SignedRequest<'p>,
    /// Client address.
    source: Option<IpAddr>,
}

/// Answers a single call.
pub(super) async fn answer(
    ctx: &web::Data<Context>,
    params: &Params<'_>,
    response_context: ResponseContext<'_>,
    source: Option<IpAddr>,
) -> Result<MethodAnswer, GatewayError> {
    Requires::Call.verify(params)?;
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
    Requires::BatchQuery.verify(query)?;
    verify(ctx, query, body, source)
}

/// Answers one call of a batch, which the signature of the batch covers.
pub(super) async fn answer_in_batch(
    ctx: &web::Data<Context>,
    params: &Params<'_>,
    verified: &VerifiedCall<'_>,
    response_context: ResponseContext<'_>,
) -> Result<MethodAnswer, GatewayError> {
    Requires::CallInBatch.verify(params)?;
    let method = permitted_method(params, verified)?;
    count_call(ctx, params, verified)?;
    require_arguments(params, method)?;
    reject_unknown(params, method)?;
    dispatch(ctx, params, method, verified, response_context).await
}

/// Verifies the key, the version, the timestamp and the signature, in this order. `body` is the raw text that a batch
/// signs too.
fn verify<'p>(
    ctx: &web::Data<Context>,
    params: &'p Params<'_>,
    body: &str,
    source: Option<IpAddr>,
) -> Result<VerifiedCall<'p>, GatewayError> {
    let key = find_app_key(ctx.checks(), params.get("app_key").unwrap_or_default())?;
    let key = key.ok_or_else(GatewayError::invalid_app_key)?;
    require_version(params.get("v").unwrap_or_default())?;
    if !timestamp::is_current(params.get("timestamp").unwrap_or_default(), key.called_at()) {
        return Err(GatewayError::invalid_timestamp());
    }
    let signed = SignedRequest::verify(params, body, key.secrets())?;
    key.record_use(ctx.checks());
    Ok(VerifiedCall { key, signed, source })
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
    let missing = method
        .parameters
        .required
        .iter()
        .find(|name| params.given(name).is_none());
    missing.map_or(Ok(()), |name| {
        Err(wrong_arguments(&[FieldError::required(*name)]))
    })
}

fn reject_unknown(params: &Params<'_>, method: &Method) -> Result<(), GatewayError> {
    match method.parameters.find_rejected(params.names()) {
        Some(name) => Err(invalid_argument(
            name,
            &format!("{} takes no parameter {}", method.name, excerpt(name)),
        )),
        None => Ok(()),
    }
}

fn reject_ambiguous(method: &Method, verified: &VerifiedCall<'_>) -> Result<(), GatewayError> {
    // Nearly every request returns here, so that the slower analysis is rarely needed.
    let signed = &verified.signed;
    if !may_be_ambiguous(&signed.params, &signed.text, method.parameters.all()) {
        return Ok(());
    }
    match ambiguous_parameter(&signed.params, &method.parameters.sorted()) {
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
        signature: verified.signed.signature,
        source: verified.source,
    };
    (method.call)(call).await
}
