//! Search of a tenant: apps and devices by the beginning of their name, pushes by their id.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::devices::before;
use crate::console::format::segment;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::{Link, Shell};
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::{Problem, ProblemCode};
use crate::services::{ServiceError, apps, devices, pushes};
use slipway_domain::access::Action;
use slipway_domain::catalog::device::DeviceFilter;
use slipway_domain::catalog::ids::{PushId, TenantId};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::text::TraceId;

/// Number of results of each kind.
const SHOWN: u64 = 20;
/// Longest text to search for, in characters.
const MAX_TEXT: usize = 128;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage<'a> {
    s: &'a Shell,
    text: String,
    groups: Vec<(&'static str, Vec<Link>)>,
}

/// Shows the results, or the only one itself.
pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    visit.require_tenant(tenant_id)?;
    let text: String = visit
        .param("q")
        .unwrap_or_default()
        .chars()
        .take(MAX_TEXT)
        .collect();
    let shell = Shell::of(&visit, visit.texts().search);
    let t = shell.t;
    let mut groups = Vec::new();
    if !text.is_empty() && !text.contains(char::is_control) {
        groups.push((t.apps, apps_of(&visit, tenant_id, &text).await?));
        if visit.may(Action::ReadDevices) {
            groups.push((t.devices, devices_of(&visit, tenant_id, &text).await?));
            groups.push((t.pushes, pushes_of(&visit, tenant_id, &text).await?));
        }
    }
    groups.retain(|(_, found)| !found.is_empty());
    if let [(_, found)] = groups.as_slice()
        && let [only] = found.as_slice()
    {
        return Ok(see_other(&only.href));
    }
    let page = SearchPage {
        text,
        groups,
        s: &shell,
    };
    html(StatusCode::OK, &page)
}

fn from(text: &str) -> PageRequest {
    PageRequest {
        limit: SHOWN,
        after: before(text),
    }
}

async fn apps_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, ServiceError> {
    let found = apps::list(&visit.ctx, &visit.caller(false), tenant, &from(text)).await?;
    let named = found
        .items
        .iter()
        .filter(|stored| stored.value.package_name.as_str().starts_with(text));
    let link = |app: &slipway_domain::catalog::app::App| Link {
        href: format!(
            "/console/tenants/{tenant}/apps/{}",
            segment(app.package_name.as_str())
        ),
        label: format!("{} ({})", app.package_name, app.app_name),
    };
    Ok(named.map(|stored| link(&stored.value)).collect())
}

async fn devices_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, Problem> {
    let (page, text) = (from(text), text.to_owned());
    visit
        .run_heavy(async move |ctx, caller| {
            let found = devices::list(&ctx, &caller, tenant, &DeviceFilter::default(), &page).await?;
            let ids = found.items.iter().map(|device| device.stored.device.id.as_str());
            let link = |id: &str| Link {
                href: format!("/console/tenants/{tenant}/devices/{}", segment(id)),
                label: id.to_owned(),
            };
            Ok(ids.filter(|id| id.starts_with(&text)).map(link).collect())
        })
        .await
}

async fn pushes_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, Problem> {
    let (ctx, caller) = (&visit.ctx, visit.caller(false));
    let link = |id: PushId| Link {
        href: format!("/console/tenants/{tenant}/pushes/{id}"),
        label: id.to_string(),
    };
    if let Ok(id) = text.parse::<PushId>() {
        return match pushes::get(ctx, &caller, tenant, id).await.map_err(Problem::from) {
            Ok(found) => Ok(vec![link(found.push.id)]),
            Err(problem) if problem.code() == ProblemCode::NotFound => Ok(Vec::new()),
            Err(problem) => Err(problem),
        };
    }
    let Ok(trace_id) = TraceId::parse(text) else {
        return Ok(Vec::new());
    };
    let page = PageRequest {
        limit: SHOWN,
        after: None,
    };
    let found = pushes::list(ctx, &caller, tenant, Some(&trace_id), &page).await?;
    Ok(found.items.iter().map(|found| link(found.push.id)).collect())
}
