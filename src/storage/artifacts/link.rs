//! Artifacts by their download links.

use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationDef};

use super::super::entity::catalog_revision;
use super::super::{Reader, StorageError};
use super::artifact::{Column, Entity};
use super::maintenance::{OwnedArtifact, read_owned};
use slipway_domain::catalog::artifact::DownloadKey;
use slipway_domain::catalog::revision::CatalogRevision;

/// Artifact with the revision of its tenant's catalog at the same time.
#[derive(Debug, Clone)]
pub struct LinkedArtifact {
    pub owned: OwnedArtifact,
    /// `None` while the tenant has none.
    pub revision: Option<CatalogRevision>,
}

/// Finds the artifact of a download link, in any tenant: whoever has the key may read the file.
pub async fn find_by_key(
    reader: &impl Reader,
    key: &DownloadKey,
) -> Result<Option<LinkedArtifact>, StorageError> {
    let found = Entity::find()
        .filter(Column::DownloadKey.eq(key.as_str()))
        .join(JoinType::LeftJoin, to_revision())
        .select_also(catalog_revision::Entity)
        .one(reader.connection())
        .await?;
    let Some((artifact, revision)) = found else {
        return Ok(None);
    };
    Ok(Some(LinkedArtifact {
        owned: read_owned(artifact)?,
        revision: revision.map(|row| CatalogRevision {
            revision: row.revision,
            head: row.head,
        }),
    }))
}

fn to_revision() -> RelationDef {
    Entity::belongs_to(catalog_revision::Entity)
        .from(Column::TenantId)
        .to(catalog_revision::Column::TenantId)
        .into()
}
