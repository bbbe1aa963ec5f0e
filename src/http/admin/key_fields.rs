//! What API tokens, device keys and app keys have in common on the wire.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::KeyFacts;
use crate::catalog::field::Invalid;
use crate::http::fields::{Fields, Patch, parse_instant};

#[derive(Serialize, ToSchema)]
pub(super) struct KeyFactsResponse {
    /// Name of the person or token that made it, as it was then; null for one made before this was recorded.
    created_by: Option<String>,
    /// The last day (UTC) on which it was used; null until then.
    last_used_on: Option<NaiveDate>,
    /// The instant from which it is invalid; null: it does not expire.
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

/// Reads the `expires_at` of a key that is being made.
pub(super) fn read_expiry(
    fields: &mut Fields,
    given: Patch<String>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    fields.optional("expires_at", given, |text| match parse_instant(text)? {
        expires_at if expires_at > now => Ok(expires_at),
        _ => Err(Invalid::new("must be in the future")),
    })
}
