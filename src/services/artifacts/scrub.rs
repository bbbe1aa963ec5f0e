//! Verification of stored content: every artifact is read again within the configured time.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use super::health::find_marker;
use super::object_name;
use crate::artifact_store::StoreError;
use crate::error_chain::error_chain;
use crate::services::{Context, ServiceError};
use crate::storage::artifacts::OwnedArtifact;
use crate::storage::{StorageError, artifacts};
use crate::timer;
use slipway_domain::catalog::artifact::{Damage, DamageKind};

/// Artifacts read from the database at once.
const LISTED_AT_ONCE: u64 = 50;
/// Interval of the verification of damaged artifacts, so that a file restored from a backup is offered again soon.
const DAMAGED_EVERY: TimeDelta = TimeDelta::days(1);
/// Time after which a round ends. The next one continues.
const ROUND: Duration = Duration::from_mins(30);

/// Verifies the artifacts that are due, until none is left, the time of a round is over, or the lease is lost. Returns
/// the number of verified and of damaged artifacts.
pub(super) async fn scrub<Renewal>(
    ctx: &Context,
    renew_lease: impl Fn() -> Renewal,
) -> Result<(u64, u64), ServiceError>
where
    Renewal: Future<Output = Result<bool, ServiceError>>,
{
    let (mut verified, mut damaged) = (0, 0);
    let Some(within) = ctx.artifacts().settings.scrub_within else {
        return Ok((verified, damaged));
    };
    let began = timer::now();
    let mut unreadable = HashSet::new();
    loop {
        let (before, damaged_before) = (ctx.now() - within, ctx.now() - within.min(DAMAGED_EVERY));
        // Those that cannot be read stay the oldest.
        let limit = LISTED_AT_ONCE + unreadable.len() as u64;
        let mut due = artifacts::list_due_for_scrub(ctx.db(), before, damaged_before, limit).await?;
        due.retain(|owned| !unreadable.contains(&owned.artifact.value.id));
        if due.is_empty() {
            return Ok((verified, damaged));
        }
        for owned in &due {
            if began.elapsed() > ROUND || !renew_lease().await? {
                return Ok((verified, damaged));
            }
            let damage = match verify(ctx, owned).await {
                Ok(damage) => damage,
                // One file that cannot be read must not keep the others from being verified.
                Err(ServiceError::StoreUnavailable(error)) if matches!(find_marker(ctx).await, Ok(true)) => {
                    let (tenant, sha256) = (owned.scope.tenant().get(), owned.artifact.value.sha256.as_str());
                    let error = error_chain(&error);
                    tracing::error!(tenant, sha256, error, "the content of an artifact cannot be read");
                    unreadable.insert(owned.artifact.value.id);
                    continue;
                }
                Err(error) => return Err(error),
            };
            record(ctx, owned, damage).await?;
            verified += 1;
            damaged += u64::from(damage.is_some());
        }
    }
}

/// Reads the content of an artifact and compares it. An unavailable store is an error, not damage.
async fn verify(ctx: &Context, owned: &OwnedArtifact) -> Result<Option<DamageKind>, ServiceError> {
    let artifact = &owned.artifact.value;
    let name = object_name(owned.scope, artifact);
    let mut reader = match ctx.artifacts().store.open(&name, 0..u64::MAX).await {
        Ok(reader) => reader,
        Err(StoreError::NotFound) => return Ok(Some(DamageKind::Missing)),
        Err(error) => return Err(error.into()),
    };
    if i64::try_from(reader.size()) != Ok(artifact.size) {
        return Ok(Some(DamageKind::Altered));
    }
    let (mut digest, mut offset) = (Sha256::new(), 0);
    while offset < reader.size() {
        let piece = match reader.read_piece(offset, reader.size()).await {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => piece,
            Err(StoreError::NotFound) => return Ok(Some(DamageKind::Missing)),
            Err(error) => return Err(error.into()),
        };
        digest.update(&piece);
        offset += piece.len() as u64;
    }
    let is_intact = hex::encode(digest.finalize()) == artifact.sha256.as_str();
    Ok((!is_intact).then_some(DamageKind::Altered))
}

/// Records the result. A change of it changes the offers of the artifact's releases.
async fn record(ctx: &Context, owned: &OwnedArtifact, found: Option<DamageKind>) -> Result<(), ServiceError> {
    let before = &owned.artifact.value;
    if before.damage.map(|damage| damage.kind) != found {
        match set_damage(ctx, owned, found).await {
            Ok(()) => {}
            // It was deleted or changed meanwhile. A changed one stays due.
            Err(ServiceError::Stale) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    let (tenant, sha256) = (owned.scope.tenant().get(), before.sha256.as_str());
    if let Some(kind) = found {
        metrics::counter!("slipway_artifact_damage_total", "kind" => kind.as_str()).increment(1);
        tracing::error!(
            tenant,
            sha256,
            damage = kind.as_str(),
            "the stored content of an artifact is damaged; upload the file again or restore it from a backup"
        );
    }
    Ok(artifacts::record_scrub(ctx.db(), owned.scope, before.id, ctx.now()).await?)
}

async fn set_damage(
    ctx: &Context,
    owned: &OwnedArtifact,
    found: Option<DamageKind>,
) -> Result<(), ServiceError> {
    let tx = ctx.db().begin_catalog(owned.scope).await?;
    let found_at = ctx.now();
    let damage = found.map(|kind| Damage { kind, found_at });
    match artifacts::set_damage(&tx, &owned.artifact, damage, found_at).await {
        Ok(_) => ctx.commit(tx).await.map(drop),
        Err(StorageError::Changed) => Err(ServiceError::Stale),
        Err(error) => Err(error.into()),
    }
}
