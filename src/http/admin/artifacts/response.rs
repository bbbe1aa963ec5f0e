//! Artifacts in responses.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::value_schemas::{ArtifactKindValue, DamageValue, ReleaseStateValue};
use crate::services::Context;
use crate::services::artifacts::ArtifactUses;
use slipway_domain::catalog::artifact::{ApkFacts, Artifact, ArtifactFacts, HapFacts, ZipFacts};
use slipway_domain::catalog::text::{Sha256, Url};
use slipway_domain::catalog::versioned::Versioned;

#[derive(Serialize, ToSchema)]
pub(super) struct ArtifactResponse {
    /// Identifies the artifact in its tenant: 64 lower-case hexadecimal digits.
    sha256: String,
    md5: String,
    /// Size in bytes.
    size: i64,
    filename: String,
    #[schema(value_type = ArtifactKindValue)]
    kind: &'static str,
    media_type: &'static str,
    /// URL of the download, for anybody who has it. Null if the server has no public URL.
    download_url: Option<String>,
    /// `true` excludes the artifact from the deletion of unused ones.
    keep: bool,
    /// Null while the stored content is intact.
    #[schema(value_type = Option<DamageValue>)]
    damage: Option<&'static str>,
    created_at: DateTime<Utc>,
    /// Name of the user or token that uploaded the file.
    created_by: String,
    /// Facts of an APK or HAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<PackageResponse>,
    /// Facts of a ZIP archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveResponse>,
}

/// Facts that a package states about itself.
#[derive(Default, Serialize, ToSchema)]
struct PackageResponse {
    package_name: String,
    version_code: Option<u64>,
    version_name: Option<String>,
    /// Minimum SDK level of an APK.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_sdk: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_sdk: Option<u32>,
    /// ABIs of an APK's native libraries; empty means any ABI.
    #[serde(skip_serializing_if = "Option::is_none")]
    abis: Option<Vec<String>>,
    /// Name of the app in the default language.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// SHA-256 of the certificate of each current signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    signers: Option<Vec<String>>,
    /// SHA-256 of the certificates of earlier keys, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<Vec<String>>,
    /// `false` if the file has only a v1 signature, whose certificates anybody can copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    signers_verified: Option<bool>,
    #[schema(example = json!(["v2", "v3"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    schemes: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debuggable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_only: Option<bool>,
    /// Name of the split, if the file is only a part of an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    /// Device types of a HAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_types: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
struct ArchiveResponse {
    entries: u64,
    /// Unpacked size of all entries together, as the archive states it.
    unpacked_bytes: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ArtifactWithReleasesResponse {
    #[serde(flatten)]
    artifact: ArtifactResponse,
    /// Releases that use the artifact, except discarded ones: the newest 100.
    releases: Vec<ArtifactReleaseResponse>,
}

#[derive(Serialize, ToSchema)]
struct ArtifactReleaseResponse {
    #[schema(format = "uuid")]
    id: String,
    package_name: String,
    identifier: String,
    version_code: i64,
    #[schema(value_type = ReleaseStateValue)]
    state: &'static str,
}

impl ArtifactResponse {
    pub(super) fn of(ctx: &Context, stored: &Versioned<Artifact>) -> Self {
        let artifact = &stored.value;
        let kind = artifact.facts.kind();
        Self {
            sha256: artifact.sha256.as_str().to_owned(),
            md5: artifact.md5.as_str().to_owned(),
            size: artifact.size,
            filename: artifact.filename.to_string(),
            kind: kind.as_str(),
            media_type: kind.media_type(),
            download_url: ctx
                .download_urls()
                .file(&artifact.link.key, &artifact.filename)
                .map(Url::into_string),
            keep: artifact.keep,
            damage: artifact.damage.map(|damage| damage.kind.as_str()),
            created_at: stored.created_at,
            created_by: artifact.created_by.clone(),
            package: match &artifact.facts {
                ArtifactFacts::Apk(apk) => Some(apk.as_ref().into()),
                ArtifactFacts::Hap(hap) => Some(hap.into()),
                ArtifactFacts::Zip(_) | ArtifactFacts::Other => None,
            },
            archive: match &artifact.facts {
                ArtifactFacts::Zip(zip) => Some(zip.into()),
                _ => None,
            },
        }
    }
}

impl From<&ApkFacts> for PackageResponse {
    fn from(apk: &ApkFacts) -> Self {
        let digests = |digests: &[Sha256]| digests.iter().map(|digest| digest.as_str().to_owned()).collect();
        Self {
            package_name: apk.package_name.clone(),
            version_code: apk.version_code,
            version_name: apk.version_name.clone(),
            min_sdk: Some(apk.min_sdk),
            target_sdk: Some(apk.target_sdk),
            abis: Some(apk.abis.clone()),
            label: apk.label.clone(),
            signers: Some(digests(&apk.signing.signers)),
            lineage: Some(digests(&apk.signing.lineage)),
            signers_verified: Some(apk.signing.signers_verified),
            schemes: Some(apk.signing.schemes.iter().map(|scheme| scheme.as_str()).collect()),
            debuggable: Some(apk.debuggable),
            test_only: Some(apk.test_only),
            split: apk.split.clone(),
            device_types: None,
        }
    }
}

impl From<&HapFacts> for PackageResponse {
    fn from(hap: &HapFacts) -> Self {
        Self {
            package_name: hap.bundle_name.clone(),
            version_code: Some(hap.version_code),
            version_name: Some(hap.version_name.clone()),
            device_types: Some(hap.device_types.clone()),
            ..Self::default()
        }
    }
}

impl From<&ZipFacts> for ArchiveResponse {
    fn from(zip: &ZipFacts) -> Self {
        Self {
            entries: zip.entries,
            unpacked_bytes: zip.unpacked_bytes,
        }
    }
}

impl ArtifactWithReleasesResponse {
    pub(super) fn of(ctx: &Context, found: &ArtifactUses) -> Self {
        let releases = found
            .uses
            .iter()
            .map(|(package_name, used)| ArtifactReleaseResponse {
                id: used.release.to_string(),
                package_name: package_name.to_string(),
                identifier: used.identifier.to_string(),
                version_code: used.version_code.get(),
                state: used.state.name(),
            });
        Self {
            artifact: ArtifactResponse::of(ctx, &found.artifact),
            releases: releases.collect(),
        }
    }
}
