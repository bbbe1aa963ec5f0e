//! Overviews: the tenants of the platform, and the apps of a tenant with what needs attention.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::app::pipeline_call;
use super::audit::{EventRow, rows_of};
use super::tenants::platform;
use crate::console::adoption::Adoption;
use crate::console::alarms::{self, Alarm, digest_of};
use crate::console::format::{count, segment};
use crate::console::live::stream_url;
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::services::{adoption, apps, list_audit, releases, tenants};
use slipway_domain::access::Action;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::audit::AuditFilter;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::ReleaseFilter;
use slipway_domain::catalog::text::{Identifier, PackageName};

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
    /// Address of the stream of the alarms.
    events: String,
    alarms: Vec<Alarm>,
    apps: Vec<AppRow>,
    has_more: bool,
    changes: Option<Vec<EventRow>>,
    may_write: bool,
    /// Command with which a pipeline publishes a release.
    pipeline_call: String,
    checks_per_minute: String,
}

struct AppRow {
    href: String,
    name: String,
    package_name: String,
    enabled: bool,
    newest: Option<ReleaseSummary>,
    /// Adoption of the resource of the newest release.
    adoption: Option<Adoption>,
}

pub(in crate::console) async fn of_tenant(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let (ctx, caller) = (&visit.ctx, visit.caller(false));
    // The API shows a tenant to the platform's administrators only.
    let title = if visit.may(Action::ManageTenants) {
        let tenant = tenants::get(ctx, &caller, tenant_id).await?;
        tenant.value.name.to_string()
    } else {
        visit.texts().overview.to_owned()
    };
    let shell = Shell::of(&visit, title);
    let base = format!("/console/tenants/{tenant_id}");
    let first = PageRequest {
        limit: SHOWN,
        after: None,
    };
    let found = apps::list(ctx, &caller, tenant_id, &first).await?;
    let mut rows = Vec::new();
    for stored in &found.items {
        rows.push(read_row(&visit, &shell, tenant_id, &stored.value).await?);
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
    let alarms = alarms::of_tenant(&visit, tenant_id).await?;
    let page = OverviewPage {
        events: stream_url(&base, &digest_of(&alarms)),
        alarms,
        apps: rows,
        has_more: found.next.is_some(),
        changes,
        may_write: visit.may(Action::WriteApps),
        pipeline_call: pipeline_call(tenant_id, "com.example.app"),
        checks_per_minute: count(ctx.checks().counts.per_minute()),
        base,
        s: &shell,
    };
    html(StatusCode::OK, &page)
}

async fn read_row(visit: &Visit, shell: &Shell, tenant: TenantId, app: &App) -> Result<AppRow, PageError> {
    let (ctx, caller, name) = (&visit.ctx, visit.caller(false), &app.package_name);
    let filter = ReleaseFilter::default();
    let newest = releases::list(ctx, &caller, tenant, name, &filter, &PageRequest::first(1)).await?;
    let newest = newest.items.first();
    let adoption = match newest {
        Some(release) => adoption_of(visit, tenant, name, &release.value.release.identifier).await?,
        None => None,
    };
    let href = format!("/console/tenants/{tenant}/apps/{}", segment(name.as_str()));
    Ok(AppRow {
        newest: newest.map(|release| ReleaseSummary::of(shell, &href, release)),
        adoption,
        href,
        name: app.app_name.to_string(),
        package_name: name.to_string(),
        enabled: app.enabled,
    })
}

async fn adoption_of(
    visit: &Visit,
    tenant: TenantId,
    app: &PackageName,
    resource: &Identifier,
) -> Result<Option<Adoption>, PageError> {
    let (caller, resources) = (visit.caller(false), [resource.clone()]);
    let current = adoption::current(&visit.ctx, &caller, tenant, app, &resources).await?;
    Ok(current.resources.get(resource).and_then(Adoption::of))
}
