//! The nodes of the installation: each says with its proofs of writing that it runs ([`super::write_health`]).

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::storage::{Reader, nodes};

/// Several times the interval of the proofs, so that a few late ones do no harm.
const ALIVE_FOR: TimeDelta = TimeDelta::seconds(30);

/// The nodes that said lately that they run.
pub(super) async fn alive(ctx: &Context, reader: &impl Reader) -> Result<Vec<Uuid>, ServiceError> {
    Ok(nodes::list_seen_after(reader, ctx.now() - ALIVE_FOR).await?)
}
