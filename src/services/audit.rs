//! Audit trail: the actor, time and object of each change, with its states before and after.
//!
//! An event is written in the transaction of the change and kept forever.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::audited_release::AuditedRelease;
use super::{Caller, Context, ServiceError};
use crate::storage::{StorageError, Writer, audit};
use slipway_domain::access::{Action, ApiToken, AppKey, DeviceKey, User, authorize_platform};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::audit::AuditEvent;
use slipway_domain::catalog::ids::{AuditId, TenantId};
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::pin::{Pin, PinTarget};
use slipway_domain::catalog::push::Push;
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::PackageName;

/// Change of one object. `before` is `None` for a creation, `after` is `None` for a deletion.
///
/// The states are `serde_json::Value`s, or [`JsonText`] if they contain JSON of a caller.
pub(super) struct Change<S = Value> {
    /// `<object>.<verb>`, e.g. `release.publish`.
    pub(super) action: &'static str,
    pub(super) object_id: String,
    pub(super) before: Option<S>,
    pub(super) after: Option<S>,
}

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
pub(super) async fn record(
    writer: &impl Writer,
    ctx: &Context,
    caller: &Caller,
    tenant: Option<TenantId>,
    change: Change<impl Serialize>,
) -> Result<(), StorageError> {
    record_by(writer, ctx, Actor::of(caller), tenant, change).await
}

/// Records a change by an actor that is not a caller of the admin API.
pub(super) async fn record_by(
    writer: &impl Writer,
    ctx: &Context,
    actor: Actor<'_>,
    tenant: Option<TenantId>,
    change: Change<impl Serialize>,
) -> Result<(), StorageError> {
    record_at(writer, ctx.now(), actor, tenant, change).await
}

/// Records a change made outside a running server.
pub(super) async fn record_at(
    writer: &impl Writer,
    now: DateTime<Utc>,
    actor: Actor<'_>,
    tenant: Option<TenantId>,
    change: Change<impl Serialize>,
) -> Result<(), StorageError> {
    let object_type = change.action.split('.').next().unwrap_or_default();
    let event = AuditEvent {
        id: AuditId::generate(),
        tenant,
        at: now,
        actor_key: actor.key,
        actor_name: actor.name,
        action: change.action.to_owned(),
        object_type: object_type.to_owned(),
        object_id: change.object_id,
        before: change.before.as_ref().map(JsonText::of),
        after: change.after.as_ref().map(JsonText::of),
        request_id: Some(actor.request_id.to_owned()).filter(|id| !id.is_empty()),
    };
    audit::insert(writer, event).await
}

/// Lists the audit events of a tenant, newest first.
pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadAudit).await?;
    Ok(audit::list(ctx.db(), scope, page).await?)
}

/// Lists the audit events of the installation, newest first. These belong to no tenant.
pub async fn list_platform(
    ctx: &Context,
    caller: &Caller,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    Ok(audit::list_platform(ctx.db(), page).await?)
}

pub(super) fn of_tenant(tenant: &Tenant) -> Value {
    json!({
        "id": tenant.id,
        "name": tenant.name,
        "enabled": tenant.enabled,
        "offers_enabled": tenant.offers_enabled,
        "push_url_schemes": tenant.push_url_schemes.listed(),
        "enrolment": tenant.enrolment.as_str(),
    })
}

pub(super) fn of_push(push: &Push, targets: usize) -> Value {
    let content = &push.content;
    json!({
        "action": content.action,
        "app_id": content.app_id,
        "app_type": content.app_type,
        "pack_url": content.pack_url,
        "source_url": content.source_url,
        "trace_id": content.trace_id,
        "targets": targets,
        "expires_at": push.expires_at,
    })
}

pub(super) fn of_user(user: &User) -> Value {
    json!({"id": user.id, "username": user.username, "role": user.role.as_str(), "enabled": user.enabled})
}

pub(super) fn of_api_token(token: &ApiToken) -> Value {
    json!({"id": token.id, "name": token.name, "role": token.role.as_str(), "expires_at": token.facts.expires_at})
}

pub(super) fn of_device_key(key: &DeviceKey) -> Value {
    json!({"id": key.id, "name": key.name, "expires_at": key.facts.expires_at})
}

pub(super) fn of_app_key(key: &AppKey) -> Value {
    json!({"id": key.id, "name": key.name, "role": key.role.as_str(), "app_key": key.app_key,
        "expires_at": key.facts.expires_at})
}

pub(super) fn of_app(app: &App) -> Value {
    json!({
        "package_name": app.package_name,
        "app_name": app.app_name,
        "old_package_names": app.old_package_names,
        "icon_url": app.icon_url,
        "enabled": app.enabled,
    })
}

pub(super) fn of_resource(resource: &Resource) -> Value {
    json!({
        "identifier": resource.identifier,
        "name": resource.name,
        "kind": resource.kind.as_str(),
        "enabled": resource.enabled,
        "repair_on_mismatch": resource.repair_on_mismatch,
    })
}

pub(super) fn of_release(app: &PackageName, record: &ReleaseRecord) -> JsonText {
    JsonText::of(&AuditedRelease::new(app, record))
}

pub(super) fn of_pin(app: &PackageName, pin: &Pin) -> Value {
    let (device_id, org_path) = match &pin.target {
        PinTarget::Device(id) => (Some(id), None),
        PinTarget::OrgNode(path) => (None, Some(path)),
    };
    json!({
        "package_name": app,
        "identifier": pin.identifier,
        "device_id": device_id,
        "org_path": org_path,
        "mode": pin.mode.name(),
        "version_code": pin.mode.version_code(),
        "reason": pin.reason,
        "expires_at": pin.expires_at,
    })
}
