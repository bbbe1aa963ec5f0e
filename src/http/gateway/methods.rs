//! The methods of the gateway: one file each, and one line in the table.

use actix_web::{HttpResponseBuilder, web};
use futures_util::future::LocalBoxFuture;

use super::check;
use super::envelope::Format;
use super::error::GatewayError;
use super::params::Params;
use super::readings::{ReadParameter, ValueKind};
use crate::access::AppKeyRole;
use crate::services::Context;
use crate::services::gateway_keys::GatewayKey;

/// A verified call.
pub(super) struct MethodCall<'a> {
    pub(super) ctx: &'a web::Data<Context>,
    pub(super) key: &'a GatewayKey,
    pub(super) params: &'a Params,
    pub(super) asked: Asked<'a>,
}

/// How a call wants its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) format: Format,
    /// What names the answer.
    pub(super) request_id: &'a str,
}

/// What a method answers: a whole envelope, and what the answer's headers say.
pub(super) struct MethodAnswer {
    pub(super) body: Vec<u8>,
    pub(super) headers: HttpResponseBuilder,
}

pub(super) struct Method {
    pub(super) name: &'static str,
    /// Which keys may call it.
    pub(super) is_allowed: fn(AppKeyRole) -> bool,
    /// The business parameters that it reads, sorted by name.
    pub(super) reads: &'static [ReadParameter],
    pub(super) call: for<'a> fn(MethodCall<'a>) -> LocalBoxFuture<'a, Result<MethodAnswer, GatewayError>>,
}

/// Every method.
const METHODS: &[Method] = &[check::METHOD];

/// The public parameters that decide something. What is only carried (`session`, `partner_id`, `target_app_key`)
/// counts like any parameter that nobody reads.
const PUBLIC: [ReadParameter; 7] = [
    ("app_key", ValueKind::Fixed),
    ("format", ValueKind::OneOf(&["json", "xml"])),
    ("method", ValueKind::Fixed),
    ("sign_method", ValueKind::Fixed),
    ("simplify", ValueKind::Text),
    ("timestamp", ValueKind::Timestamp),
    ("v", ValueKind::Fixed),
];

pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

impl Method {
    /// Every parameter that decides something of a call, sorted by name.
    pub(super) fn all_reads(&self) -> Vec<ReadParameter> {
        let mut all: Vec<_> = PUBLIC.iter().chain(self.reads).copied().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}
