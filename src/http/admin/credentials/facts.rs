//! Fields that all credentials have.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::fields::{FieldReader, parse_instant};
use crate::http::request_fields::Nullable;
use slipway_domain::access::KeyFacts;
use slipway_domain::catalog::field::Invalid;

#[derive(Serialize, ToSchema)]
pub(super) struct KeyFactsResponse {
    /// Name of the creator (user or token) at the time of creation. Null if the key is older than this field.
    created_by: Option<String>,
    /// Day (UTC) of the last use; null before the first use.
    last_used_on: Option<NaiveDate>,
    /// Time from which the key is invalid; null if it does not expire.
    expires_at: Option<DateTime<Utc>>,
}

impl From<&KeyFacts> for KeyFactsResponse {
    fn from(facts: &KeyFacts) -> Self {
        Self {
            created_by: facts.created_by.clone(),
            last_used_on: facts.last_used_on,
            expires_at: facts.expires_at,
        }
    }
}

/// Reads the `expires_at` of a key to be created.
pub(super) fn read_expiry(
    fields: &mut FieldReader,
    given: Nullable<String>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    fields.optional("expires_at", given, |text| match parse_instant(text)? {
        expires_at if expires_at > now => Ok(expires_at),
        _ => Err(Invalid::new("must be in the future")),
    })
}
