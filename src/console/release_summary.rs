//! One line about a release, for lists.

use super::format::{Moment, segment};
use super::shell::Shell;
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::versioned::Versioned;

pub(super) struct ReleaseSummary {
    pub(super) href: String,
    pub(super) identifier: String,
    pub(super) version_name: String,
    pub(super) version_code: i64,
    /// Name of the state in the API.
    pub(super) state: &'static str,
    pub(super) state_label: &'static str,
    pub(super) percent: String,
    /// Share of the rollout in hundredths of a percent, for the bar.
    pub(super) hundredths: u16,
    pub(super) targeting: String,
    pub(super) updated_at: Moment,
}

impl ReleaseSummary {
    /// `app` is the address of the app.
    pub(super) fn of(shell: &Shell, app: &str, stored: &Versioned<ReleaseRecord>) -> Self {
        let release = &stored.value.release;
        let content = &release.content;
        Self {
            href: format!("{app}/releases/{}", segment(&release.id.to_string())),
            identifier: release.identifier.to_string(),
            version_name: content.version_name.to_string(),
            version_code: content.version_code.get(),
            state: release.state.name(),
            state_label: shell.t.release_state(release.state.kind()),
            percent: content.rollout.share.to_percent().to_string(),
            hundredths: content.rollout.share.hundredths(),
            targeting: content.targeting_in_words(shell.language),
            updated_at: Moment(stored.updated_at),
        }
    }
}
