//! Search of a tenant: apps, resources and devices by the beginning of their name, org nodes by code, path or name, files
//! by their digest, pushes by their id.

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
use crate::services::memory::{self, ResourceInMemory};
use crate::services::org_tree::{TreeNode, TreeSelection};
use crate::services::{ServiceError, apps, artifacts, devices, org_directory, pushes};
use slipway_domain::access::Action;
use slipway_domain::catalog::device::DeviceFilter;
use slipway_domain::catalog::ids::{PushId, TenantId};
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::text::{Sha256, TraceId};

/// Number of results of each kind.
const LIMIT: usize = 20;
/// The same number for lists in pages.
const SHOWN: u64 = LIMIT as u64;
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
        groups.push((t.resources, resources_of(&visit, tenant_id, &text).await?));
        groups.push((t.artifacts, files_of(&visit, tenant_id, &text).await?));
        if visit.may(Action::ReadDevices) {
            groups.push((t.org, nodes_of(&visit, tenant_id, &text).await?));
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

/// Finds resources in the memory of this node. The pages of the found apps list their resources.
async fn resources_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, Problem> {
    let text = text.to_owned();
    visit
        .run_heavy(async move |ctx, caller| {
            let found = memory::find_resources(&ctx, &caller, tenant, &text, LIMIT)?;
            let link = |found: &ResourceInMemory| Link {
                href: format!(
                    "/console/tenants/{tenant}/apps/{}/resources/{}",
                    segment(&found.package_name),
                    segment(&found.identifier)
                ),
                label: format!("{} ({})", found.identifier, found.package_name),
            };
            Ok(found.iter().map(link).collect())
        })
        .await
}

/// Finds the file with a SHA-256. No index has other digests.
async fn files_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, ServiceError> {
    let Ok(sha256) = Sha256::parse(text) else {
        return Ok(Vec::new());
    };
    match artifacts::find_content(&visit.ctx, &visit.caller(false), tenant, &sha256).await {
        Ok(found) => Ok(vec![Link {
            href: format!("/console/tenants/{tenant}/artifacts/{}", sha256.as_str()),
            label: found.artifact.value.filename.to_string(),
        }]),
        Err(ServiceError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Finds org nodes by the end of their path; if there are none, by a part of their code or name. A code that is a part
/// of many others still leads to its node.
async fn nodes_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, Problem> {
    let text = text.to_owned();
    visit
        .run_heavy(async move |ctx, caller| {
            let directory = org_directory::get_tree(&ctx, &caller, tenant).await?;
            let path = TreeSelection::EndingWith(org_path::split(&text));
            let mut found = directory.tree.select(&path, LIMIT);
            if found.nodes.is_empty() {
                found = directory.tree.select(&TreeSelection::Matching(text), LIMIT);
            }
            Ok(found.nodes.iter().map(|node| node_link(tenant, node)).collect())
        })
        .await
}

/// Returns a link to the devices of a node.
fn node_link(tenant: TenantId, node: &TreeNode) -> Link {
    let path = org_path::join(&node.path);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("org", &path);
    Link {
        href: format!("/console/tenants/{tenant}/devices?{}", query.finish()),
        label: match &node.name {
            Some(name) => format!("{path} ({name})"),
            None => path,
        },
    }
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
