//! Release of one version of a resource: its content and its lifecycle.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::app::parse_name;
use super::field::{FieldError, Invalid};
use super::ids::{AppId, ReleaseId};
use super::rollout::Rollout;
use super::targeting::Targeting;
use super::text::{ConfigJson, Identifier, Md5, Reason, Sha256, UpdateDescription, Url, VersionName};
use super::version::VersionCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: ReleaseId,
    pub app_id: AppId,
    pub identifier: Identifier,
    pub state: ReleaseState,
    pub content: ReleaseContent,
}

/// Content of a release, as a publisher defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseContent {
    pub version_code: VersionCode,
    pub version_name: VersionName,
    pub file: FileFacts,
    pub update_desc: UpdateDescription,
    pub auto_install: bool,
    /// An update past this release installs without asking, even if a newer release is chosen.
    pub mandatory: bool,
    /// An update from a lower version must not skip this release.
    pub floor: bool,
    pub qrcode: Option<Url>,
    pub icon_url: Option<Url>,
    pub config_json: ConfigJson,
    pub targeting: Targeting,
    pub rollout: Rollout,
    /// Time from which the release is offered.
    pub starts_at: Option<DateTime<Utc>>,
    /// Time from which the release is no longer offered.
    pub ends_at: Option<DateTime<Utc>>,
}

/// Properties of the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    pub download_url: Url,
    /// Size in bytes, ≥ 0.
    pub size: i64,
    pub md5: Md5,
    pub sha256: Option<Sha256>,
}

impl FileFacts {
    /// Returns `true` if both describe the same bytes: equal MD5s, and equal SHA-256s if both are known.
    pub fn same_digests(&self, other: &Self) -> bool {
        self.md5 == other.md5
            && match (&self.sha256, &other.sha256) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }
}

impl ReleaseContent {
    /// Checks the rules between fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = self.targeting.check();
        if let (Some(starts_at), Some(ends_at)) = (self.starts_at, self.ends_at)
            && starts_at >= ends_at
        {
            errors.push(FieldError::invalid("ends_at", "must be after starts_at"));
        }
        errors
    }

    /// Returns the fields in which `other` differs, of those that are immutable once a release is published.
    pub fn changed_fixed_fields(&self, other: &Self) -> Vec<&'static str> {
        [
            ("version_code", self.version_code != other.version_code),
            ("version_name", self.version_name != other.version_name),
            ("download_url", self.file.download_url != other.file.download_url),
            ("size", self.file.size != other.file.size),
            ("md5", self.file.md5 != other.file.md5),
            ("sha256", self.file.sha256 != other.file.sha256),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }

    /// Returns all fields in which `other` differs, by their names in the API.
    pub fn changed_fields(&self, other: &Self) -> Vec<&'static str> {
        let mut fields = self.changed_fixed_fields(other);
        let (mine, theirs) = (&self.targeting, &other.targeting);
        fields.extend(
            [
                ("update_desc", self.update_desc != other.update_desc),
                ("auto_install", self.auto_install != other.auto_install),
                ("mandatory", self.mandatory != other.mandatory),
                ("floor", self.floor != other.floor),
                ("qrcode", self.qrcode != other.qrcode),
                ("icon_url", self.icon_url != other.icon_url),
                (
                    "config_json",
                    !self
                        .config_json
                        .as_json()
                        .is_equivalent_to(other.config_json.as_json()),
                ),
                ("org_scopes", mine.org_scopes != theirs.org_scopes),
                ("org_exclusions", mine.org_exclusions != theirs.org_exclusions),
                ("device_types", mine.device_types != theirs.device_types),
                (
                    "host_version_min",
                    mine.host_version_min != theirs.host_version_min,
                ),
                (
                    "host_version_max",
                    mine.host_version_max != theirs.host_version_max,
                ),
                ("attribute_rules", mine.attribute_rules != theirs.attribute_rules),
                ("device_ids", mine.device_ids != theirs.device_ids),
                ("rollout", self.rollout != other.rollout),
                ("starts_at", self.starts_at != other.starts_at),
                ("ends_at", self.ends_at != other.ends_at),
            ]
            .into_iter()
            .filter_map(|(field, differs)| differs.then_some(field)),
        );
        fields
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

/// Release with facts of its life cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRecord {
    pub release: Release,
    /// Reason for the recall.
    pub recall_reason: Option<Reason>,
    /// Time of the first publication.
    pub published_at: Option<DateTime<Utc>>,
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
