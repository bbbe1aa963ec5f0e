//! Content of a release: the one list of its fields.
//!
//! The list yields the types of the content, the changes that a caller can make, and the names of the fields in which
//! two contents differ. A field has the same name in the API.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::attribute::AttributeRule;
use super::field::FieldError;
use super::min_sdk::MinSdk;
use super::org::OrgScope;
use super::rollout::{Rollout, RolloutChanges};
use super::text::{ConfigJson, DeviceId, DeviceType, Md5, Sha256, UpdateDescription, Url, VersionName};
use super::version::VersionCode;

/// Defines the content of a release, in JSON a flat object.
///
/// A field is `required` in a new release, or has a `default`. A `default_json` is compared as JSON, and a
/// `changed_by` field has changes of its own.
macro_rules! release_fields {
    (
        $(#[$meta:meta])*
        $content:ident changed by $changes:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty, $kind:ident $(($argument:expr))?;)*
        }
        $(
            $(#[$group_meta:meta])*
            $group:ident: $group_type:ident {
                $(
                    $(#[$group_doc:meta])*
                    $group_field:ident: $group_field_type:ty, $group_kind:ident $(($group_argument:expr))?;
                )*
            }
        )*
    ) => {
        $(#[$meta])*
        pub struct $content {
            $($(#[$doc])* pub $field: $type,)*
            $(#[serde(flatten)] pub $group: $group_type,)*
        }

        $(
            $(#[$group_meta])*
            pub struct $group_type {
                $($(#[$group_doc])* pub $group_field: $group_field_type,)*
            }
        )*

        /// Changes of a release. `None` leaves a field unchanged; `Some(None)` clears an optional field.
        #[derive(Debug, Clone, Default)]
        pub struct $changes {
            $(pub $field: Option<release_field!(changes $kind $type)>,)*
            $($(pub $group_field: Option<release_field!(changes $group_kind $group_field_type)>,)*)*
        }

        impl $changes {
            /// Returns the names of the required fields that are missing.
            fn missing_fields(&self) -> Vec<&'static str> {
                let missing = [
                    $(release_field!(is_missing $kind self.$field).then_some(stringify!($field)),)*
                    $($(
                        release_field!(is_missing $group_kind self.$group_field)
                            .then_some(stringify!($group_field)),
                    )*)*
                ];
                missing.into_iter().flatten().collect()
            }

            /// Returns the content of a new release. The errors name the required fields that are missing.
            pub fn into_new(self) -> Result<$content, Vec<FieldError>> {
                let missing: Vec<_> = self.missing_fields().into_iter().map(FieldError::required).collect();
                let content = || {
                    Some($content {
                        $($field: release_field!(new $kind $(($argument))? self.$field),)*
                        $($group: $group_type {
                            $($group_field: release_field!(
                                new $group_kind $(($group_argument))? self.$group_field
                            ),)*
                        },)*
                    })
                };
                content().ok_or(missing)
            }

            /// Applies the given changes. [`ReleaseContent::check`] checks the rules between fields.
            pub fn apply_to(self, content: &mut $content) {
                $(if let Some(value) = self.$field {
                    release_field!(apply $kind value, content.$field);
                })*
                $($(if let Some(value) = self.$group_field {
                    release_field!(apply $group_kind value, content.$group.$group_field);
                })*)*
            }
        }

        impl $content {
            /// Returns all fields in which `other` differs, by their names in the API.
            pub fn changed_fields(&self, other: &Self) -> Vec<&'static str> {
                let changed = [
                    $(
                        release_field!(differs $kind self.$field, other.$field).then_some(stringify!($field)),
                    )*
                    $($(
                        release_field!(differs $group_kind self.$group.$group_field, other.$group.$group_field)
                            .then_some(stringify!($group_field)),
                    )*)*
                ];
                changed.into_iter().flatten().collect()
            }
        }
    };
}

/// Defines what [`release_fields`] does with a field of one kind.
macro_rules! release_field {
    (changes changed_by $type:ty) => {
        RolloutChanges
    };
    (changes $kind:ident $type:ty) => {
        $type
    };
    (is_missing required $value:expr) => {
        $value.is_none()
    };
    (is_missing $kind:ident $value:expr) => {
        false
    };
    (new required $value:expr) => {
        $value?
    };
    (new changed_by $value:expr) => {
        $value.unwrap_or_default().into_new()
    };
    (new $kind:ident ($default:expr) $value:expr) => {
        $value.unwrap_or_else(|| $default)
    };
    (apply changed_by $value:expr, $slot:expr) => {
        $value.apply_to(&mut $slot)
    };
    (apply $kind:ident $value:expr, $slot:expr) => {
        $slot = $value
    };
    (differs default_json $one:expr, $other:expr) => {
        !$one.is_equivalent_to(&$other)
    };
    (differs $kind:ident $one:expr, $other:expr) => {
        $one != $other
    };
}

release_fields! {
    /// Content of a release, as a publisher defines it.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    ReleaseContent changed by ReleaseChanges {
        version_code: VersionCode, required;
        version_name: VersionName, required;
        update_desc: UpdateDescription, default(UpdateDescription::empty());
        auto_install: bool, default(false);
        /// An update past this release installs without asking, even if a newer release is chosen.
        mandatory: bool, default(false);
        /// An update from a lower version must not skip this release.
        floor: bool, default(false);
        qrcode: Option<Url>, default(None);
        icon_url: Option<Url>, default(None);
        config_json: ConfigJson, default_json(ConfigJson::empty());
        rollout: Rollout, changed_by;
        /// Time from which the release is offered.
        starts_at: Option<DateTime<Utc>>, default(None);
        /// Time from which the release is no longer offered.
        ends_at: Option<DateTime<Utc>>, default(None);
    }

    /// File of a release: an artifact, or a file at an address outside the installation.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    file: ReleaseFile {
        /// Address outside the installation; `None` for an artifact.
        download_url: Option<Url>, default(None);
        artifact: Option<Sha256>, default(None);
        /// Size in bytes, ≥ 0.
        size: i64, required;
        md5: Md5, required;
        sha256: Option<Sha256>, default(None);
        /// Requirement that the file states about devices.
        min_sdk: Option<MinSdk>, default(None);
    }

    /// Conditions on the devices of a release, except its rollout and time window. Empty means everybody.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    targeting: Targeting {
        org_scopes: Vec<OrgScope>, default(Vec::new());
        org_exclusions: Vec<OrgScope>, default(Vec::new());
        device_types: Vec<DeviceType>, default(Vec::new());
        /// Minimum version of the host app, inclusive.
        host_version_min: Option<VersionCode>, default(None);
        /// Maximum version of the host app, inclusive.
        host_version_max: Option<VersionCode>, default(None);
        attribute_rules: Vec<AttributeRule>, default(Vec::new());
        /// Allow-list: these devices pass the rollout regardless of its share.
        device_ids: Vec<DeviceId>, default(Vec::new());
    }
}

/// Required fields that an artifact supplies.
const SUPPLIED_BY_ARTIFACT: [&str; 3] = ["version_name", "size", "md5"];

impl ReleaseChanges {
    /// Returns the artifact that the changes make the file of the release.
    pub fn new_artifact(&self) -> Option<&Sha256> {
        self.artifact.as_ref()?.as_ref()
    }

    /// Returns errors for the fields that a new release requires and the changes lack. An artifact supplies the facts of
    /// its file.
    pub fn missing(&self) -> Vec<FieldError> {
        let mut missing = self.missing_fields();
        if self.new_artifact().is_some() {
            missing.retain(|field| !SUPPLIED_BY_ARTIFACT.contains(field));
        } else if self.download_url.is_none() {
            let position = missing.iter().position(|field| *field == "size");
            missing.insert(position.unwrap_or(missing.len()), "download_url");
        }
        missing.into_iter().map(FieldError::required).collect()
    }
}

impl ReleaseFile {
    pub fn origin(&self) -> FileOrigin {
        match self.artifact {
            Some(_) => FileOrigin::Artifact,
            None => FileOrigin::External,
        }
    }

    /// Returns `true` if both describe the same bytes: equal MD5s, and equal SHA-256s if both are known.
    pub fn same_digests(&self, other: &Self) -> bool {
        self.md5 == other.md5
            && match (&self.sha256, &other.sha256) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }
}

/// Origin of a release's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOrigin {
    /// Address outside the installation. The server never reads it.
    External,
    Artifact,
}

impl FileOrigin {
    pub const ALL: [Self; 2] = [Self::External, Self::Artifact];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Artifact => "artifact",
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

    /// Returns the fields in which `other` differs, of those that are immutable once a release is published: the
    /// version and the file.
    pub fn changed_fixed_fields(&self, other: &Self) -> Vec<&'static str> {
        let fixed = Self {
            version_code: other.version_code,
            version_name: other.version_name.clone(),
            file: other.file.clone(),
            ..self.clone()
        };
        self.changed_fields(&fixed)
    }
}
