//! Lookup of one release.

use super::ServiceError;
use crate::access::TenantScope;
use crate::catalog::app::App;
use crate::catalog::ids::ReleaseId;
use crate::storage::releases::ReleaseRecord;
use crate::storage::{Reader, Versioned, releases};

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
