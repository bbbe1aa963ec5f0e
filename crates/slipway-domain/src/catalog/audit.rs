//! Events of the audit log.

use chrono::{DateTime, Utc};

use super::ids::{AuditId, TenantId};
use super::json::JsonText;

/// Change that somebody made, with the object before and after it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    pub id: AuditId,
    /// `None` for an event of the installation.
    pub tenant: Option<TenantId>,
    pub at: DateTime<Utc>,
    /// `Principal::key` of the actor.
    pub actor_key: String,
    pub actor_name: String,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    pub before: Option<JsonText>,
    pub after: Option<JsonText>,
    pub request_id: Option<String>,
}

/// Filter for a list of audit events. An absent field matches every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Key of the caller: for example `user:…` or `token:…`.
    pub actor: Option<String>,
    /// Name of the caller at the time of the event.
    pub actor_name: Option<String>,
    pub action: Option<String>,
    pub object_type: Option<String>,
    pub object_id: Option<String>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub until: Option<DateTime<Utc>>,
}
