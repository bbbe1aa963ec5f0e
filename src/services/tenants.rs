//! Tenants, managed by platform administrators.

use super::audit::{self, AuditedChange};
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult};
use crate::storage::tenants;
use slipway_domain::access::{Action, authorize_platform, authorize_tenant};
use slipway_domain::catalog::artifact::ArtifactQuota;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::push::UrlSchemes;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// Changes to a tenant. Absent fields stay unchanged.
#[derive(Default)]
pub struct TenantChanges {
    pub name: Option<Name>,
    pub enabled: Option<bool>,
    pub offers_enabled: Option<bool>,
    pub push_url_schemes: Option<UrlSchemes>,
    pub enrolment: Option<EnrolmentPolicy>,
    pub artifact_quota: Option<ArtifactQuota>,
}

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    id: TenantId,
    name: Name,
    once: IdempotentWrite<'_, Versioned<Tenant>>,
) -> Result<WriteResult<Versioned<Tenant>>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManageTenants)?;
    let scope = authorize_tenant(&caller.principal, id, Action::ManageTenants)?;
    let tenant = Tenant {
        id,
        name,
        enabled: true,
        offers_enabled: true,
        push_url_schemes: UrlSchemes::default(),
        enrolment: EnrolmentPolicy::default(),
        artifact_quota: ArtifactQuota::default(),
    };
    let tx = ctx.begin_catalog(caller, scope).await?;
    let stored = tenants::insert(&tx, tenant, ctx.now()).await?;
    let change = AuditedChange::created(AuditAction::TenantCreate, &stored.value);
    audit::record(&tx, ctx, caller, Some(id), change).await?;
    once.record(&tx, &stored).await?;
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    page: &PageRequest,
) -> Result<Page<Versioned<Tenant>>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManageTenants)?;
    Ok(tenants::list(ctx.db(), page).await?)
}

pub async fn get(ctx: &Context, caller: &Caller, id: TenantId) -> Result<Versioned<Tenant>, ServiceError> {
    authorize_tenant(&caller.principal, id, Action::ManageTenants)?;
    tenants::find(ctx.db(), id)
        .await?
        .ok_or(ServiceError::NotFound("tenant"))
}

pub async fn update(
    ctx: &Context,
    caller: &Caller,
    id: TenantId,
    changes: TenantChanges,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<Tenant>>, ServiceError> {
    let scope = authorize_tenant(&caller.principal, id, Action::ManageTenants)?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = tenants::find(&tx, id)
        .await?
        .ok_or(ServiceError::NotFound("tenant"))?;
    precondition.check(&before.etag)?;
    let after = Tenant {
        id,
        name: changes.name.unwrap_or_else(|| before.value.name.clone()),
        enabled: changes.enabled.unwrap_or(before.value.enabled),
        offers_enabled: changes.offers_enabled.unwrap_or(before.value.offers_enabled),
        push_url_schemes: changes
            .push_url_schemes
            .unwrap_or_else(|| before.value.push_url_schemes.clone()),
        enrolment: changes.enrolment.unwrap_or(before.value.enrolment),
        artifact_quota: changes.artifact_quota.unwrap_or(before.value.artifact_quota),
    };
    if after == before.value {
        return Ok(ctx.unchanged(tx, before).await);
    }
    let stored = tenants::update(&tx, &before, after, ctx.now()).await?;
    let change = AuditedChange::changed(AuditAction::TenantUpdate, &before.value, &stored.value);
    audit::record(&tx, ctx, caller, Some(id), change).await?;
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}
