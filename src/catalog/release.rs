//! One version of a resource: what it consists of, and its life.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::app::one_of;
use super::field::{FieldError, Invalid};
use super::ids::{AppId, ReleaseId};
use super::rollout::Rollout;
use super::targeting::Targeting;
use super::text::{ConfigJson, Identifier, Md5, Sha256, UpdateDescription, Url, VersionName};
use super::version::VersionCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: ReleaseId,
    pub app_id: AppId,
    pub identifier: Identifier,
    pub state: ReleaseState,
    pub content: ReleaseContent,
}

/// What a publisher says of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseContent {
    pub version_code: VersionCode,
    pub version_name: VersionName,
    pub file: FileFacts,
    pub update_desc: UpdateDescription,
    pub auto_install: bool,
    /// An update over this release installs without asking, also when a newer one is chosen.
    pub mandatory: bool,
    /// Must not be skipped by an update from below it.
    pub floor: bool,
    pub qrcode: Option<Url>,
    pub icon_url: Option<Url>,
    pub config_json: ConfigJson,
    pub targeting: Targeting,
    pub rollout: Rollout,
    /// First instant at which it is offered.
    pub starts_at: Option<DateTime<Utc>>,
    /// First instant at which it is no longer offered.
    pub ends_at: Option<DateTime<Utc>>,
}

/// The artifact's facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    pub download_url: Url,
    /// Bytes, ≥ 0.
    pub size: i64,
    pub md5: Md5,
    pub sha256: Option<Sha256>,
}

impl FileFacts {
    /// Whether both describe the same bytes: the MD5s, and the SHA-256s where both are known.
    pub fn same_digests(&self, other: &Self) -> bool {
        self.md5 == other.md5
            && match (&self.sha256, &other.sha256) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }
}

impl ReleaseContent {
    /// The rules between fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = self.targeting.check();
        if let (Some(starts_at), Some(ends_at)) = (self.starts_at, self.ends_at)
            && starts_at >= ends_at
        {
            errors.push(FieldError::invalid("ends_at", "must be after starts_at"));
        }
        errors
    }

    /// The fields in which `other` differs and that never change once a release is published.
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

    /// Every field in which `other` differs, by its name in the API.
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

/// Where a release is in its life: `draft → published ⇄ paused → recalled`, and `draft → discarded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseState {
    Draft,
    Published,
    Paused,
    Recalled(RecallMode),
    Discarded,
}

/// What a recall does to the devices that have the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecallMode {
    /// Nothing; it is only not offered any more.
    Stop,
    /// They are offered the newest release that applies to them, though it is older.
    Rollback,
    /// They are told to remove it, if there is nothing to offer instead.
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
        one_of(&Self::ALL, Self::as_str, text)
    }
}

/// A step in a release's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Publish,
    Pause,
    Resume,
    Discard,
    Recall(RecallMode),
}

/// A step that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {state} release cannot be {participle}; {hint}", state = .state.name())]
pub struct WrongState {
    pub state: ReleaseState,
    participle: &'static str,
    hint: &'static str,
}

impl ReleaseState {
    pub const NAMES: [&'static str; 5] = ["draft", "published", "paused", "recalled", "discarded"];

    /// One of [`Self::NAMES`], for filters.
    pub fn parse_name(text: &str) -> Result<&'static str, Invalid> {
        one_of(&Self::NAMES, |name| name, text)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Paused => "paused",
            Self::Recalled(_) => "recalled",
            Self::Discarded => "discarded",
        }
    }

    pub const fn recall_mode(self) -> Option<RecallMode> {
        match self {
            Self::Recalled(mode) => Some(mode),
            _ => None,
        }
    }

    /// The state after `step`; the same state when the step was taken already (verbs are idempotent).
    pub fn after(self, step: Step) -> Result<Self, WrongState> {
        match step {
            Step::Publish => self.published(),
            Step::Pause => self.paused(),
            Step::Resume => self.resumed(),
            Step::Discard => self.discarded(),
            Step::Recall(mode) => self.recalled(mode),
        }
    }

    fn published(self) -> Result<Self, WrongState> {
        match self {
            Self::Draft | Self::Published => Ok(Self::Published),
            Self::Paused => Err(self.refusal("published", "resume it")),
            Self::Recalled(_) | Self::Discarded => {
                Err(self.refusal("published", "create a release with a new version_code"))
            }
        }
    }

    fn paused(self) -> Result<Self, WrongState> {
        match self {
            Self::Published | Self::Paused => Ok(Self::Paused),
            _ => Err(self.refusal("paused", "only a published release can")),
        }
    }

    fn resumed(self) -> Result<Self, WrongState> {
        match self {
            Self::Published | Self::Paused => Ok(Self::Published),
            Self::Draft => Err(self.refusal("resumed", "publish it")),
            _ => Err(self.refusal("resumed", "create a release with a new version_code")),
        }
    }

    fn discarded(self) -> Result<Self, WrongState> {
        match self {
            Self::Draft | Self::Discarded => Ok(Self::Discarded),
            _ => Err(self.refusal("discarded", "devices may have it: recall it")),
        }
    }

    fn recalled(self, mode: RecallMode) -> Result<Self, WrongState> {
        match self {
            Self::Published | Self::Paused | Self::Recalled(_) => Ok(Self::Recalled(mode)),
            Self::Draft => Err(self.refusal("recalled", "no device has it: discard it")),
            Self::Discarded => Err(self.refusal("recalled", "no device has it")),
        }
    }

    const fn refusal(self, participle: &'static str, hint: &'static str) -> WrongState {
        WrongState {
            state: self,
            participle,
            hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_transitions() {
        use RecallMode::{Removal, Rollback, Stop};
        use ReleaseState::{Discarded, Draft, Paused, Published, Recalled};
        let steps = [
            Step::Publish,
            Step::Pause,
            Step::Resume,
            Step::Discard,
            Step::Recall(Stop),
            Step::Recall(Rollback),
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
            for (step, expected) in steps.into_iter().zip(row) {
                assert_eq!(state.after(step).ok(), expected, "{state:?} {step:?}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = ReleaseState::Published.after(Step::Discard).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "a published release cannot be discarded; devices may have it: recall it"
        );
    }
}
