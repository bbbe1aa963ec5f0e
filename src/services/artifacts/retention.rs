//! Deletion of unused artifacts, and of objects that belong to no artifact.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{discard, object_name};
use crate::artifact_store::ObjectName;
use crate::services::{Context, ServiceError};
use crate::storage::artifacts;
use crate::storage::artifacts::OwnedArtifact;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::ArtifactId;

/// Artifacts whose use is compared in one step.
const REFRESHED_AT_ONCE: u64 = 500;
/// Artifacts deleted in one round.
const DELETED_AT_ONCE: u64 = 100;
/// Objects compared with the database at once.
const COMPARED_AT_ONCE: usize = 500;

/// Deletes artifacts that have been unused for longer than the retention. The next round continues.
pub(super) async fn delete_unused(ctx: &Context) -> Result<u64, ServiceError> {
    refresh_unused_since(ctx).await?;
    let Some(retention) = ctx.artifacts().settings.retention else {
        return Ok(0);
    };
    let before = ctx.now() - retention;
    let mut deleted = 0;
    for owned in artifacts::list_unused_since(ctx.db(), before, DELETED_AT_ONCE).await? {
        deleted += u64::from(delete_one(ctx, &owned, before).await?);
    }
    Ok(deleted)
}

/// Passes over all artifacts, in steps that leave the database to others in between.
async fn refresh_unused_since(ctx: &Context) -> Result<(), ServiceError> {
    let mut cursor = None;
    loop {
        cursor =
            artifacts::refresh_unused_since(ctx.db(), cursor.as_ref(), REFRESHED_AT_ONCE, ctx.now()).await?;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Deletes an artifact unless it is used or kept meanwhile.
async fn delete_one(
    ctx: &Context,
    owned: &OwnedArtifact,
    before: DateTime<Utc>,
) -> Result<bool, ServiceError> {
    let artifact = &owned.artifact.value;
    let tx = ctx.db().begin_catalog(owned.scope).await?;
    // An upload of the same bytes restarts the retention under this lock.
    artifacts::lock_usage(&tx, owned.scope).await?;
    if !artifacts::is_unused_since(&tx, owned.scope, artifact.id, before).await? {
        return Ok(false);
    }
    artifacts::delete(&tx, artifact).await?;
    ctx.commit(tx).await?;
    discard(ctx, &object_name(owned.scope, artifact)).await;
    let (tenant, sha256) = (owned.scope.tenant().get(), artifact.sha256.as_str());
    tracing::info!(tenant, sha256, "deleted an artifact that no release uses");
    Ok(true)
}

/// Deletes objects that were written before an instant and belong to no artifact.
pub(super) async fn delete_leftovers(ctx: &Context, before: DateTime<Utc>) -> Result<u64, ServiceError> {
    let store = &ctx.artifacts().store;
    let mut listing = store.list_written_before(before)?;
    let mut deleted = 0;
    loop {
        let names = listing.next_names(COMPARED_AT_ONCE).await?;
        for name in find_leftovers(ctx, &names).await? {
            store.delete(name).await?;
            deleted += 1;
        }
        if names.len() < COMPARED_AT_ONCE {
            return Ok(deleted);
        }
    }
}

async fn find_leftovers<'a>(
    ctx: &Context,
    names: &'a [ObjectName],
) -> Result<Vec<&'a ObjectName>, ServiceError> {
    let mut by_tenant: BTreeMap<_, Vec<&ObjectName>> = BTreeMap::new();
    for name in names {
        by_tenant.entry(name.tenant).or_default().push(name);
    }
    let mut leftovers = Vec::new();
    for (tenant, names) in by_tenant {
        let ids: Vec<ArtifactId> = names.iter().map(|name| name.id).collect();
        let existing = artifacts::list_existing(ctx.db(), TenantScope::internal(tenant), &ids).await?;
        leftovers.extend(names.into_iter().filter(|name| !existing.contains(&name.id)));
    }
    Ok(leftovers)
}
