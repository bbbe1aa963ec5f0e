//! Artifact: the content of one file, identified by its SHA-256, with the facts that it states about itself.

mod facts;
mod kind;
mod link;
mod quota;

use chrono::{DateTime, Utc};

pub use self::facts::{
    ApkFacts, ArtifactFacts, HapFacts, PackageFacts, SigningFacts, SigningScheme, ZipFacts,
};
pub use self::kind::ArtifactKind;
pub use self::link::{DownloadKey, DownloadLink};
pub use self::quota::ArtifactQuota;

use super::closed_list::parse_name;
use super::field::Invalid;
use super::ids::ArtifactId;
use super::text::{FileName, Md5, Sha256};

/// File of a tenant. Its content never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Identifies this upload of the content. The API identifies an artifact by its digest.
    pub id: ArtifactId,
    pub sha256: Sha256,
    pub md5: Md5,
    /// Size in bytes, ≥ 0.
    pub size: i64,
    pub filename: FileName,
    pub facts: ArtifactFacts,
    /// Format of the icon in the artifact store, if the file has one.
    pub icon: Option<IconFormat>,
    pub link: DownloadLink,
    /// `true` excludes the artifact from the deletion of unused ones.
    pub keep: bool,
    /// Name of the user or token that uploaded the file, at that time.
    pub created_by: String,
    pub damage: Option<Damage>,
}

/// Defect of the stored content, found by a scrub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    pub kind: DamageKind,
    pub found_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The content is absent from the store.
    Missing,
    /// The content has another size or digest.
    Altered,
}

impl DamageKind {
    pub const ALL: [Self; 2] = [Self::Missing, Self::Altered];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }
}

/// Format of an icon, one that browsers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IconFormat {
    Png,
    WebP,
    Jpeg,
}

impl IconFormat {
    pub const ALL: [Self; 3] = [Self::Png, Self::WebP, Self::Jpeg];

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// Parses a media type.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::media_type, text)
    }
}

/// Filter for a list of a tenant's artifacts. An absent field matches every artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactFilter<'a> {
    pub kind: Option<ArtifactKind>,
    pub package_name: Option<&'a str>,
    /// `true` for artifacts without a release other than discarded ones; `false` for the others.
    pub is_unused: Option<bool>,
    /// `true` for artifacts whose stored content is damaged or missing; `false` for the others.
    pub is_damaged: Option<bool>,
}
