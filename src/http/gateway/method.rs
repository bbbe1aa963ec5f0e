//! Method of the gateway: its parameters, its calls and their answers.

use std::net::IpAddr;

use actix_web::{HttpResponseBuilder, web};
use futures_util::future::LocalBoxFuture;

use crate::services::Context;
use crate::services::gateway_keys::GatewayKey;
use slipway_domain::access::AppKeyRole;
use slipway_gateway::envelope::Format;
use slipway_gateway::error::GatewayError;
use slipway_gateway::params::Params;
use slipway_gateway::sign::SignMethod;
use slipway_gateway::signature_ambiguity::{ReadParameter, ReadParameters};
use slipway_gateway::value_kind::ValueKind;

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
    /// Required business parameters, in the order of the method's documentation.
    pub(super) required: &'static [&'static str],
    /// Business parameters that the method reads, sorted by name.
    pub(super) reads: &'static [ReadParameter],
    /// True if unknown parameters are rejected. Text then cannot hide in them, so no other reading of a signed text is
    /// a call of this method. Required for methods that a recorded request must not trigger again.
    pub(super) rejects_unknown: bool,
    pub(super) call: for<'a> fn(MethodCall<'a>) -> LocalBoxFuture<'a, Result<MethodAnswer, GatewayError>>,
}

/// Public parameters without an effect. They are treated like unknown parameters, except by methods that reject those.
const IGNORED_PARAMS: [ReadParameter; 3] = [
    ("partner_id", ValueKind::Text),
    ("session", ValueKind::Text),
    ("target_app_key", ValueKind::Text),
];

/// Public parameters with an effect.
const PUBLIC: [ReadParameter; 7] = [
    ("app_key", ValueKind::Fixed),
    ("format", ValueKind::OneOf(&["json", "xml"])),
    ("method", ValueKind::Fixed),
    // Its absence has a meaning too, so it is not fixed.
    ("sign_method", ValueKind::OneOf(&SignMethod::NAMES)),
    ("simplify", ValueKind::Text),
    ("timestamp", ValueKind::Timestamp),
    ("v", ValueKind::Fixed),
];

/// Public parameters that every call requires, besides `sign`, which is not signed.
const PUBLIC_REQUIRED: [&str; 4] = ["app_key", "method", "timestamp", "v"];

impl Method {
    /// Returns the parameters that affect a call, in no particular order.
    pub(super) fn parameters(&self) -> impl Iterator<Item = ReadParameter> + Clone {
        let ignored: &[_] = if self.rejects_unknown {
            &IGNORED_PARAMS
        } else {
            &[]
        };
        PUBLIC.iter().chain(ignored).chain(self.reads).copied()
    }

    /// Returns the first of these parameters that the method rejects.
    pub(super) fn find_rejected<'p>(&self, mut names: impl Iterator<Item = &'p str>) -> Option<&'p str> {
        let knows = |name: &str| name == "sign" || self.parameters().any(|(known, _)| known == name);
        names.find(|name| self.rejects_unknown && !knows(name))
    }

    /// Returns the parameters that affect a call, sorted by name.
    pub(super) fn sorted_parameters(&self) -> ReadParameters {
        let mut all: Vec<_> = self.parameters().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        let required = PUBLIC_REQUIRED.iter().chain(self.required).copied().collect();
        ReadParameters { all, required }
    }
}
