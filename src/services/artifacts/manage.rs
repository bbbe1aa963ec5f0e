//! Lists, links, retention and deletion of artifacts.

use std::collections::BTreeMap;

use super::{discard, object_name};
use crate::services::audit::{self, AuditedChange};
use crate::services::{Caller, Context, Precondition, ServiceError, WriteResult};
use crate::storage::{Reader, StorageError, apps, artifacts};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::artifact::{Artifact, ArtifactFilter, DownloadLink};
use slipway_domain::catalog::artifact_use::ArtifactUse;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{AppId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::ReleaseState;
use slipway_domain::catalog::text::{PackageName, Sha256};
use slipway_domain::catalog::versioned::Versioned;

/// Releases of an artifact that a response shows.
const SHOWN_USES: u64 = 100;

/// Artifact with the releases that use it.
#[derive(Debug, Clone)]
pub struct ArtifactUses {
    pub artifact: Versioned<Artifact>,
    /// Newest first, each with the package name of its app.
    pub uses: Vec<(PackageName, ArtifactUse)>,
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    filter: &ArtifactFilter<'_>,
    page: &PageRequest,
) -> Result<Page<Versioned<Artifact>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    Ok(artifacts::list(ctx.db(), scope, filter, page).await?)
}

/// Counts the artifacts of a tenant with damaged or missing content. The database is read only if the last probe found
/// some, in any tenant.
pub async fn count_damaged(ctx: &Context, caller: &Caller, tenant: TenantId) -> Result<u64, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    if ctx.artifacts().health.state().damaged == 0 {
        return Ok(0);
    }
    Ok(artifacts::count_damaged_of(ctx.db(), scope).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    sha256: &Sha256,
) -> Result<ArtifactUses, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let artifact = find(ctx.db(), scope, sha256).await?;
    let mut names: BTreeMap<AppId, Option<PackageName>> = BTreeMap::new();
    let mut uses = Vec::new();
    for used in artifacts::list_uses(ctx.db(), scope, sha256, SHOWN_USES).await? {
        let name = if let Some(known) = names.get(&used.app) {
            known.clone()
        } else {
            let app = apps::find_by_id(ctx.db(), scope, used.app).await?;
            let name = app.map(|app| app.value.package_name);
            names.insert(used.app, name.clone());
            name
        };
        // The app may be deleted meanwhile, and its releases with it.
        uses.extend(name.map(|name| (name, used)));
    }
    Ok(ArtifactUses { artifact, uses })
}

/// Replaces the download link. The previous URL is invalid from now on, and offers contain the new one.
pub async fn replace_link(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    sha256: &Sha256,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<Artifact>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteArtifacts).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let usage = artifacts::lock_usage(&tx, scope).await?;
    let before = find(&tx, scope, sha256).await?;
    precondition.check(&before.etag)?;
    let number = usage.last_link + 1;
    let link = DownloadLink {
        number,
        key: ctx.keyring().download_key(tenant, sha256, number),
    };
    let stored = artifacts::replace_link(&tx, &before, link, ctx.now()).await?;
    let change = AuditedChange::changed(AuditAction::ArtifactReplaceLink, &before.value, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}

/// Sets the exemption from the deletion of unused artifacts.
pub async fn set_keep(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    sha256: &Sha256,
    keep: Option<bool>,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<Artifact>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteArtifacts).await?;
    let tx = ctx.begin(caller).await?;
    // The deletion of unused artifacts holds this lock.
    artifacts::lock_usage(&tx, scope).await?;
    let before = find(&tx, scope, sha256).await?;
    precondition.check(&before.etag)?;
    let Some(keep) = keep.filter(|keep| *keep != before.value.keep) else {
        return Ok(WriteResult::without_revision(before));
    };
    let stored = artifacts::set_keep(&tx, scope, &before, keep, ctx.now()).await?;
    let change = AuditedChange::changed(AuditAction::ArtifactUpdate, &before.value, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    tx.commit().await?;
    Ok(WriteResult::without_revision(stored))
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    sha256: &Sha256,
    precondition: &Precondition,
) -> Result<WriteResult<()>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteArtifacts).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    // An exemption from the deletion is written under this lock.
    artifacts::lock_usage(&tx, scope).await?;
    let before = find(&tx, scope, sha256).await?;
    precondition.check(&before.etag)?;
    if let Some(used) = artifacts::list_uses(&tx, scope, sha256, 1).await?.first() {
        return Err(in_use(used));
    }
    artifacts::delete(&tx, &before.value)
        .await
        .map_err(|error| match error {
            StorageError::BrokenReference => ServiceError::InUse("a release uses this artifact".to_owned()),
            other => other.into(),
        })?;
    let change = AuditedChange::deleted(AuditAction::ArtifactDelete, &before.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    let deleted = WriteResult::changed((), ctx.commit(tx).await?);
    discard(ctx, &object_name(scope, &before.value)).await;
    Ok(deleted)
}

pub(super) async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    sha256: &Sha256,
) -> Result<Versioned<Artifact>, ServiceError> {
    artifacts::find(reader, scope, sha256)
        .await?
        .ok_or(ServiceError::NotFound("artifact"))
}

/// Says which release uses an artifact, and what can be done about it.
fn in_use(used: &ArtifactUse) -> ServiceError {
    let advice = if used.state == ReleaseState::Draft {
        "discard the release or move it to another artifact first"
    } else {
        "the file of a release that was published is kept as long as its app exists"
    };
    ServiceError::InUse(format!(
        "release {} of {} (version_code {}, {}) uses this artifact; {advice}",
        used.release,
        used.identifier,
        used.version_code,
        used.state.name()
    ))
}
