//! Links to artifacts: the download, and the page for people.

use super::Artifacts;
use crate::services::{Context, ServiceError};
use crate::storage::artifacts;
use crate::storage::artifacts::OwnedArtifact;
use crate::storage::{apps, releases};
use slipway_domain::catalog::artifact::{Artifact, DownloadKey};
use slipway_domain::catalog::release::ReleaseStateKind;
use slipway_domain::catalog::text::{Name, UpdateDescription, Url, VersionName};

/// Uses of an artifact in which its newest published release is looked for.
const USES: u64 = 50;

impl Artifacts {
    /// Returns the URL of a download; `None` if no public URL is configured.
    pub fn download_url(&self, artifact: &Artifact) -> Option<String> {
        let url = self
            .settings
            .download_urls
            .file(&artifact.link.key, &artifact.filename);
        url.map(Url::into_string)
    }

    /// Returns the URL of the page for people; `None` if no public URL is configured.
    pub fn page_url(&self, key: &DownloadKey) -> Option<String> {
        self.settings.download_urls.page(key).map(Url::into_string)
    }
}

/// Facts of the newest published release of an artifact, for its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts {
    pub app_name: Name,
    pub version_name: VersionName,
    pub update_desc: UpdateDescription,
}

/// Returns the facts of the newest published release that uses an artifact.
pub async fn page_facts(ctx: &Context, owned: &OwnedArtifact) -> Result<Option<PageFacts>, ServiceError> {
    let (db, scope) = (ctx.db(), owned.scope);
    let uses = artifacts::list_uses(db, scope, &owned.artifact.value.sha256, USES).await?;
    let published = uses
        .iter()
        .find(|used| used.state.kind() == ReleaseStateKind::Published);
    let Some(published) = published else {
        return Ok(None);
    };
    let release = releases::find(db, scope, published.release).await?;
    let app = apps::find_by_id(db, scope, published.app).await?;
    Ok(release.zip(app).map(|(release, app)| {
        let content = release.value.release.content;
        PageFacts {
            app_name: app.value.app_name,
            version_name: content.version_name,
            update_desc: content.update_desc,
        }
    }))
}
