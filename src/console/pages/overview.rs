//! Overviews: the tenants of the platform, and the apps of a tenant with what needs attention.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::audit::{EventRow, rows_of};
use super::tenants::platform;
use crate::console::alarms::{Alarm, node_alarms, tenant_data_alarms};
use crate::console::format::{count, segment};
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::services::{apps, list_audit, releases, tenants};
use slipway_domain::access::Action;
use slipway_domain::catalog::audit::AuditFilter;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::ReleaseFilter;
use slipway_domain::catalog::tenant::Tenant;

/// Number of apps and of changes on a tenant's overview.
const SHOWN: u64 = 10;

/// Shows the tenants to platform administrators, and leads others to their tenant.
pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    match visit.principal.tenant {
        Some(tenant) => Ok(see_other(&format!("/console/tenants/{tenant}"))),
        None => platform(&visit, None).await,
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    s: &'a Shell,
    base: String,
    alarms: Vec<Alarm>,
    apps: Vec<AppRow>,
    has_more: bool,
    changes: Option<Vec<EventRow>>,
    may_write: bool,
    checks_per_minute: String,
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
    // The API shows a tenant to the platform's administrators only.
    let tenant = if visit.may(Action::ManageTenants) {
        Some(tenants::get(ctx, &caller, tenant_id).await?.value)
    } else {
        None
    };
    let name = tenant.as_ref().map(|tenant| tenant.name.to_string());
    let shell = Shell::of(&visit, name.unwrap_or_else(|| visit.texts().overview.to_owned()));
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
            newest: newest
                .items
                .first()
                .map(|release| ReleaseSummary::of(&shell, &href, release)),
            href,
            name: app.app_name.to_string(),
            package_name: app.package_name.to_string(),
            enabled: app.enabled,
        });
    }
    let changes = if visit.may(Action::ReadAudit) {
        Some(rows_of(
            &shell,
            &base,
            list_audit(ctx, &caller, tenant_id, &AuditFilter::default(), &first)
                .await?
                .items,
        ))
    } else {
        None
    };
    let mut alarms = tenant.map_or_else(Vec::new, |tenant| tenant_alarms(&tenant, &shell));
    alarms.extend(tenant_data_alarms(&visit, tenant_id).await?);
    alarms.extend(node_alarms(ctx, t));
    let page = OverviewPage {
        alarms,
        apps: rows,
        has_more: found.next.is_some(),
        changes,
        may_write: visit.may(Action::WriteApps),
        checks_per_minute: count(ctx.checks().counts.per_minute()),
        base,
        s: &shell,
    };
    html(StatusCode::OK, &page)
}

fn tenant_alarms(tenant: &Tenant, shell: &Shell) -> Vec<Alarm> {
    let alarms = [
        (!tenant.enabled, shell.t.tenant_is_disabled),
        (!tenant.offers_enabled, shell.t.offers_are_off),
    ];
    let given = alarms.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, text)| text.into()).collect()
}
