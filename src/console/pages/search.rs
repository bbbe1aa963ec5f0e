//! Search of a tenant: apps, resources and devices by the beginning of their name, org nodes by code, path or name, files
//! by their digests, pushes by their id. Search of the platform: tenants.

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
use crate::services::org_tree::{TreeNode, TreeSelection};
use crate::services::search::{self, FoundRelease, FoundResource};
use crate::services::{ServiceError, apps, artifacts, devices, memory, org_directory, pushes};
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::device::DeviceFilter;
use slipway_domain::catalog::ids::{PushId, TenantId};
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::{Md5, Sha256, TraceId};

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
    groups: Vec<Group>,
    /// What the search finds.
    explanation: &'static str,
}

/// Heading, and the results below it.
type Group = (&'static str, Vec<Link>);

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    visit.require_tenant(tenant_id)?;
    let (text, t) = (text_of(&visit), visit.texts());
    let mut groups = Vec::new();
    if is_searchable(&text) {
        groups.push((t.apps, apps_of(&visit, tenant_id, &text).await?));
        groups.push((t.resources, resources_of(&visit, tenant_id, &text).await?));
        groups.extend(content_of(&visit, tenant_id, &text).await?);
        if visit.may(Action::ReadDevices) {
            groups.push((t.org, nodes_of(&visit, tenant_id, &text).await?));
            groups.push((t.devices, devices_of(&visit, tenant_id, &text).await?));
            groups.push((t.pushes, pushes_of(&visit, tenant_id, &text).await?));
        }
    }
    respond(&visit, text, groups, t.search_text)
}

/// Searches the tenants, for administrators of the platform. Everything else belongs to a tenant, whose pages search it.
pub(in crate::console) async fn of_platform(visit: Visit) -> Result<HttpResponse, PageError> {
    visit.require(Action::ManageTenants)?;
    let (text, t) = (text_of(&visit), visit.texts());
    let mut groups = Vec::new();
    if is_searchable(&text) {
        groups.push((t.tenants, tenants_of(&visit, &text).await?));
    }
    respond(&visit, text, groups, t.search_platform_text)
}

fn text_of(visit: &Visit) -> String {
    let text = visit.param("q").unwrap_or_default();
    text.chars().take(MAX_TEXT).collect()
}

fn is_searchable(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// Shows the results, or the only one itself.
fn respond(
    visit: &Visit,
    text: String,
    mut groups: Vec<Group>,
    explanation: &'static str,
) -> Result<HttpResponse, PageError> {
    groups.retain(|(_, found)| !found.is_empty());
    if let [(_, found)] = groups.as_slice()
        && let [only] = found.as_slice()
    {
        return Ok(see_other(&only.href));
    }
    let shell = Shell::of(visit, visit.texts().search);
    let page = SearchPage {
        text,
        groups,
        explanation,
        s: &shell,
    };
    html(StatusCode::OK, &page)
}

async fn tenants_of(visit: &Visit, text: &str) -> Result<Vec<Link>, Problem> {
    let text = text.to_owned();
    visit
        .run_heavy(async move |ctx, caller| {
            let link = |tenant: &Tenant| Link {
                href: format!("/console/tenants/{}", tenant.id),
                label: format!("{} ({})", tenant.id, tenant.name),
            };
            let found = memory::find_tenants(&ctx, &caller, &text, LIMIT)?;
            Ok(found.iter().map(link).collect())
        })
        .await
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

/// Finds resources. The pages of the found apps list their resources.
async fn resources_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Link>, Problem> {
    let text = text.to_owned();
    visit
        .run_heavy(async move |ctx, caller| {
            let found = search::find_resources(&ctx, &caller, tenant, &text, LIMIT).await?;
            let link = |found: &FoundResource| Link {
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

/// Finds the file with a SHA-256, or the files and the releases of external URLs with an MD5.
async fn content_of(visit: &Visit, tenant: TenantId, text: &str) -> Result<Vec<Group>, ServiceError> {
    let t = visit.texts();
    if let Ok(sha256) = Sha256::parse(text) {
        return Ok(vec![(t.artifacts, file_of(visit, tenant, &sha256).await?)]);
    }
    let Ok(md5) = Md5::parse(text) else {
        return Ok(Vec::new());
    };
    let found = search::find_content(&visit.ctx, &visit.caller(false), tenant, &md5, SHOWN).await?;
    let files = found
        .artifacts
        .iter()
        .map(|stored| file_link(tenant, &stored.value));
    let releases = found.releases.iter().map(|found| release_link(tenant, found));
    Ok(vec![
        (t.artifacts, files.collect()),
        (t.releases, releases.collect()),
    ])
}

async fn file_of(visit: &Visit, tenant: TenantId, sha256: &Sha256) -> Result<Vec<Link>, ServiceError> {
    match artifacts::find_content(&visit.ctx, &visit.caller(false), tenant, sha256).await {
        Ok(found) => Ok(vec![file_link(tenant, &found.artifact.value)]),
        Err(ServiceError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn file_link(tenant: TenantId, artifact: &Artifact) -> Link {
    Link {
        href: format!("/console/tenants/{tenant}/artifacts/{}", artifact.sha256.as_str()),
        label: artifact.filename.to_string(),
    }
}

fn release_link(tenant: TenantId, found: &FoundRelease) -> Link {
    let release = &found.release.value.release;
    let app = segment(found.package_name.as_str());
    Link {
        href: format!("/console/tenants/{tenant}/apps/{app}/releases/{}", release.id),
        label: format!(
            "{} {} ({})",
            release.identifier, release.content.version_name, release.content.version_code
        ),
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
