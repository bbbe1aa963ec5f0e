//! Overviews: the tenants of the platform, and the apps of a tenant with what needs attention.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::audit::{EventRow, rows_of};
use super::tenants::{TENANT, TenantRow};
use crate::console::errors::PageError;
use crate::console::form_view::{Attempt, FormView};
use crate::console::format::segment;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::services::{Context, apps, list_audit, releases, tenants};
use slipway_domain::access::Action;
use slipway_domain::catalog::audit::AuditFilter;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::ReleaseFilter;
use slipway_domain::catalog::tenant::Tenant;

/// Number of apps and of changes on a tenant's overview.
const SHOWN: u64 = 10;

#[derive(Template)]
#[template(path = "platform.html")]
struct PlatformPage<'a> {
    s: &'a Shell,
    alarms: Vec<String>,
    tenants: Vec<TenantRow>,
    next: Option<String>,
    form: FormView,
}

/// Shows the tenants to platform administrators, and leads others to their tenant.
pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    match visit.principal.tenant {
        Some(tenant) => Ok(see_other(&format!("/console/tenants/{tenant}"))),
        None => platform(&visit, None).await,
    }
}

pub(in crate::console) async fn platform(
    visit: &Visit,
    attempt: Option<&Attempt>,
) -> Result<HttpResponse, PageError> {
    let found = tenants::list(&visit.ctx, &visit.caller(false), &visit.page()?).await?;
    let shell = Shell::of(visit, visit.texts().tenants);
    let t = shell.t;
    let page = PlatformPage {
        alarms: node_alarms(&visit.ctx, t),
        tenants: found.items.iter().map(|stored| TenantRow::of(&stored.value, t)).collect(),
        next: visit.next_page(found.next),
        form: shell.forms(attempt).form(&TENANT, "/console/tenants").behind(t.new_tenant),
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    s: &'a Shell,
    base: String,
    alarms: Vec<String>,
    apps: Vec<AppRow>,
    has_more: bool,
    changes: Option<Vec<EventRow>>,
    may_write: bool,
}

struct AppRow {
    href: String,
    name: String,
    package_name: String,
    enabled: bool,
    newest: Option<ReleaseSummary>,
}

pub(in crate::console) async fn of_tenant(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let (ctx, caller) = (&visit.ctx, visit.caller(false));
    let tenant = tenants::get(ctx, &caller, tenant_id).await?.value;
    let shell = Shell::of(&visit, tenant.name.to_string());
    let t = shell.t;
    let base = format!("/console/tenants/{tenant_id}");
    let first = PageRequest {
        limit: SHOWN,
        after: None,
    };
    let found = apps::list(ctx, &caller, tenant_id, &first).await?;
    let mut rows = Vec::new();
    for stored in &found.items {
        let app = &stored.value;
        let newest = PageRequest {
            limit: 1,
            after: None,
        };
        let filter = ReleaseFilter::default();
        let newest = releases::list(ctx, &caller, tenant_id, &app.package_name, &filter, &newest).await?;
        let href = format!("{base}/apps/{}", segment(app.package_name.as_str()));
        rows.push(AppRow {
            newest: newest.items.first().map(|release| ReleaseSummary::of(&shell, &href, release)),
            href,
            name: app.app_name.to_string(),
            package_name: app.package_name.to_string(),
            enabled: app.enabled,
        });
    }
    let changes = if visit.may(Action::ReadAudit) {
        Some(rows_of(&shell, &base, list_audit(ctx, &caller, tenant_id, &AuditFilter::default(), &first).await?.items))
    } else {
        None
    };
    let mut alarms = tenant_alarms(&tenant, &shell);
    alarms.extend(node_alarms(ctx, t));
    let page = OverviewPage {
        alarms,
        apps: rows,
        has_more: found.next.is_some(),
        changes,
        may_write: visit.may(Action::WriteApps),
        base,
        s: &shell,
    };
    html(StatusCode::OK, &page)
}

fn tenant_alarms(tenant: &Tenant, shell: &Shell) -> Vec<String> {
    let alarms = [
        (!tenant.enabled, shell.t.tenant_is_disabled),
        (!tenant.offers_enabled, shell.t.offers_are_off),
    ];
    let given = alarms.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, text)| text.to_owned()).collect()
}

/// Returns what does not work on this node.
fn node_alarms(ctx: &Context, t: &crate::console::texts::Texts) -> Vec<String> {
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
