//! Resources of an app and their settings.

use super::audit::{self, AuditedChange, AuditedResource};
use super::{Caller, Context, Precondition, ServiceError, WriteResult, apps};
use crate::storage::resources;
use slipway_domain::access::Action;
use slipway_domain::catalog::app::{Resource, ResourceKind};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::{Identifier, Name, PackageName};
use slipway_domain::catalog::versioned::Versioned;

/// Changes to a resource. Absent fields stay unchanged.
#[derive(Default)]
pub struct ResourceChanges {
    pub name: Option<Option<Name>>,
    pub kind: Option<ResourceKind>,
    pub enabled: Option<bool>,
    pub repair_on_mismatch: Option<bool>,
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    page: &PageRequest,
) -> Result<Page<Versioned<Resource>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let app = apps::find(ctx.db(), scope, app).await?;
    Ok(resources::list(ctx.db(), scope, app.value.id, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    identifier: &Identifier,
) -> Result<Versioned<Resource>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let app = apps::find(ctx.db(), scope, app).await?;
    resources::find(ctx.db(), scope, app.value.id, identifier)
        .await?
        .ok_or(ServiceError::NotFound("resource"))
}

pub async fn update(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    identifier: &Identifier,
    changes: ResourceChanges,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<Resource>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteApps).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = apps::find(&tx, scope, app).await?;
    let before = resources::find(&tx, scope, app.value.id, identifier)
        .await?
        .ok_or(ServiceError::NotFound("resource"))?;
    precondition.check(&before.etag)?;
    let mut after = before.value.clone();
    if let Some(name) = changes.name {
        after.name = name;
    }
    if let Some(kind) = changes.kind {
        after.kind = kind;
    }
    if let Some(enabled) = changes.enabled {
        after.enabled = enabled;
    }
    if let Some(repair) = changes.repair_on_mismatch {
        after.repair_on_mismatch = repair;
    }
    if after == before.value {
        return Ok(ctx.unchanged(tx, before).await);
    }
    let stored = resources::update(&tx, &before, after, ctx.now())?;
    let of = |resource| AuditedResource {
        app: &app.value.package_name,
        resource,
    };
    let change = AuditedChange::changed(
        AuditAction::ResourceUpdate,
        &of(&before.value),
        &of(&stored.value),
    );
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}
