//! Response type of a release.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::release_fields::ReleaseContentSchema;
use crate::http::value_schemas::{FileOriginValue, RecallModeValue, ReleaseStateValue};
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::release::{RecallMode, ReleaseRecord};
use slipway_domain::catalog::release_content::ReleaseContent;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Serialize, ToSchema)]
pub(super) struct ReleaseResponse {
    #[schema(format = "uuid")]
    id: String,
    identifier: String,
    /// State: `draft`, `published`, `paused`, `recalled` or `discarded`.
    #[schema(value_type = ReleaseStateValue, example = "published")]
    state: &'static str,
    /// Recall mode of a recalled release: `stop`, `rollback` or `removal`.
    #[schema(value_type = Option<RecallModeValue>)]
    recall_mode: Option<&'static str>,
    recall_reason: Option<String>,
    /// Origin of the file: `external` or `artifact`.
    #[schema(value_type = FileOriginValue)]
    origin: &'static str,
    /// The artifact is damaged or missing in the store. Devices that do not have the release are not offered it.
    file_damaged: bool,
    /// Devices that the release applies to, in words.
    #[schema(example = "HM except HM-BJ, type 10013, 5% of stores")]
    targeting: String,
    #[serde(flatten)]
    #[schema(value_type = ReleaseContentSchema)]
    content: ReleaseContent,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    published_at: Option<DateTime<Utc>>,
}

impl From<&Versioned<ReleaseRecord>> for ReleaseResponse {
    fn from(stored: &Versioned<ReleaseRecord>) -> Self {
        let record = &stored.value;
        let release = &record.release;
        Self {
            id: release.id.to_string(),
            identifier: release.identifier.to_string(),
            state: release.state.name(),
            recall_mode: release.state.recall_mode().map(RecallMode::as_str),
            recall_reason: record.recall_reason.as_ref().map(ToString::to_string),
            origin: release.content.file.origin().as_str(),
            file_damaged: release
                .artifact
                .as_ref()
                .is_some_and(|artifact| artifact.is_damaged),
            targeting: release.content.targeting_in_words(Language::English),
            content: release.content.clone(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            published_at: record.published_at,
        }
    }
}

/// Created release, or the existing release of the same version.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedReleaseResponse {
    #[serde(flatten)]
    pub(super) release: ReleaseResponse,
    /// Fields of the request that differ from the existing release and were not applied.
    pub(super) ignored: Vec<&'static str>,
}
