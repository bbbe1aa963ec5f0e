//! Conversion between artifacts and rows.

use chrono::{DateTime, Utc};
use sea_orm::prelude::Uuid;

use super::super::StorageError;
use super::super::entity::artifact::Model;
use super::super::row::{Row, to_json};
use slipway_domain::catalog::artifact::{
    Artifact, ArtifactFacts, Damage, DamageKind, DownloadKey, DownloadLink, IconFormat,
};
use slipway_domain::catalog::ids::ArtifactId;
use slipway_domain::catalog::text::{FileName, Md5, Sha256};
use slipway_domain::catalog::versioned::Versioned;

/// Returns the row of a new artifact, which no release uses yet.
pub(super) fn write_new(tenant_id: i64, stored: &Versioned<Artifact>) -> Model {
    let artifact = &stored.value;
    Model {
        tenant_id,
        sha256: artifact.sha256.as_str().to_owned(),
        id: artifact.id.uuid(),
        md5: artifact.md5.as_str().to_owned(),
        size: artifact.size,
        filename: artifact.filename.as_str().to_owned(),
        kind: artifact.facts.kind().as_str().to_owned(),
        package_name: artifact
            .facts
            .package()
            .map(|package| package.package_name.to_owned()),
        facts: to_json(&artifact.facts),
        icon: artifact.icon.map(|icon| icon.media_type().to_owned()),
        link_number: artifact.link.number,
        download_key: artifact.link.key.as_str().to_owned(),
        keep: artifact.keep,
        created_by: artifact.created_by.clone(),
        damage: artifact.damage.map(|damage| damage.kind.as_str().to_owned()),
        damaged_at: artifact.damage.map(|damage| damage.found_at),
        scrubbed_at: stored.created_at,
        unused_since: Some(stored.created_at),
        etag: stored.etag.clone(),
        created_at: stored.created_at,
        updated_at: stored.updated_at,
    }
}

pub(super) fn read(model: Model) -> Result<Versioned<Artifact>, StorageError> {
    let row = Row::of("artifacts", model.id);
    let facts: ArtifactFacts = row.column("facts", serde_json::from_str(&model.facts))?;
    let icon = model.icon.as_deref().map(IconFormat::parse).transpose();
    Ok(Versioned {
        value: Artifact {
            id: ArtifactId::from_uuid(model.id),
            sha256: row.column("sha256", Sha256::parse(&model.sha256))?,
            md5: row.column("md5", Md5::parse(&model.md5))?,
            size: model.size,
            filename: row.column("filename", FileName::parse(model.filename))?,
            facts,
            icon: row.column("icon", icon)?,
            link: DownloadLink {
                number: model.link_number,
                key: row.column("download_key", DownloadKey::parse(&model.download_key))?,
            },
            keep: model.keep,
            created_by: model.created_by,
            damage: read_damage(&row, model.damage.as_deref(), model.damaged_at)?,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.updated_at,
    })
}

fn read_damage(
    row: &Row<Uuid>,
    kind: Option<&str>,
    found_at: Option<DateTime<Utc>>,
) -> Result<Option<Damage>, StorageError> {
    let kind = row.column("damage", kind.map(DamageKind::parse).transpose())?;
    Ok(kind
        .zip(found_at)
        .map(|(kind, found_at)| Damage { kind, found_at }))
}
