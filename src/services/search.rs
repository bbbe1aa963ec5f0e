//! Search by digest and by identifier, with indexes of the database.

use std::collections::{BTreeSet, HashMap};

use super::memory::{self, ResourceInMemory};
use super::{Caller, Context, ServiceError};
use crate::storage::{Reader, apps, artifacts, releases, resources};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::ids::{AppId, TenantId};
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::text::{Identifier, Md5, PackageName};
use slipway_domain::catalog::versioned::Versioned;

/// Number of resources that one search reads from the database.
const CANDIDATES: u64 = 200;

/// Content with a digest.
pub struct FoundContent {
    /// Newest first.
    pub artifacts: Vec<Versioned<Artifact>>,
    /// Releases of external URLs, newest first. The page of an artifact lists its own releases.
    pub releases: Vec<FoundRelease>,
}

/// Release with the package name of its app.
pub struct FoundRelease {
    pub package_name: PackageName,
    pub release: Versioned<ReleaseRecord>,
}

/// Resource with the current package name of its app. In the order of the search.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundResource {
    pub identifier: String,
    pub package_name: String,
}

impl From<ResourceInMemory> for FoundResource {
    fn from(found: ResourceInMemory) -> Self {
        Self {
            identifier: found.identifier,
            package_name: found.package_name,
        }
    }
}

/// Finds up to `limit` artifacts, and as many releases of external URLs, with an MD5.
pub async fn find_content(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    md5: &Md5,
    limit: u64,
) -> Result<FoundContent, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let reader = ctx.db().begin_read().await?;
    let releases = releases::list_external_with_md5(&reader, scope, md5, limit).await?;
    let apps = releases.iter().map(|stored| stored.value.release.app_id);
    let names = names_of(&reader, scope, apps).await?;
    Ok(FoundContent {
        artifacts: artifacts::list_with_md5(&reader, scope, md5, limit).await?,
        releases: releases
            .into_iter()
            .filter_map(|release| {
                let package_name = names.get(&release.value.release.app_id)?.clone();
                Some(FoundRelease {
                    package_name,
                    release,
                })
            })
            .collect(),
    })
}

/// Finds up to `limit` resources whose identifier begins with a text, ordered by identifier and app. Leaves out apps
/// whose package name begins with it, with their resources.
///
/// The memory of this node finds the resources that it has loaded. Those that it lacks are found among the first
/// resources of the database, so that the cost does not grow with the number of those left out.
pub async fn find_resources(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    beginning: &str,
    limit: usize,
) -> Result<Vec<FoundResource>, ServiceError> {
    let in_memory = memory::find_resources(ctx, caller, tenant, beginning, limit)?;
    let mut found: BTreeSet<_> = in_memory.into_iter().map(FoundResource::from).collect();
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let reader = ctx.db().begin_read().await?;
    let stored = resources::list_beginning_with(&reader, scope, beginning, CANDIDATES).await?;
    let names = names_of(&reader, scope, stored.iter().map(|resource| resource.app)).await?;
    let stored = stored
        .into_iter()
        .filter_map(|resource| Some((names.get(&resource.app)?, resource.identifier)));
    let others = stored.filter(|(package_name, _)| !package_name.as_str().starts_with(beginning));
    found.extend(others.map(|(package_name, identifier)| found_resource(package_name, &identifier)));
    Ok(found.into_iter().take(limit).collect())
}

fn found_resource(package_name: &PackageName, identifier: &Identifier) -> FoundResource {
    FoundResource {
        identifier: identifier.to_string(),
        package_name: package_name.to_string(),
    }
}

async fn names_of(
    reader: &impl Reader,
    scope: TenantScope,
    apps: impl IntoIterator<Item = AppId>,
) -> Result<HashMap<AppId, PackageName>, ServiceError> {
    let distinct: BTreeSet<_> = apps.into_iter().collect();
    Ok(apps::list_package_names(reader, scope, distinct).await?)
}
