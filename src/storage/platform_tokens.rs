//! API tokens of the platform, which administer the installation and belong to no tenant.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::entity::platform_token::{Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::row::Row;
use super::versioned::first_version;
use super::{Reader, StorageError, Writer};
use slipway_domain::access::{ApiToken, KeyFacts, Role};
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

pub async fn find_by_secret_hash(
    reader: &impl Reader,
    secret_hash: &str,
) -> Result<Option<Versioned<ApiToken>>, StorageError> {
    let row = Entity::find()
        .filter(Column::SecretHash.eq(secret_hash))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

pub async fn find(reader: &impl Reader, id: KeyId) -> Result<Option<Versioned<ApiToken>>, StorageError> {
    let row = Entity::find_by_id(id.uuid()).one(reader.connection()).await?;
    row.map(read).transpose()
}

/// Lists the tokens in order of creation.
pub async fn list(
    reader: &impl Reader,
    page: &PageRequest,
) -> Result<Page<Versioned<ApiToken>>, StorageError> {
    fetch_page(
        page,
        reader,
        Entity::find(),
        SortBy::Ascending(Column::Id),
        |row| row.id,
    )
    .await?
    .try_map(read)
}

pub async fn insert(
    writer: &impl Writer,
    value: ApiToken,
    secret_hash: String,
    now: DateTime<Utc>,
) -> Result<Versioned<ApiToken>, StorageError> {
    let stored = first_version(value, now);
    let row = Model {
        id: stored.value.id.uuid(),
        name: stored.value.name.as_str().to_owned(),
        secret_hash,
        created_by: stored.value.facts.created_by.clone(),
        expires_at: stored.value.facts.expires_at,
        last_used_on: stored.value.facts.last_used_on,
        etag: stored.etag.clone(),
        created_at: stored.created_at,
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(writer.connection())
        .await?;
    Ok(stored)
}

/// Returns `true` if the token existed.
pub async fn delete(writer: &impl Writer, id: KeyId) -> Result<bool, StorageError> {
    let deleted = Entity::delete_by_id(id.uuid()).exec(writer.connection()).await?;
    Ok(deleted.rows_affected > 0)
}

fn read(model: Model) -> Result<Versioned<ApiToken>, StorageError> {
    let row = Row::of("platform_tokens", model.id);
    Ok(Versioned {
        value: ApiToken {
            id: KeyId::from_uuid(model.id),
            name: row.column("name", Name::parse(model.name))?,
            role: Role::PlatformAdmin,
            facts: KeyFacts {
                created_by: model.created_by,
                expires_at: model.expires_at,
                last_used_on: model.last_used_on,
            },
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.created_at,
    })
}
