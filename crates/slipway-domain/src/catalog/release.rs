//! Release of one version of a resource, and its lifecycle.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::artifact::{Artifact, DownloadKey};
use super::closed_list::parse_name;
use super::download_urls::DownloadUrls;
use super::field::Invalid;
use super::ids::{AppId, ReleaseId};
use super::release_content::ReleaseContent;
use super::text::{FileName, Identifier, Reason};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: ReleaseId,
    pub app_id: AppId,
    pub identifier: Identifier,
    pub state: ReleaseState,
    pub content: ReleaseContent,
    /// State of the artifact that is the file; `None` for an external file.
    pub artifact: Option<ReleaseArtifact>,
}

/// Facts of a release's artifact that can change after the release was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseArtifact {
    /// Key of the download link.
    pub key: DownloadKey,
    pub filename: FileName,
    /// The stored content is damaged or missing.
    pub is_damaged: bool,
}

impl From<&Artifact> for ReleaseArtifact {
    fn from(artifact: &Artifact) -> Self {
        Self {
            key: artifact.link.key.clone(),
            filename: artifact.filename.clone(),
            is_damaged: artifact.damage.is_some(),
        }
    }
}

impl Release {
    /// Sets the address of the file if it is an artifact.
    pub fn set_address(&mut self, urls: &DownloadUrls) {
        if let Some(artifact) = &self.artifact {
            self.content.file.download_url = urls.file(&artifact.key, &artifact.filename);
        }
    }

    /// Sets the addresses that an offer has: those of the artifact, and of the QR code of its page unless the release has
    /// one of its own.
    pub fn set_offer_addresses(&mut self, urls: &DownloadUrls) {
        self.set_address(urls);
        if let Some(artifact) = &self.artifact
            && self.content.qrcode.is_none()
        {
            self.content.qrcode = urls.qr_code(&artifact.key);
        }
    }

    /// Returns `true` if devices cannot download the file: the artifact is damaged, or its address is not known.
    pub fn is_file_unavailable(&self) -> bool {
        let is_damaged = self.artifact.as_ref().is_some_and(|artifact| artifact.is_damaged);
        is_damaged || self.content.file.download_url.is_none()
    }
}

/// Release with the facts of its lifecycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRecord {
    pub release: Release,
    /// Reason for the recall.
    pub recall_reason: Option<Reason>,
    /// Time of the first publication.
    pub published_at: Option<DateTime<Utc>>,
}

impl ReleaseRecord {
    /// Returns the draft of a new release.
    pub fn draft(id: ReleaseId, app_id: AppId, identifier: Identifier, content: ReleaseContent) -> Self {
        Self {
            release: Release {
                id,
                app_id,
                identifier,
                state: ReleaseState::Draft,
                content,
                artifact: None,
            },
            recall_reason: None,
            published_at: None,
        }
    }

    /// Returns the release after a transition, or `None` if the transition leaves it unchanged.
    pub fn after(
        &self,
        transition: Transition,
        reason: Option<Reason>,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, InvalidTransition> {
        let state = self.release.state.after(transition)?;
        if state == self.release.state {
            return Ok(None);
        }
        let mut after = self.clone();
        after.release.state = state;
        if transition == Transition::Publish {
            after.published_at = Some(now);
        }
        if reason.is_some() {
            after.recall_reason = reason;
        }
        Ok(Some(after))
    }
}

/// Lifecycle state of a release: `draft → published ⇄ paused → recalled`, and `draft → discarded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseState {
    Draft,
    Published,
    Paused,
    Recalled(RecallMode),
    Discarded,
}

/// Kind of lifecycle state, without the mode of a recall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseStateKind {
    Draft,
    Published,
    Paused,
    Recalled,
    Discarded,
}

impl ReleaseStateKind {
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::Published,
        Self::Paused,
        Self::Recalled,
        Self::Discarded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Paused => "paused",
            Self::Recalled => "recalled",
            Self::Discarded => "discarded",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }
}

/// Effect of a recall on the devices that have the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecallMode {
    /// No effect; the release is only not offered any more.
    Stop,
    /// Devices are offered the newest release that applies to them, although it is older.
    Rollback,
    /// Devices are told to remove the release, if there is no other offer.
    Removal,
}

impl RecallMode {
    pub const ALL: [Self; 3] = [Self::Stop, Self::Rollback, Self::Removal];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Rollback => "rollback",
            Self::Removal => "removal",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }
}

/// Transition in the lifecycle of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    Publish,
    Pause,
    Resume,
    Discard,
    Recall(RecallMode),
}

/// Transition that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {state} release cannot be {participle}; {hint}", state = .state.name())]
pub struct InvalidTransition {
    pub state: ReleaseState,
    participle: &'static str,
    hint: &'static str,
}

impl ReleaseState {
    /// Returns the state of this kind. Only a recalled release has a mode.
    pub fn of_kind(kind: ReleaseStateKind, mode: Option<RecallMode>) -> Result<Self, Invalid> {
        match (kind, mode) {
            (ReleaseStateKind::Draft, None) => Ok(Self::Draft),
            (ReleaseStateKind::Published, None) => Ok(Self::Published),
            (ReleaseStateKind::Paused, None) => Ok(Self::Paused),
            (ReleaseStateKind::Recalled, Some(mode)) => Ok(Self::Recalled(mode)),
            (ReleaseStateKind::Discarded, None) => Ok(Self::Discarded),
            (ReleaseStateKind::Recalled, None) => Err(Invalid::new("is recalled without a mode")),
            (_, Some(mode)) => Err(Invalid::new(format!(
                "is {} with the recall mode {}",
                kind.as_str(),
                mode.as_str()
            ))),
        }
    }

    pub const fn kind(self) -> ReleaseStateKind {
        match self {
            Self::Draft => ReleaseStateKind::Draft,
            Self::Published => ReleaseStateKind::Published,
            Self::Paused => ReleaseStateKind::Paused,
            Self::Recalled(_) => ReleaseStateKind::Recalled,
            Self::Discarded => ReleaseStateKind::Discarded,
        }
    }

    pub const fn name(self) -> &'static str {
        self.kind().as_str()
    }

    pub const fn recall_mode(self) -> Option<RecallMode> {
        match self {
            Self::Recalled(mode) => Some(mode),
            _ => None,
        }
    }

    /// Returns the state after `transition`. Repeating a transition leaves the state unchanged (verbs are idempotent).
    pub fn after(self, transition: Transition) -> Result<Self, InvalidTransition> {
        match transition {
            Transition::Publish => self.published(),
            Transition::Pause => self.paused(),
            Transition::Resume => self.resumed(),
            Transition::Discard => self.discarded(),
            Transition::Recall(mode) => self.recalled(mode),
        }
    }

    fn published(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Draft | Self::Published => Ok(Self::Published),
            Self::Paused => Err(self.refusal("published", "resume it")),
            Self::Recalled(_) | Self::Discarded => {
                Err(self.refusal("published", "create a release with a new version_code"))
            }
        }
    }

    fn paused(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Published | Self::Paused => Ok(Self::Paused),
            _ => Err(self.refusal("paused", "only a published release can")),
        }
    }

    fn resumed(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Published | Self::Paused => Ok(Self::Published),
            Self::Draft => Err(self.refusal("resumed", "publish it")),
            _ => Err(self.refusal("resumed", "create a release with a new version_code")),
        }
    }

    fn discarded(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Draft | Self::Discarded => Ok(Self::Discarded),
            _ => Err(self.refusal("discarded", "devices may have it: recall it")),
        }
    }

    fn recalled(self, mode: RecallMode) -> Result<Self, InvalidTransition> {
        match self {
            Self::Published | Self::Paused | Self::Recalled(_) => Ok(Self::Recalled(mode)),
            Self::Draft => Err(self.refusal("recalled", "no device has it: discard it")),
            Self::Discarded => Err(self.refusal("recalled", "no device has it")),
        }
    }

    const fn refusal(self, participle: &'static str, hint: &'static str) -> InvalidTransition {
        InvalidTransition {
            state: self,
            participle,
            hint,
        }
    }
}

/// Filter for a list of an app's releases. An absent field matches every release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseFilter<'a> {
    pub identifier: Option<&'a Identifier>,
    pub state: Option<ReleaseStateKind>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_transitions() {
        use RecallMode::{Removal, Rollback, Stop};
        use ReleaseState::{Discarded, Draft, Paused, Published, Recalled};
        let transitions = [
            Transition::Publish,
            Transition::Pause,
            Transition::Resume,
            Transition::Discard,
            Transition::Recall(Stop),
            Transition::Recall(Rollback),
        ];
        let (stop, back) = (Some(Recalled(Stop)), Some(Recalled(Rollback)));
        let table = [
            (Draft, [Some(Published), None, None, Some(Discarded), None, None]),
            (
                Published,
                [Some(Published), Some(Paused), Some(Published), None, stop, back],
            ),
            (Paused, [None, Some(Paused), Some(Published), None, stop, back]),
            (Recalled(Removal), [None, None, None, None, stop, back]),
            (Recalled(Stop), [None, None, None, None, stop, back]),
            (Discarded, [None, None, None, Some(Discarded), None, None]),
        ];
        for (state, row) in table {
            for (transition, expected) in transitions.into_iter().zip(row) {
                assert_eq!(state.after(transition).ok(), expected, "{state:?} {transition:?}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = ReleaseState::Published.after(Transition::Discard).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "a published release cannot be discarded; devices may have it: recall it"
        );
    }
}
