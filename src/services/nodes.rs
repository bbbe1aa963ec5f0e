//! Nodes of the installation. Each node's write probes also show that it runs ([`super::write_probe_task`]).

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::storage::{Reader, nodes};

/// Several times the interval of the write probes, so that a few late ones are harmless.
const ALIVE_FOR: TimeDelta = TimeDelta::seconds(30);

/// Lists the nodes with a recent write probe.
pub(super) async fn list_running(ctx: &Context, reader: &impl Reader) -> Result<Vec<Uuid>, ServiceError> {
    Ok(nodes::list_seen_after(reader, ctx.now() - ALIVE_FOR).await?)
}
