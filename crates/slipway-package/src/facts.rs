//! Facts that a file states about itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// Kind of a file, detected from its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageKind {
    Apk,
    Hap,
    Zip,
    Other,
}

impl PackageKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Hap => "hap",
            Self::Zip => "zip",
            Self::Other => "other",
        }
    }
}

/// Result of an inspection: the kind of the file and its facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Inspection {
    Apk(Box<ApkFacts>),
    Hap(HapFacts),
    Zip(ZipFacts),
    Other,
}

impl Inspection {
    pub fn kind(&self) -> PackageKind {
        match self {
            Self::Apk(_) => PackageKind::Apk,
            Self::Hap(_) => PackageKind::Hap,
            Self::Zip(_) => PackageKind::Zip,
            Self::Other => PackageKind::Other,
        }
    }
}

/// Facts of an Android package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApkFacts {
    pub package_name: String,
    /// `versionCodeMajor` in the upper 32 bits and `versionCode` in the lower ones.
    pub version_code: Option<u64>,
    pub version_name: Option<String>,
    pub min_sdk: u32,
    pub target_sdk: u32,
    /// ABIs of the native libraries, sorted. Empty if there are none, which means any ABI.
    pub abis: Vec<String>,
    /// Name of the app in the default language.
    pub label: Option<String>,
    /// Names of the app by language tag, such as `zh-CN`.
    pub labels: BTreeMap<String, String>,
    /// Raster image of the app.
    #[serde(skip)]
    pub icon: Option<Icon>,
    #[serde(flatten)]
    pub signing: SigningFacts,
    pub debuggable: bool,
    pub test_only: bool,
    /// Name of the split, if the file is a part of an app and not an app by itself.
    pub split: Option<String>,
}

/// Raster image.
#[derive(Clone, PartialEq, Eq)]
pub struct Icon {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Icon({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// Signatures of an Android package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SigningFacts {
    /// Schemes of the signatures, oldest first. Empty if the file is unsigned.
    pub schemes: Vec<SigningScheme>,
    /// Certificates of the current signers: of v3 if present, else of v2, else of v1.
    pub signers: Vec<CertificateDigest>,
    /// Certificates of earlier keys from which the signer has rotated, oldest first. Android accepts this file as an
    /// update of an app that one of them signed.
    pub lineage: Vec<CertificateDigest>,
    /// `true` if the owners of the certificates signed this content. `false` for v1: anybody can copy those certificates.
    #[serde(rename = "signers_verified")]
    pub is_verified: bool,
}

/// Scheme of an APK signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningScheme {
    V1,
    V2,
    V3,
}

/// SHA-256 of a certificate. Displayed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateDigest(pub [u8; 32]);

impl fmt::Display for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for CertificateDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Facts of a HarmonyOS package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HapFacts {
    pub bundle_name: String,
    pub version_code: u64,
    pub version_name: String,
    pub device_types: Vec<String>,
}

/// Facts of a ZIP archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ZipFacts {
    pub entries: u64,
    /// Unpacked size of all entries together, as the archive states it.
    pub unpacked_bytes: u64,
}
