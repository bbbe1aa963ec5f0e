//! Lookup of one release, for reads and for changes.

use super::{Caller, Context, Precondition, ServiceError, apps};
use crate::storage::{CatalogTx, Reader, releases};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::ids::{ReleaseId, TenantId};
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::text::PackageName;
use slipway_domain::catalog::versioned::Versioned;

/// Path of a release.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseAddress<'a> {
    pub tenant: TenantId,
    pub app: &'a PackageName,
    pub id: ReleaseId,
}

/// Release that is about to change, in the transaction of the change.
pub(super) struct ReleaseEdit {
    pub(super) tx: CatalogTx,
    pub(super) app: App,
    pub(super) before: Versioned<ReleaseRecord>,
}

/// Begins a change of a release: authorizes the caller, finds the release and verifies the precondition.
pub(super) async fn begin_edit(
    ctx: &Context,
    caller: &Caller,
    address: ReleaseAddress<'_>,
    precondition: &Precondition,
) -> Result<ReleaseEdit, ServiceError> {
    let scope = ctx
        .authorize(caller, address.tenant, Action::WriteReleases)
        .await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = apps::find(&tx, scope, address.app).await?.value;
    let before = find(&tx, scope, &app, address.id).await?;
    precondition.check(&before.etag)?;
    Ok(ReleaseEdit { tx, app, before })
}

/// Finds a release of this app.
pub(super) async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    app: &App,
    id: ReleaseId,
) -> Result<Versioned<ReleaseRecord>, ServiceError> {
    releases::find(reader, scope, id)
        .await?
        .filter(|stored| stored.value.release.app_id == app.id)
        .ok_or(ServiceError::NotFound("release"))
}
