//! Reads of the catalog in the memory of this node, for people while the database is unavailable. They contain what
//! checks are answered from: effective releases, without drafts, superseded releases and texts.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Caller, Context, ServiceError};
use crate::live::{Lookup, PublishedTenant};
use slipway_domain::access::{Action, authorize_platform, authorize_tenant};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::PackageName;
use slipway_resolver::{ResourceSummary, summarize};

/// Part of a list.
pub struct Excerpt<T> {
    pub items: Vec<T>,
    /// Number of items that were omitted.
    pub left_out: usize,
}

pub struct AppInMemory {
    pub package_name: PackageName,
    /// Number of effective releases.
    pub releases: usize,
}

/// Resource with the current name of its app.
pub struct ResourceInMemory {
    pub package_name: String,
    pub identifier: String,
}

/// Maximum numbers of resources, and of releases of each.
#[derive(Debug, Clone, Copy)]
pub struct SummaryLimits {
    pub resources: usize,
    pub releases: usize,
}

impl<T> Excerpt<T> {
    fn of(mut items: Vec<T>, limit: usize) -> Self {
        let left_out = items.len().saturating_sub(limit);
        items.truncate(limit);
        Self { items, left_out }
    }
}

/// Returns the time at which the memory was last known to equal the database.
pub fn synced_at(ctx: &Context) -> Option<DateTime<Utc>> {
    ctx.catalog().synced_at()
}

/// Lists the first tenants by number.
pub fn list_tenants(ctx: &Context, caller: &Caller, limit: usize) -> Result<Excerpt<Tenant>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManageTenants)?;
    let tenants = ctx.catalog().every_tenant().into_iter();
    let known = tenants.filter_map(|(_, served)| Some(served?.tenant.clone()));
    Ok(Excerpt::of(known.collect(), limit))
}

/// Finds the first tenants whose number begins with a text, or whose name contains it in any case.
pub fn find_tenants(
    ctx: &Context,
    caller: &Caller,
    text: &str,
    limit: usize,
) -> Result<Vec<Tenant>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManageTenants)?;
    let text = text.to_lowercase();
    let is_match = |tenant: &Tenant| {
        tenant.id.to_string().starts_with(&text) || tenant.name.as_str().to_lowercase().contains(&text)
    };
    let tenants = ctx.catalog().every_tenant().into_iter();
    let served = tenants.filter_map(|(_, served)| served);
    let found = served.filter(|served| is_match(&served.tenant));
    Ok(found.take(limit).map(|served| served.tenant.clone()).collect())
}

/// Lists the first apps of a tenant by package name.
pub fn list_apps(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    limit: usize,
) -> Result<Excerpt<AppInMemory>, ServiceError> {
    let served = find_tenant(ctx, caller, tenant)?;
    let apps = served.apps().map(|app| AppInMemory {
        package_name: app.package_name.clone(),
        releases: app.release_count(),
    });
    let mut apps: Vec<_> = apps.collect();
    apps.sort_unstable_by(|a, b| a.package_name.as_str().cmp(b.package_name.as_str()));
    Ok(Excerpt::of(apps, limit))
}

/// Returns the first resources of an app with their newest releases.
pub fn summarize_app(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    limits: SummaryLimits,
    language: Language,
) -> Result<Excerpt<ResourceSummary>, ServiceError> {
    let served = find_tenant(ctx, caller, tenant)?;
    let found = served
        .app(app.as_str())
        .filter(|found| found.package_name == *app);
    let found = found.ok_or(ServiceError::NotFound("app"))?;
    Ok(Excerpt::of(
        summarize(found, limits.releases, language),
        limits.resources,
    ))
}

/// Finds the first resources of a tenant whose identifier begins with a text, ordered by identifier and app. Leaves out
/// apps whose package name begins with it, with their resources.
///
/// The database could find an identifier only by reading all resources of the tenant. While the memory lacks the tenant,
/// nothing is found.
pub fn find_resources(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    beginning: &str,
    limit: usize,
) -> Result<Vec<ResourceInMemory>, ServiceError> {
    let served = match find_tenant(ctx, caller, tenant) {
        Err(ServiceError::NotFound(_) | ServiceError::NoCatalog) => return Ok(Vec::new()),
        other => other?,
    };
    let mut first = BTreeSet::new();
    for app in served.apps() {
        let package_name = app.package_name.as_str();
        if package_name.starts_with(beginning) {
            continue;
        }
        for identifier in app.part_identifiers_with(beginning).take(limit) {
            first.insert((identifier, package_name));
            if first.len() > limit {
                first.pop_last();
            }
        }
    }
    let found = first
        .into_iter()
        .map(|(identifier, package_name)| ResourceInMemory {
            package_name: package_name.to_owned(),
            identifier: identifier.to_owned(),
        });
    Ok(found.collect())
}

/// Returns a tenant as this node serves it.
pub(super) fn find_tenant(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
) -> Result<Arc<PublishedTenant>, ServiceError> {
    authorize_tenant(&caller.principal, tenant, Action::ReadCatalog)?;
    match ctx.catalog().tenant(tenant) {
        Lookup::Found(served) => Ok(served),
        Lookup::Absent => Err(ServiceError::NotFound("tenant")),
        Lookup::Unknown => Err(ServiceError::NoCatalog),
    }
}
