//! Why a device gets what it gets: the check's own decision, with the verdict of every release.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Caller, Context, ServiceError, apps};
use crate::access::{Action, TenantScope};
use crate::catalog::ids::TenantId;
use crate::catalog::org::OrgDirectory;
use crate::catalog::text::{Identifier, PackageName};
use crate::live::Lookup;
use crate::resolve::{Check, ExplainedResource, PublishedApp, Situation, explain_some};
use crate::storage::feed::{self, TenantRows};
use crate::storage::releases::ReleaseSelection;
use crate::storage::{AppSelection, CatalogPair, ReadTx, StorageError};

pub struct Explanation {
    /// The state of the tenant's catalog that was explained.
    pub pair: CatalogPair,
    /// The instant that was taken for now.
    pub at: DateTime<Utc>,
    pub resources: Vec<ExplainedResource>,
}

/// Explains a check as it would be answered at an instant. Read from the database, since drafts and paused releases
/// have verdicts too and nodes do not keep those in memory.
pub async fn explain_check(
    ctx: &Context,
    caller: &Caller,
    (tenant, app): (TenantId, &PackageName),
    (mut check, only): (Check<'_>, Option<&Identifier>),
    at: Option<DateTime<Utc>>,
) -> Result<Explanation, ServiceError> {
    let scope = ctx.enter(caller, tenant, Action::ReadCatalog).await?;
    let reader = ctx.db.begin_read().await?;
    let rows = feed::load_tenants(&reader, &[scope])
        .await?
        .pop()
        .ok_or(ServiceError::NotFound("tenant"))?;
    let app = apps::find(&reader, scope, app).await?.value;
    let ids = [app.id];
    let found = feed::load_apps(&reader, AppSelection::Some(scope, &ids), ReleaseSelection::All)
        .await?
        .pop()
        .ok_or(ServiceError::NotFound("app"))?;
    let directory = find_directory(ctx, &reader, scope, &rows).await?;
    check.complete_memberships(&directory);
    let now = ctx.now();
    let situation = Situation {
        now: at.unwrap_or(now),
        offers_enabled: rows.tenant.offers_enabled,
        stale: ctx.live.stale_for(now).is_some(),
    };
    let compiled = PublishedApp::compile(&found.app, found.resources, found.releases, found.pins);
    Ok(Explanation {
        pair: rows.pair,
        at: situation.now,
        resources: explain_some(&compiled, &check, &situation, |identifier| {
            only.is_none_or(|only| only.as_str() == identifier)
        }),
    })
}

/// The directory that checks are completed from, where it is the one of these rows; parsing and indexing a large one
/// takes seconds.
async fn find_directory(
    ctx: &Context,
    reader: &ReadTx,
    scope: TenantScope,
    rows: &TenantRows,
) -> Result<Arc<OrgDirectory>, StorageError> {
    if let Lookup::Found(served) = ctx.live.tenant(scope.tenant())
        && served.directory_etag == rows.directory_etag
    {
        return Ok(served.directory.clone());
    }
    let nodes = feed::load_directory(reader, scope).await?;
    Ok(Arc::new(OrgDirectory::of_nodes(&nodes)))
}
