//! The caller of a use case, and the condition and the result of its write.

use std::net::IpAddr;

use crate::services::ServiceError;
use crate::storage::Authority;
use slipway_domain::access::Principal;
use slipway_domain::catalog::revision::CatalogRevision;

/// Authenticated caller and its request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub request_id: String,
    pub address: Option<IpAddr>,
    /// `true` if the call stops offers or revokes a credential, so that it must not queue behind others.
    pub is_urgent: bool,
}

impl Caller {
    /// Returns the authority that the caller's writes are checked against.
    pub(in crate::services) fn authority(&self) -> Authority {
        Authority::Principal(self.principal.clone())
    }
}

/// Result of a write and the catalog revision that contains it. `revision` is `None` if no check depends on the value.
#[derive(Debug, Clone)]
pub struct WriteResult<T> {
    pub value: T,
    pub revision: Option<CatalogRevision>,
}

impl<T> WriteResult<T> {
    /// Returns the result of a write that no check depends on.
    pub const fn without_revision(value: T) -> Self {
        Self {
            value,
            revision: None,
        }
    }

    pub(in crate::services) fn changed(value: T, revision: CatalogRevision) -> Self {
        Self {
            value,
            revision: Some(revision),
        }
    }
}

/// Condition on the object to change, such as `If-Match` (RFC 9110, section 13.1.1).
#[derive(Debug, Clone, Default)]
pub enum Precondition {
    #[default]
    None,
    /// The object must not exist.
    Absent,
    /// The object must exist.
    Exists,
    /// The object must have one of these entity tags.
    OneOf(Vec<String>),
}

impl Precondition {
    pub(in crate::services) fn check(&self, etag: &str) -> Result<(), ServiceError> {
        match self {
            Self::Absent => Err(ServiceError::Stale),
            Self::OneOf(etags) if !etags.iter().any(|wanted| wanted == etag) => Err(ServiceError::Stale),
            _ => Ok(()),
        }
    }
}
