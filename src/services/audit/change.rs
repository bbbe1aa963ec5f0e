//! Changes as use cases report them to the audit.

use serde::Serialize;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::json::JsonText;

/// Object whose changes are audited.
pub trait Audited {
    /// Returns the id of the object in the audit log.
    fn audited_id(&self) -> String;

    /// Returns the audited state. It contains no secret.
    fn audited_state(&self) -> impl Serialize;
}

/// A change of one object. `before` is absent for a creation, `after` for a deletion.
pub(in crate::services) struct AuditedChange {
    pub(super) action: AuditAction,
    pub(super) object_id: String,
    pub(super) before: Option<JsonText>,
    pub(super) after: Option<JsonText>,
}

impl AuditedChange {
    /// Creates a change without states.
    pub(in crate::services) fn new(action: AuditAction, object_id: impl ToString) -> Self {
        Self {
            action,
            object_id: object_id.to_string(),
            before: None,
            after: None,
        }
    }

    pub(in crate::services) fn created(action: AuditAction, after: &impl Audited) -> Self {
        Self::new(action, after.audited_id()).with_after(&after.audited_state())
    }

    pub(in crate::services) fn changed<T: Audited>(action: AuditAction, before: &T, after: &T) -> Self {
        Self::created(action, after).with_before(&before.audited_state())
    }

    pub(in crate::services) fn deleted(action: AuditAction, before: &impl Audited) -> Self {
        Self::new(action, before.audited_id()).with_before(&before.audited_state())
    }

    pub(in crate::services) fn with_before(mut self, state: &impl Serialize) -> Self {
        self.before = Some(JsonText::of(state));
        self
    }

    /// Sets the state after the change, or the details of an action that changes no single object.
    pub(in crate::services) fn with_after(mut self, state: &impl Serialize) -> Self {
        self.after = Some(JsonText::of(state));
        self
    }
}
