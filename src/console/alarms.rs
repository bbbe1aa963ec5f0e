//! Failures that people should know of.

use super::page_error::PageError;
use super::texts::Texts;
use super::visit::Visit;
use crate::services::{Context, artifacts};
use slipway_domain::catalog::ids::TenantId;

pub(super) struct Alarm {
    pub(super) text: String,
    /// Page with the objects that are concerned.
    pub(super) href: Option<String>,
}

impl From<&str> for Alarm {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Alarm {
    fn from(text: String) -> Self {
        Self { text, href: None }
    }
}

/// Returns what does not work on this node.
pub(super) fn node_alarms(ctx: &Context, t: &Texts) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> = Vec::new();
    if let Some(failure) = ctx.write_failure(true) {
        alarms.push(format!("{}: {}", t.writes_fail, failure.detail).into());
    }
    if ctx.catalog().stale_for(ctx.now()).is_some() {
        alarms.push(t.catalog_is_stale.into());
    }
    if let Some(failure) = ctx.artifacts().health.state().failure {
        alarms.push(format!("{}: {failure}", t.store_is_unreachable).into());
    }
    let tasks_down = ctx.node().tasks.down();
    if !tasks_down.names.is_empty() {
        alarms.push(format!("{}: {}", t.tasks_down, tasks_down.names.join(", ")).into());
    }
    if ctx.node().is_draining() {
        alarms.push(t.node_is_draining.into());
    }
    alarms
}

/// Returns what is wrong with the data of all tenants, for the platform's administrators.
pub(super) fn installation_alarms(ctx: &Context, t: &Texts) -> Vec<Alarm> {
    let damaged = ctx.artifacts().health.state().damaged;
    let held = ctx.catalog().held_count();
    let mut alarms: Vec<Alarm> = Vec::new();
    if damaged > 0 {
        alarms.push(format!("{} {damaged}", t.damaged_files_total).into());
    }
    if held > 0 {
        alarms.push(format!("{} {held}", t.catalogs_held).into());
    }
    alarms
}

/// Returns what is wrong with the files and the catalog of a tenant.
pub(super) async fn tenant_data_alarms(visit: &Visit, tenant: TenantId) -> Result<Vec<Alarm>, PageError> {
    let t = visit.texts();
    let damaged = artifacts::count_damaged(&visit.ctx, &visit.caller(false), tenant).await?;
    let mut alarms = Vec::new();
    if damaged > 0 {
        alarms.push(Alarm {
            text: format!("{} {damaged}", t.damaged_files),
            href: Some(format!("/console/tenants/{tenant}/artifacts?damaged=true")),
        });
    }
    if visit.ctx.catalog().is_held(tenant) {
        alarms.push(t.catalog_is_held.into());
    }
    Ok(alarms)
}
