//! Probes of the artifact store, and its marker.

use std::time::Duration;

use crate::artifact_store::StoreError;
use crate::error_chain::error_chain;
use crate::services::artifact_parts::StoreState;
use crate::services::{Context, ServiceError, installation};
use crate::storage::artifacts;

/// Name of the task that probes.
pub const WATCH_NAME: &str = "artifact_store_watch";
const EVERY: Duration = Duration::from_secs(15);

/// Probes the store until the task is dropped.
pub async fn watch(ctx: &Context) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        probe(ctx).await;
    }
}

/// Updates the state of the store. What the database does not tell stays unchanged.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub async fn probe(ctx: &Context) {
    let before = ctx.artifacts().health.state();
    let failure = match find_failure(ctx).await {
        Ok(()) => None,
        Err(error) => Some(describe(&error, before.failure.is_none())),
    };
    if before.failure.is_some() && failure.is_none() {
        tracing::info!("the artifact store is available again");
    }
    let damaged = artifacts::count_damaged(ctx.db()).await.unwrap_or(before.damaged);
    metrics::gauge!("slipway_artifact_store_reachable").set(f64::from(u8::from(failure.is_none())));
    metrics::gauge!("slipway_artifacts_damaged").set(damaged as f64);
    ctx.artifacts().health.set(StoreState { failure, damaged });
}

/// Describes a failure for readiness, which anybody can read. The log has the cause, once.
fn describe(error: &ServiceError, is_new: bool) -> String {
    if is_new {
        tracing::error!(error = error_chain(error), "the artifact store is unavailable");
    }
    match error {
        ServiceError::StoreUnavailable(StoreError::Foreign) => StoreError::Foreign.to_string(),
        _ => "the artifact store does not respond, or refuses access; the log has the cause".to_owned(),
    }
}

async fn find_failure(ctx: &Context) -> Result<(), ServiceError> {
    match find_marker(ctx).await {
        Err(error @ ServiceError::StoreUnavailable(_)) => Err(error),
        // Without the database the marker cannot be judged.
        _ => Ok(()),
    }
}

/// Returns `true` if the store has the marker of this installation, and `false` if it is new. Another store is an
/// error.
pub(super) async fn find_marker(ctx: &Context) -> Result<bool, ServiceError> {
    match ctx.artifacts().store.marker().await? {
        Some(marker) if marker == installation_of(ctx).await? => Ok(true),
        // A new store has no marker until the first upload.
        None if !artifacts::any_exist(ctx.db()).await? => Ok(false),
        _ => Err(StoreError::Foreign.into()),
    }
}

/// Marks a new store, and fails for another one.
pub(super) async fn prepare_store(ctx: &Context) -> Result<(), ServiceError> {
    if find_marker(ctx).await? {
        return Ok(());
    }
    let marker = installation_of(ctx).await?;
    Ok(ctx.artifacts().store.write_marker(&marker).await?)
}

async fn installation_of(ctx: &Context) -> Result<String, ServiceError> {
    installation::id(ctx.db()).await
}
