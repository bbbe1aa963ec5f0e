//! Tenants. They belong to the platform, so reads require no scope.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::entity::tenant::{ActiveModel, Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::row::{Row, to_json};
use super::selection::numbers;
use super::versioned::{first_version, next_version};
use super::{CatalogTx, Reader, StorageError, UniqueKey};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::ArtifactQuota;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::push::UrlSchemes;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// Lists the tenants by number, lowest first.
pub async fn list(reader: &impl Reader, page: &PageRequest) -> Result<Page<Versioned<Tenant>>, StorageError> {
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

pub async fn find(reader: &impl Reader, id: TenantId) -> Result<Option<Versioned<Tenant>>, StorageError> {
    let row = Entity::find_by_id(id.get()).one(reader.connection()).await?;
    row.map(read).transpose()
}

pub(super) async fn list_all_of(
    reader: &impl Reader,
    scopes: &[TenantScope],
) -> Result<Vec<Tenant>, StorageError> {
    let rows = Entity::find()
        .filter(Column::Id.is_in(numbers(scopes)))
        .all(reader.connection())
        .await?;
    rows.into_iter().map(|row| Ok(read(row)?.value)).collect()
}

/// Creates the tenant of the transaction's scope, which `value` must be.
///
/// Errors: [`StorageError::Conflict`] with [`UniqueKey::TenantId`].
pub async fn insert(
    tx: &CatalogTx,
    value: Tenant,
    now: DateTime<Utc>,
) -> Result<Versioned<Tenant>, StorageError> {
    let stored = first_version(value, now);
    let row = ActiveModel {
        id: Set(tx.tenant_id()),
        created_at: Set(stored.created_at),
        ..changeable(&stored)
    };
    Entity::insert(row)
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::TenantId))?;
    Ok(stored)
}

/// Errors: [`StorageError::Changed`] if the row differs from `before`.
pub async fn update(
    tx: &CatalogTx,
    before: &Versioned<Tenant>,
    value: Tenant,
    now: DateTime<Utc>,
) -> Result<Versioned<Tenant>, StorageError> {
    let stored = next_version(before, value, now);
    let row = ActiveModel {
        id: Set(tx.tenant_id()),
        ..changeable(&stored)
    };
    Entity::update(row)
        .validate()?
        .filter(Column::Etag.eq(&before.etag))
        .exec_without_returning(tx.connection())
        .await?;
    Ok(stored)
}

fn changeable(stored: &Versioned<Tenant>) -> ActiveModel {
    ActiveModel {
        name: Set(stored.value.name.as_str().to_owned()),
        enabled: Set(stored.value.enabled),
        offers_enabled: Set(stored.value.offers_enabled),
        push_url_schemes: Set(stored
            .value
            .push_url_schemes
            .listed()
            .map(|listed| to_json(&listed))),
        enrolment: Set(stored.value.enrolment.as_str().to_owned()),
        artifact_quota_bytes: Set(stored.value.artifact_quota.bytes()),
        etag: Set(stored.etag.clone()),
        updated_at: Set(stored.updated_at),
        ..Default::default()
    }
}

fn read(model: Model) -> Result<Versioned<Tenant>, StorageError> {
    let row = Row::of("tenants", model.id);
    Ok(Versioned {
        value: Tenant {
            id: row.column("id", TenantId::parse(model.id))?,
            name: row.column("name", Name::parse(model.name))?,
            enabled: model.enabled,
            offers_enabled: model.offers_enabled,
            push_url_schemes: row.column("push_url_schemes", read_schemes(model.push_url_schemes))?,
            enrolment: row.column("enrolment", EnrolmentPolicy::parse(&model.enrolment))?,
            artifact_quota: row.column(
                "artifact_quota_bytes",
                ArtifactQuota::parse(model.artifact_quota_bytes),
            )?,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.updated_at,
    })
}

fn read_schemes(text: Option<String>) -> Result<UrlSchemes, String> {
    let Some(text) = text else {
        return Ok(UrlSchemes::AnySafe);
    };
    let listed = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    UrlSchemes::only(listed).map_err(|why| why.0)
}
