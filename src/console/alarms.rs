//! Failures of this node that people should know of.

use super::texts::Texts;
use crate::services::Context;

/// Returns what does not work on this node.
pub(super) fn node_alarms(ctx: &Context, t: &Texts) -> Vec<String> {
    let mut alarms = Vec::new();
    if let Some(failure) = ctx.write_failure(true) {
        alarms.push(format!("{}: {}", t.writes_fail, failure.detail));
    }
    if ctx.catalog().stale_for(ctx.now()).is_some() {
        alarms.push(t.catalog_is_stale.to_owned());
    }
    let tasks_down = ctx.node().tasks.down();
    if !tasks_down.names.is_empty() {
        alarms.push(format!("{}: {}", t.tasks_down, tasks_down.names.join(", ")));
    }
    if ctx.node().is_draining() {
        alarms.push(t.node_is_draining.to_owned());
    }
    alarms
}
