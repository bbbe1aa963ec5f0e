//! Downloads.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::manage::find;
use super::object_name;
use crate::artifact_store::{ContentReader, StoreError};
use crate::live::Lookup;
use crate::services::artifact_parts::{DownloadPermit, Pace};
use crate::services::{Caller, Context, ServiceError};
use crate::storage::artifacts;
use crate::storage::artifacts::OwnedArtifact;
use crate::timer;
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::{Artifact, DownloadKey};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::Sha256;

/// Lifetime of a URL of the bucket. A client that resumes later is redirected again.
const REDIRECT_LIFETIME: Duration = Duration::from_hours(1);

/// Content of an artifact that is being sent.
pub struct OpenContent {
    reader: ContentReader,
    pace: Pace,
    _permit: DownloadPermit,
}

/// Finds the artifact of a download link. The database is read once for each revision of the tenant's catalog.
pub async fn find_link(ctx: &Context, key: &DownloadKey) -> Result<Arc<OwnedArtifact>, ServiceError> {
    let links = &ctx.artifacts().links;
    let is_served = |tenant, revision: &CatalogRevision| matches!(ctx.catalog().tenant(tenant), Lookup::Found(served) if served.revision == *revision);
    if let Some(known) = links.find(key, is_served) {
        return Ok(known);
    }
    let found = artifacts::find_by_key(ctx.db(), key).await?;
    let found = found.ok_or(ServiceError::NotFound("download"))?;
    Ok(links.insert(key, found))
}

/// Finds an artifact of the caller's tenant, to read its content.
pub async fn find_content(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    sha256: &Sha256,
) -> Result<OwnedArtifact, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let artifact = find(ctx.db(), scope, sha256).await?;
    Ok(OwnedArtifact { scope, artifact })
}

/// Opens the content of an artifact, to send a range. Damaged content is refused, and so is a download beyond the
/// permits.
pub async fn open(
    ctx: &Context,
    owned: &OwnedArtifact,
    range: Range<u64>,
) -> Result<OpenContent, ServiceError> {
    let artifact = &owned.artifact.value;
    if artifact.damage.is_some() {
        return Err(StoreError::Damaged.into());
    }
    let permit = ctx.artifacts().acquire_download()?;
    let offset = range.start;
    let name = object_name(owned.scope, artifact);
    let reader = ctx.artifacts().store.open(&name, range).await?;
    if i64::try_from(reader.size()) != Ok(artifact.size) {
        return Err(StoreError::Damaged.into());
    }
    Ok(OpenContent {
        reader,
        pace: Pace::new(ctx.artifacts().settings.slowest_download, timer::now(), offset),
        _permit: permit,
    })
}

impl OpenContent {
    /// Reads the next piece, which begins at `offset` and ends at `end` at the latest. Fails if the client accepted the
    /// bytes before it too slowly.
    pub async fn next_piece(&mut self, offset: u64, end: u64) -> Result<Bytes, ServiceError> {
        if self.pace.advance(timer::now(), offset).is_err() {
            return Err(ServiceError::Busy { retry_after_s: 1 });
        }
        let piece = self.reader.read_piece(offset, end).await?;
        // Content of the right size that ends early was truncated meanwhile.
        if piece.is_empty() {
            return Err(StoreError::Damaged.into());
        }
        Ok(piece)
    }
}

/// Returns the URL that a download is redirected to; `None` if this node sends it.
pub async fn redirect_url(
    ctx: &Context,
    owned: &OwnedArtifact,
    disposition: String,
) -> Result<Option<String>, ServiceError> {
    let artifact = &owned.artifact.value;
    if !ctx.artifacts().settings.redirects || artifact.damage.is_some() {
        return Ok(None);
    }
    let headers = [
        ("response-content-disposition", disposition),
        (
            "response-content-type",
            artifact.facts.kind().media_type().to_owned(),
        ),
    ];
    let name = object_name(owned.scope, artifact);
    Ok(ctx
        .artifacts()
        .store
        .presign(&name, headers, REDIRECT_LIFETIME)
        .await?)
}

/// Reads the icon of an artifact; `None` if it has none.
pub async fn open_icon(
    ctx: &Context,
    owned: &OwnedArtifact,
) -> Result<Option<(&'static str, Bytes)>, ServiceError> {
    let artifact: &Artifact = &owned.artifact.value;
    let Some(format) = artifact.icon else {
        return Ok(None);
    };
    let name = object_name(owned.scope, artifact);
    match ctx.artifacts().store.read_icon(&name).await {
        Ok(bytes) => Ok(Some((format.media_type(), bytes))),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
