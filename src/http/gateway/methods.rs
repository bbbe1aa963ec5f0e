//! The methods of the gateway: one file each, and one line in the table.

use std::net::IpAddr;

use actix_web::{HttpResponseBuilder, web};
use futures_util::future::LocalBoxFuture;

use super::check;
use super::envelope::Format;
use super::error::GatewayError;
use super::params::Params;
use super::push;
use super::readings::{ReadParameter, ReadParameters};
use super::sign::SignMethod;
use super::value_kind::ValueKind;
use crate::access::AppKeyRole;
use crate::services::Context;
use crate::services::gateway_keys::GatewayKey;

/// A verified call.
pub(super) struct MethodCall<'a> {
    pub(super) ctx: &'a web::Data<Context>,
    pub(super) key: &'a GatewayKey,
    pub(super) params: &'a Params<'a>,
    pub(super) asked: Asked<'a>,
    /// What was verified, as it was sent; calls of one batch share it.
    pub(super) signature: &'a str,
    /// Where the call comes from.
    pub(super) source: Option<IpAddr>,
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
    /// The business parameters that must be given, in the order of the method's page.
    pub(super) required: &'static [&'static str],
    /// The business parameters that it reads, sorted by name.
    pub(super) reads: &'static [ReadParameter],
    /// Whether every parameter that it does not know is refused. Text cannot hide there then, so no other reading of
    /// any signature becomes such a call: what must not be done again by whoever recorded a request.
    pub(super) refuses_others: bool,
    pub(super) call: for<'a> fn(MethodCall<'a>) -> LocalBoxFuture<'a, Result<MethodAnswer, GatewayError>>,
}

/// Every method.
const METHODS: &[Method] = &[check::METHOD, push::METHOD];

/// The public parameters that are only carried. They count like any parameter that nobody reads, but for methods that
/// refuse those.
const CARRIED: [ReadParameter; 3] = [
    ("partner_id", ValueKind::Text),
    ("session", ValueKind::Text),
    ("target_app_key", ValueKind::Text),
];

/// The public parameters that decide something.
const PUBLIC: [ReadParameter; 7] = [
    ("app_key", ValueKind::Fixed),
    ("format", ValueKind::OneOf(&["json", "xml"])),
    ("method", ValueKind::Fixed),
    // Its absence means something too, so it is not fixed.
    ("sign_method", ValueKind::OneOf(&SignMethod::NAMES)),
    ("simplify", ValueKind::Text),
    ("timestamp", ValueKind::Timestamp),
    ("v", ValueKind::Fixed),
];

pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The public parameters without which no call is answered, beside `sign`, which is not signed.
const PUBLIC_REQUIRED: [&str; 4] = ["app_key", "method", "timestamp", "v"];

impl Method {
    /// Every parameter that decides something of a call, in no certain order.
    pub(super) fn reads_of_any_kind(&self) -> impl Iterator<Item = ReadParameter> + Clone {
        let carried: &[_] = if self.refuses_others { &CARRIED } else { &[] };
        PUBLIC.iter().chain(carried).chain(self.reads).copied()
    }

    /// A parameter of these that the method does not take.
    pub(super) fn refused<'p>(&self, mut names: impl Iterator<Item = &'p str>) -> Option<&'p str> {
        let knows = |name: &str| name == "sign" || self.reads_of_any_kind().any(|(known, _)| known == name);
        names.find(|name| self.refuses_others && !knows(name))
    }

    /// Every parameter that decides something of a call.
    pub(super) fn all_reads(&self) -> ReadParameters {
        let mut all: Vec<_> = self.reads_of_any_kind().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        let required = PUBLIC_REQUIRED.iter().chain(self.required).copied().collect();
        ReadParameters { all, required }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the argument of `readings` and the ends of values rest on.
    #[test]
    fn names_that_are_read_tell_themselves_from_each_other_and_from_values() {
        for method in METHODS {
            let all = method.all_reads().all;
            for (name, _) in &all {
                assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
                let begins_like_json = ["true", "false", "null"]
                    .iter()
                    .any(|json| name.starts_with(json));
                // A number could go on with an exponent.
                assert!(!begins_like_json && !name.starts_with('e'), "{name}");
                let longer = all
                    .iter()
                    .filter(|(other, _)| other != name && other.starts_with(name));
                assert!(longer.count() == 0 || *name == "v", "{name}");
            }
            assert!(all.is_sorted_by(|(one, _), (other, _)| one < other));
            let is_read = |name: &&str| method.reads.iter().any(|(read, _)| read == name);
            assert!(method.required.iter().all(is_read));
        }
    }
}
