//! Use of an artifact by a release.

use super::ids::{AppId, ReleaseId};
use super::release::ReleaseState;
use super::text::Identifier;
use super::version::VersionCode;

/// Release that uses an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactUse {
    pub release: ReleaseId,
    pub app: AppId,
    pub identifier: Identifier,
    pub version_code: VersionCode,
    pub state: ReleaseState,
}
