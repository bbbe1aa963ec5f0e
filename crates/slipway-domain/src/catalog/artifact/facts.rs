//! Facts that a file states about itself, in the form in which they are stored and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::text::Sha256;
use super::ArtifactKind;

/// Facts of a file. Packages are much larger than the other variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ArtifactFacts {
    Apk(Box<ApkFacts>),
    Hap(HapFacts),
    Zip(ZipFacts),
    Other,
}

/// Facts of an Android package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApkFacts {
    pub package_name: String,
    /// `versionCodeMajor` in the upper 32 bits and `versionCode` in the lower ones.
    pub version_code: Option<u64>,
    pub version_name: Option<String>,
    pub min_sdk: u32,
    pub target_sdk: u32,
    /// ABIs of the native libraries. Empty means any ABI.
    pub abis: Vec<String>,
    /// Name of the app in the default language.
    pub label: Option<String>,
    /// Names of the app by language tag.
    pub labels: BTreeMap<String, String>,
    #[serde(flatten)]
    pub signing: SigningFacts,
    pub debuggable: bool,
    pub test_only: bool,
    /// Name of the split, if the file is a part of an app.
    pub split: Option<String>,
}

/// Signatures of an Android package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningFacts {
    /// Schemes of the signatures, oldest first. Empty if the file is unsigned.
    pub schemes: Vec<SigningScheme>,
    /// Certificates of the current signers.
    pub signers: Vec<Sha256>,
    /// Certificates of earlier keys from which the signer has rotated, oldest first. Android accepts this file as an
    /// update of an app that one of them signed.
    pub lineage: Vec<Sha256>,
    /// `false` for the v1 scheme alone: anybody can copy its certificates.
    pub signers_verified: bool,
}

/// Scheme of an APK signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningScheme {
    V1,
    V2,
    V3,
}

impl SigningScheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

/// Facts of a HarmonyOS package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HapFacts {
    pub bundle_name: String,
    pub version_code: u64,
    pub version_name: String,
    pub device_types: Vec<String>,
}

/// Facts of a ZIP archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZipFacts {
    pub entries: u64,
    /// Unpacked size of all entries together, as the archive states it.
    pub unpacked_bytes: u64,
}

/// Identity of a package of either system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageFacts<'a> {
    /// Package name of an APK, bundle name of a HAP.
    pub package_name: &'a str,
    pub version_code: Option<u64>,
    pub version_name: Option<&'a str>,
    pub label: Option<&'a str>,
}

impl ArtifactFacts {
    pub const fn kind(&self) -> ArtifactKind {
        match self {
            Self::Apk(_) => ArtifactKind::Apk,
            Self::Hap(_) => ArtifactKind::Hap,
            Self::Zip(_) => ArtifactKind::Zip,
            Self::Other => ArtifactKind::Other,
        }
    }

    /// Returns the identity of a package; `None` for other files.
    pub fn package(&self) -> Option<PackageFacts<'_>> {
        match self {
            Self::Apk(facts) => Some(PackageFacts {
                package_name: &facts.package_name,
                version_code: facts.version_code,
                version_name: facts.version_name.as_deref(),
                label: facts.label.as_deref(),
            }),
            Self::Hap(facts) => Some(PackageFacts {
                package_name: &facts.bundle_name,
                version_code: Some(facts.version_code),
                version_name: Some(&facts.version_name),
                label: None,
            }),
            Self::Zip(_) | Self::Other => None,
        }
    }

    pub fn apk(&self) -> Option<&ApkFacts> {
        match self {
            Self::Apk(facts) => Some(facts),
            _ => None,
        }
    }
}
