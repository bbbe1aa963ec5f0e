//! Audit trail: the actor, time and object of each change, with its states before and after.
//!
//! An event is written in the transaction of the change and kept forever.

mod change;
mod details;
mod objects;

use chrono::{DateTime, Utc};

pub(super) use self::change::{Audited, AuditedChange};
pub(super) use self::details::{
    DeviceProject, EnrolmentCodeDetails, EnrolmentDetails, EnrolmentRefusalDetails, EnrolmentState,
    ImportDetails, LoginFailureDetails, OrgDirectoryDifference, RekeyDetails, RestoreDetails,
    TokenRevocationDetails, WithdrawalDetails,
};
pub(super) use self::objects::{AuditedPin, AuditedPush, AuditedResource, ReleaseOfApp};
use super::{Caller, Context, ServiceError};
use crate::random;
use crate::storage::{Writer, audit};
use slipway_domain::access::{Action, authorize_platform};
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::ids::{AuditId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};

/// Author of a change and the request that made it.
#[derive(Clone)]
pub(super) struct Actor<'a> {
    /// `user:…`, `token:…`, or another credential kind with its id.
    pub(super) key: String,
    pub(super) name: String,
    /// Empty outside a request.
    pub(super) request_id: &'a str,
}

impl<'a> Actor<'a> {
    pub(super) fn of(caller: &'a Caller) -> Self {
        Self {
            key: caller.principal.key(),
            name: caller.principal.name.clone(),
            request_id: &caller.request_id,
        }
    }

    /// Returns the actor for `slipway admin`, `rekey` and `restore-finish`.
    pub(super) fn of_command_line() -> Self {
        Self {
            key: "command_line".to_owned(),
            name: "command line".to_owned(),
            request_id: "",
        }
    }
}

/// Records a change by a caller. `tenant` is `None` for objects of the installation.
pub(super) fn record(
    writer: &impl Writer,
    ctx: &Context,
    caller: &Caller,
    tenant: Option<TenantId>,
    change: AuditedChange,
) {
    record_by(writer, ctx, Actor::of(caller), tenant, change);
}

/// Records a change by an actor that is not a caller of the admin API.
pub(super) fn record_by(
    writer: &impl Writer,
    ctx: &Context,
    actor: Actor<'_>,
    tenant: Option<TenantId>,
    change: AuditedChange,
) {
    record_at(writer, ctx.now(), actor, tenant, change);
}

/// Records a change made outside a running server.
pub(super) fn record_at(
    writer: &impl Writer,
    now: DateTime<Utc>,
    actor: Actor<'_>,
    tenant: Option<TenantId>,
    change: AuditedChange,
) {
    let event = AuditEvent {
        id: random::id::<AuditId>(),
        tenant,
        at: now,
        actor_key: actor.key,
        actor_name: actor.name,
        action: change.action.as_str().to_owned(),
        object_type: change.action.object_type().to_owned(),
        object_id: change.object_id,
        before: change.before,
        after: change.after,
        request_id: Some(actor.request_id.to_owned()).filter(|id| !id.is_empty()),
    };
    audit::insert(writer, event);
}

/// Lists the audit events of a tenant, newest first.
pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadAudit).await?;
    Ok(audit::list(ctx.db(), scope, filter, page).await?)
}

/// Lists the audit events of the installation, newest first. These belong to no tenant.
pub async fn list_platform(
    ctx: &Context,
    caller: &Caller,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    Ok(audit::list_platform(ctx.db(), filter, page).await?)
}
