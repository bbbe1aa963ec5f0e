//! Artifacts of releases: the facts that releases do not store, because they can change.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::super::entity::artifact::{Column, Entity};
use super::super::row::Row;
use super::super::{Reader, StorageError};
use slipway_domain::catalog::artifact::DownloadKey;
use slipway_domain::catalog::release::{Release, ReleaseArtifact};
use slipway_domain::catalog::text::FileName;

/// Number of digests in one statement.
const DIGESTS_AT_ONCE: usize = 1_000;

/// Digest of an artifact within its tenant.
type ArtifactKey = (i64, String);

/// Tenant id, digest, download key, file name, and whether the content is damaged.
type ArtifactColumns = (i64, String, String, String, Option<String>);

/// Artifacts of releases that are being read.
#[derive(Default)]
pub(in crate::storage) struct ReleaseArtifacts {
    requested: BTreeSet<ArtifactKey>,
    found: HashMap<ArtifactKey, ReleaseArtifact>,
}

impl ReleaseArtifacts {
    /// Requests the artifact of a release, if it has one.
    pub(super) fn request(&mut self, tenant: i64, release: &Release) {
        self.requested.extend(key(tenant, release));
    }

    /// Reads the requested artifacts.
    pub(in crate::storage) async fn read(&mut self, reader: &impl Reader) -> Result<(), StorageError> {
        let requested: Vec<_> = std::mem::take(&mut self.requested).into_iter().collect();
        for requested in requested.chunks(DIGESTS_AT_ONCE) {
            let tenants: BTreeSet<_> = requested.iter().map(|(tenant, _)| *tenant).collect();
            let rows: Vec<ArtifactColumns> = Entity::find()
                .filter(Column::TenantId.is_in(tenants))
                .filter(Column::Sha256.is_in(requested.iter().map(|(_, sha256)| sha256.as_str())))
                .select_only()
                .columns([
                    Column::TenantId,
                    Column::Sha256,
                    Column::DownloadKey,
                    Column::Filename,
                    Column::Damage,
                ])
                .into_tuple()
                .all(reader.connection())
                .await?;
            for row in rows {
                let (key, artifact) = read_columns(row)?;
                self.found.insert(key, artifact);
            }
        }
        Ok(())
    }

    /// Completes a release with its artifact, if that was found.
    pub(super) fn attach(&self, tenant: i64, release: &mut Release) {
        release.artifact = key(tenant, release).and_then(|key| self.found.get(&key).cloned());
    }

    /// Completes releases with their artifacts. All rows must have been read in one consistent read.
    ///
    /// Errors: [`StorageError::CorruptRow`] for a release whose artifact does not exist.
    pub(in crate::storage) fn attach_all(
        &self,
        tenant: i64,
        releases: &mut [Release],
    ) -> Result<(), StorageError> {
        for release in releases {
            self.attach(tenant, release);
            if release.artifact.is_none() && release.content.file.artifact.is_some() {
                return Err(StorageError::CorruptRow {
                    table: "releases",
                    column: "artifact_sha256",
                    id: release.id.to_string(),
                    reason: "the artifact does not exist".to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn key(tenant: i64, release: &Release) -> Option<ArtifactKey> {
    let digest = release.content.file.artifact.as_ref()?;
    Some((tenant, digest.as_str().to_owned()))
}

fn read_columns(columns: ArtifactColumns) -> Result<(ArtifactKey, ReleaseArtifact), StorageError> {
    let (tenant, sha256, key, filename, damage) = columns;
    let row = Row::of("artifacts", &sha256);
    let artifact = ReleaseArtifact {
        key: row.column("download_key", DownloadKey::parse(&key))?,
        filename: row.column("filename", FileName::parse(filename))?,
        is_damaged: damage.is_some(),
    };
    Ok(((tenant, sha256), artifact))
}
