//! Method of the gateway: its parameters, its calls and their answers.

use std::net::IpAddr;

use actix_web::{HttpResponseBuilder, web};
use futures_util::future::LocalBoxFuture;

use crate::services::Context;
use crate::services::authentication::GatewayKey;
use slipway_domain::access::AppKeyRole;
use slipway_gateway::envelope::Format;
use slipway_gateway::error::GatewayError;
use slipway_gateway::method::MethodParameters;
use slipway_gateway::params::Params;

/// Verified call.
pub(super) struct MethodCall<'a> {
    pub(super) ctx: &'a web::Data<Context>,
    pub(super) key: &'a GatewayKey,
    pub(super) params: &'a Params<'a>,
    pub(super) response_context: ResponseContext<'a>,
    /// Verified signature as sent, which all calls of a batch share.
    pub(super) signature: &'a str,
    /// Client address.
    pub(super) source: Option<IpAddr>,
}

/// Requested form of the response.
#[derive(Clone, Copy)]
pub(super) struct ResponseContext<'a> {
    pub(super) format: Format,
    /// Id of the response.
    pub(super) request_id: &'a str,
}

/// Response of a method: a complete envelope, and a builder with its headers.
pub(super) struct MethodAnswer {
    pub(super) body: Vec<u8>,
    pub(super) headers: HttpResponseBuilder,
}

pub(super) struct Method {
    pub(super) name: &'static str,
    /// Returns true if a key with this role may call the method.
    pub(super) is_allowed: fn(AppKeyRole) -> bool,
    pub(super) parameters: MethodParameters,
    pub(super) call: for<'a> fn(MethodCall<'a>) -> LocalBoxFuture<'a, Result<MethodAnswer, GatewayError>>,
}
