//! Representation of a release in the audit.

use serde::Serialize;

use slipway_domain::catalog::release::{RecallMode, ReleaseRecord};
use slipway_domain::catalog::release_content::ReleaseContent;
use slipway_domain::catalog::text::{Identifier, PackageName, Reason};

/// Serializable release. It avoids `serde_json::Value` for JSON of callers, so that numbers keep their original text.
#[derive(Serialize)]
pub(super) struct AuditedRelease<'a> {
    package_name: &'a PackageName,
    identifier: &'a Identifier,
    state: &'static str,
    recall_mode: Option<&'static str>,
    recall_reason: Option<&'a Reason>,
    #[serde(flatten)]
    content: &'a ReleaseContent,
}

impl<'a> AuditedRelease<'a> {
    pub(super) fn new(app: &'a PackageName, record: &'a ReleaseRecord) -> Self {
        let release = &record.release;
        Self {
            package_name: app,
            identifier: &release.identifier,
            state: release.state.name(),
            recall_mode: release.state.recall_mode().map(RecallMode::as_str),
            recall_reason: record.recall_reason.as_ref(),
            content: &release.content,
        }
    }
}
