//! Failures that people should know of.

use sha2::{Digest as _, Sha256};

use super::page_error::PageError;
use super::texts::Texts;
use super::visit::Visit;
use crate::services::{Context, artifacts, tenants};
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::tenant::Tenant;

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

/// Returns what is wrong for a tenant: its switches, its data and this node.
pub(super) async fn of_tenant(visit: &Visit, id: TenantId) -> Result<Vec<Alarm>, PageError> {
    // The API shows a tenant to the platform's administrators only.
    let mut alarms = if visit.may(Action::ManageTenants) {
        let tenant = tenants::get(&visit.ctx, &visit.caller(false), id).await?;
        switched_off(&tenant.value, visit.texts())
    } else {
        Vec::new()
    };
    alarms.extend(of_data(visit, id).await?);
    alarms.extend(of_node(&visit.ctx, visit.texts()));
    Ok(alarms)
}

/// Returns what is wrong with the data of all tenants and with this node, for the platform's administrators.
pub(super) fn of_platform(visit: &Visit) -> Result<Vec<Alarm>, PageError> {
    visit.require(Action::ManageTenants)?;
    let mut alarms = of_installation(&visit.ctx, visit.texts());
    alarms.extend(of_node(&visit.ctx, visit.texts()));
    Ok(alarms)
}

/// Returns a text that differs for other alarms.
pub(super) fn digest_of(alarms: &[Alarm]) -> String {
    let mut digest = Sha256::new();
    for alarm in alarms {
        digest.update(alarm.text.as_bytes());
        digest.update([0]);
    }
    hex::encode(&digest.finalize()[..8])
}

fn switched_off(tenant: &Tenant, t: &Texts) -> Vec<Alarm> {
    let alarms = [
        (!tenant.enabled, t.tenant_is_disabled),
        (!tenant.offers_enabled, t.offers_are_off),
    ];
    let given = alarms.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, text)| text.into()).collect()
}

/// Returns what does not work on this node.
fn of_node(ctx: &Context, t: &Texts) -> Vec<Alarm> {
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

fn of_installation(ctx: &Context, t: &Texts) -> Vec<Alarm> {
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
async fn of_data(visit: &Visit, tenant: TenantId) -> Result<Vec<Alarm>, PageError> {
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
