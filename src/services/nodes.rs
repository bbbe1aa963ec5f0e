//! The nodes of the installation: each says every few seconds that it runs.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::storage::{Reader, nodes};

const SAY_EVERY: Duration = Duration::from_secs(10);
/// Three times the interval, so that a late word or two do no harm.
const ALIVE_FOR: TimeDelta = TimeDelta::seconds(30);

/// Says so until the task is dropped.
pub async fn run(ctx: Arc<Context>) {
    let mut ticks = interval(SAY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = nodes::upsert_seen(&ctx.db, ctx.node, ctx.now()).await {
            tracing::debug!(%error, "this node could not say that it runs");
        }
    }
}

/// The nodes that said lately that they run.
pub(super) async fn alive(ctx: &Context, reader: &impl Reader) -> Result<Vec<Uuid>, ServiceError> {
    Ok(nodes::list_seen_after(reader, ctx.now() - ALIVE_FOR).await?)
}
