//! Facts for the page for people.

use crate::services::{Context, ServiceError};
use crate::storage::artifacts::OwnedArtifact;
use crate::storage::{apps, artifacts, releases};
use slipway_domain::catalog::release::ReleaseStateKind;
use slipway_domain::catalog::text::{Name, UpdateDescription, VersionName};

/// Uses of an artifact among which its newest published release is looked for.
const USES: u64 = 50;

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
