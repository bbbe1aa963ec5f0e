//! Explanation of a check: the decision of the check itself, with the verdict on every release.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Caller, Context, ServiceError, apps, memory};
use crate::live::{Lookup, compile_app};
use crate::storage::catalog_states::{self, TenantRows};
use crate::storage::releases::ReleaseSelection;
use crate::storage::{AppSelection, ReadTx, StorageError};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::org::OrgDirectory;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::{Identifier, PackageName};
use slipway_resolver::{Check, CheckContext, ExplainedResource, NO_ENCODERS, PublishedApp, explain_selected};

pub struct Explanation {
    /// Current package name of the app.
    pub package_name: PackageName,
    /// Catalog revision that was explained.
    pub revision: CatalogRevision,
    /// Time for which the check was explained.
    pub at: DateTime<Utc>,
    pub resources: Vec<ExplainedResource>,
    /// Source of the catalog.
    pub source: CatalogSource,
}

/// Source of the catalog that is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogSource {
    /// All releases in the database.
    Database,
    /// Effective releases in the memory of this node, which a check is answered from.
    Memory,
}

/// Check to explain.
pub struct ExplainRequest<'a> {
    pub check: Check<'a>,
    /// Explains one resource only.
    pub only: Option<&'a Identifier>,
    /// Time for which the check is explained; `None` = now.
    pub at: Option<DateTime<Utc>>,
    pub source: CatalogSource,
    /// Language of the details.
    pub language: Language,
}

impl ExplainRequest<'_> {
    fn explain(&self, app: &PublishedApp, context: &CheckContext) -> Vec<ExplainedResource> {
        explain_selected(app, &self.check, context, self.language, |identifier| {
            self.only.is_none_or(|only| only.as_str() == identifier)
        })
    }
}

/// Explains the answer to a check at a given time.
///
/// The database has drafts and paused releases too, which nodes do not keep in memory.
pub async fn explain_check(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    mut request: ExplainRequest<'_>,
) -> Result<Explanation, ServiceError> {
    if request.source == CatalogSource::Memory {
        return explain_from_memory(ctx, caller, tenant, app, request);
    }
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let reader = ctx.db().begin_read().await?;
    let rows = catalog_states::load_tenants(&reader, &[scope])
        .await?
        .pop()
        .ok_or(ServiceError::NotFound("tenant"))?;
    let app = apps::find_by_any_name(&reader, scope, app).await?.value;
    let ids = [app.id];
    let mut found =
        catalog_states::load_apps(&reader, AppSelection::Some(scope, &ids), ReleaseSelection::All)
            .await?
            .pop()
            .ok_or(ServiceError::NotFound("app"))?;
    let directory = find_directory(ctx, &reader, scope, &rows).await?;
    request.check.complete_memberships(&directory);
    let now = ctx.now();
    let check_context = CheckContext {
        now: request.at.unwrap_or(now),
        offers_enabled: rows.tenant.offers_enabled,
        stale: ctx.catalog().stale_for(now).is_some(),
    };
    for release in &mut found.releases {
        release.set_offer_addresses(ctx.download_urls());
    }
    let compiled = compile_app(found, &NO_ENCODERS)?;
    Ok(Explanation {
        revision: rows.revision,
        at: check_context.now,
        source: CatalogSource::Database,
        package_name: app.package_name,
        resources: request.explain(&compiled, &check_context),
    })
}

fn explain_from_memory(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    request: ExplainRequest<'_>,
) -> Result<Explanation, ServiceError> {
    let served = memory::find_tenant(ctx, caller, tenant)?;
    let found = served.app(app.as_str()).ok_or(ServiceError::NotFound("app"))?;
    // From here on the check borrows the directory.
    let mut request = request;
    request.check.complete_memberships(&served.directory);
    let now = ctx.now();
    let check_context = CheckContext {
        now: request.at.unwrap_or(now),
        offers_enabled: served.tenant.offers_enabled,
        stale: ctx.catalog().stale_for(now).is_some(),
    };
    Ok(Explanation {
        revision: served.revision.clone(),
        at: check_context.now,
        source: CatalogSource::Memory,
        package_name: found.package_name.clone(),
        resources: request.explain(found, &check_context),
    })
}

/// Returns the org directory that completes checks.
///
/// Uses the one in memory if it matches the rows, because parsing and indexing a large directory takes seconds.
pub(super) async fn find_directory(
    ctx: &Context,
    reader: &ReadTx,
    scope: TenantScope,
    rows: &TenantRows,
) -> Result<Arc<OrgDirectory>, StorageError> {
    if let Lookup::Found(served) = ctx.catalog().tenant(scope.tenant())
        && served.directory_etag == rows.directory_etag
    {
        return Ok(served.directory.clone());
    }
    let nodes = catalog_states::load_directory(reader, scope).await?;
    Ok(Arc::new(OrgDirectory::of_nodes(&nodes)))
}
