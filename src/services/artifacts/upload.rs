//! Uploads.
//!
//! The bytes arrive in a temporary file. Once they are complete and verified, they become an object of the store, and
//! then an artifact in the database. A failure in between leaves an object without an artifact, which a job removes.

use super::facts::read_facts;
use super::health::prepare_store;
use super::object_name;
use crate::artifact_store::{ObjectName, ReceivedFile, Upload};
use crate::random;
use crate::services::audit::{self, AuditedChange};
use crate::services::{Caller, Context, ServiceError, WriteResult, suspend_deadline};
use crate::storage::{Reader, Tx, artifacts, tenants};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::artifact::{Artifact, ArtifactFacts, ArtifactQuota, DownloadLink, IconFormat};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{ArtifactId, TenantId};
use slipway_domain::catalog::text::{FileName, Md5, Sha256};
use slipway_domain::catalog::versioned::Versioned;

/// Upload that was admitted, and whose content can be written.
pub struct ArtifactUpload {
    pub upload: Upload,
    scope: TenantScope,
}

/// Stored artifact, and whether this upload created it.
#[derive(Debug, Clone)]
pub struct UploadedArtifact {
    pub artifact: Versioned<Artifact>,
    pub is_new: bool,
}

/// Admits an upload. A known length is compared with the limits before the first byte is read.
pub async fn begin_upload(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    length: Option<u64>,
) -> Result<ArtifactUpload, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteArtifacts).await?;
    let length = length.unwrap_or_default();
    require_size(ctx, length)?;
    let usage = artifacts::read_usage(ctx.db(), scope).await?;
    require_room(ctx.db(), scope, usage.used_bytes, size_of(length)).await?;
    prepare_store(ctx).await?;
    let upload = ctx.artifacts().store.begin_upload().await?;
    Ok(ArtifactUpload { upload, scope })
}

/// Fails if a file of this size is too large for an artifact.
fn require_size(ctx: &Context, size: u64) -> Result<(), ServiceError> {
    let limit = ctx.artifacts().settings.max_bytes;
    if size <= limit {
        Ok(())
    } else {
        Err(ServiceError::TooLarge { limit })
    }
}

async fn require_room(
    reader: &impl Reader,
    scope: TenantScope,
    used: i64,
    size: i64,
) -> Result<(), ServiceError> {
    let tenant = tenants::find(reader, scope.tenant()).await?;
    let quota = tenant.map_or_else(ArtifactQuota::default, |tenant| tenant.value.artifact_quota);
    if quota.has_room(used, size) {
        return Ok(());
    }
    Err(ServiceError::InsufficientStorage(format!(
        "the artifacts of the tenant use {used} of {} bytes, and this file has {size}; delete unused artifacts, or \
         raise artifact_quota_bytes",
        quota.bytes()
    )))
}

fn size_of(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Makes a received file an artifact, or returns the artifact that has these bytes already.
pub async fn complete_upload(
    ctx: &Context,
    caller: &Caller,
    scope: TenantScope,
    received: ReceivedFile,
    filename: Option<FileName>,
    expected: Option<[u8; 32]>,
) -> Result<UploadedArtifact, ServiceError> {
    require_size(ctx, received.size)?;
    require_digest(&received, expected)?;
    let sha256 = Sha256::parse(&hex::encode(received.sha256)).map_err(ServiceError::internal)?;
    let found = artifacts::find(ctx.db(), scope, &sha256).await?;
    match found {
        Some(found) if found.value.damage.is_none() => return reuse(ctx, caller, scope, found).await,
        Some(damaged) => return repair(ctx, caller, scope, damaged, received).await,
        None => {}
    }
    // Inspection and the store have time limits of their own.
    let suspended = suspend_deadline();
    let mut facts = read_facts(ctx, scope.tenant(), &received).await?;
    let icon = facts.icon.take();
    let new = NewArtifact {
        id: random::id(),
        md5: Md5::parse(&hex::encode(received.md5)).map_err(ServiceError::internal)?,
        size: size_of(received.size),
        filename: filename.map_or_else(|| default_name(&sha256, &facts.facts), Ok)?,
        facts: facts.facts,
        icon: icon.as_ref().map(|(format, _)| *format),
        sha256,
    };
    let name = ObjectName {
        tenant: scope.tenant(),
        sha256: new.sha256.clone(),
        id: new.id,
    };
    if let Some((_, bytes)) = icon {
        ctx.artifacts().store.put_icon(&name, bytes).await?;
    }
    ctx.artifacts().store.publish(&name, received).await?;
    drop(suspended);
    let stored = record(ctx, caller, scope, new).await;
    let is_ours = stored
        .as_ref()
        .is_ok_and(|stored| stored.artifact.value.id == name.id);
    let may_be_stored = matches!(stored, Err(ServiceError::InDoubt(_)));
    if !is_ours && !may_be_stored {
        discard(ctx, &name).await;
    }
    stored
}

impl ArtifactUpload {
    /// Returns the scope of the tenant that the file is for.
    pub const fn scope(&self) -> TenantScope {
        self.scope
    }
}

fn require_digest(received: &ReceivedFile, expected: Option<[u8; 32]>) -> Result<(), ServiceError> {
    match expected {
        Some(expected) if expected != received.sha256 => Err(ServiceError::DigestMismatch {
            expected: hex::encode(expected),
            actual: hex::encode(received.sha256),
        }),
        _ => Ok(()),
    }
}

fn default_name(sha256: &Sha256, facts: &ArtifactFacts) -> Result<FileName, ServiceError> {
    let name = format!("{}.{}", &sha256.as_str()[..12], facts.kind().extension());
    FileName::parse(name).map_err(ServiceError::internal)
}

/// Artifact before it is stored, when its link is made.
struct NewArtifact {
    id: ArtifactId,
    sha256: Sha256,
    md5: Md5,
    size: i64,
    filename: FileName,
    facts: ArtifactFacts,
    icon: Option<IconFormat>,
}

impl NewArtifact {
    fn with_link(self, link: DownloadLink, caller: &Caller) -> Artifact {
        Artifact {
            id: self.id,
            sha256: self.sha256,
            md5: self.md5,
            size: self.size,
            filename: self.filename,
            facts: self.facts,
            icon: self.icon,
            link,
            keep: false,
            created_by: caller.principal.name.clone(),
            damage: None,
        }
    }
}

/// Writes a new artifact. Of simultaneous uploads of the same bytes the first one wins.
async fn record(
    ctx: &Context,
    caller: &Caller,
    scope: TenantScope,
    new: NewArtifact,
) -> Result<UploadedArtifact, ServiceError> {
    let tx = ctx.begin(caller).await?;
    let usage = artifacts::lock_usage(&tx, scope).await?;
    if let Some(found) = artifacts::find(&tx, scope, &new.sha256).await? {
        return renew(ctx, tx, scope, found).await;
    }
    require_room(&tx, scope, usage.used_bytes, new.size).await?;
    let number = usage.last_link + 1;
    let link = DownloadLink {
        number,
        key: ctx.keyring().download_key(scope.tenant(), &new.sha256, number),
    };
    let artifact = new.with_link(link, caller);
    let stored = artifacts::insert(&tx, scope, &usage, artifact, ctx.now()).await?;
    let change = AuditedChange::created(AuditAction::ArtifactCreate, &stored.value);
    audit::record(&tx, ctx, caller, Some(scope.tenant()), change).await?;
    tx.commit().await?;
    Ok(UploadedArtifact {
        artifact: stored,
        is_new: true,
    })
}

/// Returns an artifact that was uploaded before. Its retention starts again, because a release may follow.
async fn reuse(
    ctx: &Context,
    caller: &Caller,
    scope: TenantScope,
    found: Versioned<Artifact>,
) -> Result<UploadedArtifact, ServiceError> {
    let tx = ctx.begin(caller).await?;
    artifacts::lock_usage(&tx, scope).await?;
    match artifacts::find(&tx, scope, &found.value.sha256).await? {
        Some(found) => renew(ctx, tx, scope, found).await,
        // It was deleted a moment ago, and its content with it.
        None => Err(ServiceError::Stale),
    }
}

async fn renew(
    ctx: &Context,
    tx: Tx,
    scope: TenantScope,
    found: Versioned<Artifact>,
) -> Result<UploadedArtifact, ServiceError> {
    artifacts::restart_retention(&tx, scope, &found.value.sha256, ctx.now()).await?;
    tx.commit().await?;
    Ok(UploadedArtifact {
        artifact: found,
        is_new: false,
    })
}

/// Replaces the damaged content of an artifact by the same bytes.
async fn repair(
    ctx: &Context,
    caller: &Caller,
    scope: TenantScope,
    damaged: Versioned<Artifact>,
    received: ReceivedFile,
) -> Result<UploadedArtifact, ServiceError> {
    let suspended = suspend_deadline();
    let name = object_name(scope, &damaged.value);
    ctx.artifacts().store.publish(&name, received).await?;
    drop(suspended);
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = artifacts::find(&tx, scope, &damaged.value.sha256)
        .await?
        .ok_or(ServiceError::Stale)?;
    let repaired = artifacts::set_damage(&tx, &before, None, ctx.now()).await?;
    let change = AuditedChange::changed(AuditAction::ArtifactRepair, &before.value, &repaired.value);
    audit::record(&tx, ctx, caller, Some(scope.tenant()), change).await?;
    let written = WriteResult::changed(repaired, ctx.commit(tx).await?);
    Ok(UploadedArtifact {
        artifact: written.value,
        is_new: false,
    })
}

/// Deletes an object without an artifact. A job deletes it later if this fails.
async fn discard(ctx: &Context, name: &ObjectName) {
    if let Err(error) = ctx.artifacts().store.delete(name).await {
        tracing::warn!(%error, "an object without an artifact remains until tomorrow");
    }
}
