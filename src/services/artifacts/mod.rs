//! Artifacts: uploads, downloads, links, and the jobs that delete and verify them.

mod content;
mod facts;
mod health;
pub mod jobs;
mod manage;
mod page;
mod retention;
mod scrub;
mod upload;

pub use self::content::{OpenContent, find_content, find_link, open, open_icon, redirect_url};
pub use self::manage::{ArtifactUses, delete, get, list, replace_link, set_keep};
pub use self::page::{PageFacts, page_facts};
pub use self::upload::{ArtifactUpload, UploadedArtifact, begin_upload, complete_upload};
use crate::artifact_store::ObjectName;
pub use crate::artifact_store::{ReceivedFile, Upload};
use crate::error_chain::error_chain;
use crate::services::Context;
pub use crate::storage::artifacts::OwnedArtifact;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::Artifact;

/// Deletes an object without an artifact. A job deletes it later if this fails.
async fn discard(ctx: &Context, name: &ObjectName) {
    if let Err(error) = ctx.artifacts().store.delete(name).await {
        let error = error_chain(&error);
        tracing::warn!(error, "an object without an artifact remains until tomorrow");
    }
}

fn object_name(scope: TenantScope, artifact: &Artifact) -> ObjectName {
    ObjectName {
        tenant: scope.tenant(),
        sha256: artifact.sha256.clone(),
        id: artifact.id,
    }
}
