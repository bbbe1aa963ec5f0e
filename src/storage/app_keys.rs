//! Gateway keys. Nodes cache them in memory, so a write requires a [`CatalogTx`].

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, Expr};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Select};

use super::entity::app_key::{ActiveModel, Column, Entity, Model};
use super::etag::random_tag;
use super::page::{SortBy, fetch_page};
use super::row::Row;
use super::selection::{ByTenant, by_tenant, numbers};
use super::versioned::first_version;
use super::{CatalogTx, Reader, StorageError, UniqueKey};
use slipway_domain::access::{AppKey, AppKeyRole, KeyFacts, TenantScope};
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// Encrypted secret, which can be decrypted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    pub text: String,
    /// Id of the configured key that decrypts the secret.
    pub sealing_key_id: String,
}

/// Currently valid secrets of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecrets {
    pub current: SealedSecret,
    /// Secret from before the last rotation.
    pub previous: Option<SealedSecret>,
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: KeyId,
) -> Result<Option<Versioned<AppKey>>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.uuid()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Lists the gateway keys of a tenant in order of creation.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    page: &PageRequest,
) -> Result<Page<Versioned<AppKey>>, StorageError> {
    fetch_page(
        page,
        reader,
        of_tenant(scope),
        SortBy::Ascending(Column::Id),
        |row| row.id,
    )
    .await?
    .try_map(read)
}

/// Lists all keys of these tenants with their secrets, in order of creation.
pub(super) async fn list_with_secrets(
    reader: &impl Reader,
    scopes: &[TenantScope],
) -> Result<ByTenant<(AppKey, SealedSecrets)>, StorageError> {
    let rows = Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .order_by_asc(Column::Id)
        .all(reader.connection())
        .await?;
    let keys = rows.into_iter().map(|mut model| {
        let secrets = take_secrets(&mut model);
        Ok((model.tenant_id, (read(model)?.value, secrets)))
    });
    Ok(by_tenant(keys.collect::<Result<Vec<_>, StorageError>>()?))
}

/// Moves the secrets out of a model.
fn take_secrets(model: &mut Model) -> SealedSecrets {
    let previous = model
        .previous_secret_sealed
        .take()
        .zip(model.previous_sealing_key_id.take());
    SealedSecrets {
        current: SealedSecret {
            text: std::mem::take(&mut model.secret_sealed),
            sealing_key_id: std::mem::take(&mut model.sealing_key_id),
        },
        previous: previous.map(|(text, sealing_key_id)| SealedSecret { text, sealing_key_id }),
    }
}

/// Key of any tenant with its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedAppKey {
    pub tenant: TenantId,
    pub id: KeyId,
    pub secrets: SealedSecrets,
}

/// Lists the keys of all tenants with a secret that another key sealed, ordered by tenant and id.
pub async fn list_not_sealed_with(
    reader: &impl Reader,
    sealing_key_id: &str,
    after: Option<(TenantId, KeyId)>,
    limit: u64,
) -> Result<Vec<SealedAppKey>, StorageError> {
    let is_other = Condition::any()
        .add(Column::SealingKeyId.ne(sealing_key_id))
        .add(Column::PreviousSealingKeyId.ne(sealing_key_id));
    let mut cursor = Entity::find()
        .filter(is_other)
        .cursor_by((Column::TenantId, Column::Id));
    if let Some((tenant, id)) = after {
        cursor.after((tenant.get(), id.uuid()));
    }
    let rows = cursor.first(limit).all(reader.connection()).await?;
    rows.into_iter()
        .map(|mut model| {
            let row = Row::of("app_keys", model.id);
            Ok(SealedAppKey {
                tenant: row.column("tenant_id", TenantId::parse(model.tenant_id))?,
                id: KeyId::from_uuid(model.id),
                secrets: take_secrets(&mut model),
            })
        })
        .collect()
}

/// Replaces the secrets of a key if they still equal `read`. The key's entity tag is unchanged.
pub async fn replace_secrets(
    tx: &CatalogTx,
    id: KeyId,
    read: &SealedSecrets,
    sealed: SealedSecrets,
) -> Result<bool, StorageError> {
    let (previous, previous_key) = match sealed.previous {
        Some(previous) => (Some(previous.text), Some(previous.sealing_key_id)),
        None => (None, None),
    };
    let is_unchanged = match &read.previous {
        Some(previous) => Column::PreviousSecretSealed.eq(previous.text.as_str()),
        None => Column::PreviousSecretSealed.is_null(),
    };
    let updated = Entity::update_many()
        .col_expr(Column::SecretSealed, Expr::value(sealed.current.text))
        .col_expr(Column::SealingKeyId, Expr::value(sealed.current.sealing_key_id))
        .col_expr(Column::PreviousSecretSealed, Expr::value(previous))
        .col_expr(Column::PreviousSealingKeyId, Expr::value(previous_key))
        .filter(Column::TenantId.eq(tx.tenant_id()))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::SecretSealed.eq(read.current.text.as_str()))
        .filter(is_unchanged)
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Errors: [`StorageError::Conflict`] with [`UniqueKey::AppKey`].
pub async fn insert(
    tx: &CatalogTx,
    value: AppKey,
    secret: SealedSecret,
    now: DateTime<Utc>,
) -> Result<Versioned<AppKey>, StorageError> {
    let stored = first_version(value, now);
    let row = Model {
        tenant_id: tx.tenant_id(),
        id: stored.value.id.uuid(),
        name: stored.value.name.as_str().to_owned(),
        role: stored.value.role.as_str().to_owned(),
        app_key: stored.value.app_key.clone(),
        secret_sealed: secret.text,
        sealing_key_id: secret.sealing_key_id,
        previous_secret_sealed: None,
        previous_sealing_key_id: None,
        created_by: stored.value.facts.created_by.clone(),
        expires_at: stored.value.facts.expires_at,
        last_used_on: stored.value.facts.last_used_on,
        etag: stored.etag.clone(),
        created_at: stored.created_at,
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::AppKey))?;
    Ok(stored)
}

/// Sets a new current secret and keeps the old one as the previous secret. Returns `None` if the key does not exist.
pub async fn rotate(
    tx: &CatalogTx,
    before: &Versioned<AppKey>,
    secret: SealedSecret,
) -> Result<Option<Versioned<AppKey>>, StorageError> {
    let row = Entity::find_by_id((tx.tenant_id(), before.value.id.uuid()))
        .one(tx.connection())
        .await?;
    let Some(mut model) = row else {
        return Ok(None);
    };
    let outgoing = take_secrets(&mut model).current;
    let row = ActiveModel {
        tenant_id: Set(model.tenant_id),
        id: Set(model.id),
        secret_sealed: Set(secret.text),
        sealing_key_id: Set(secret.sealing_key_id),
        previous_secret_sealed: Set(Some(outgoing.text)),
        previous_sealing_key_id: Set(Some(outgoing.sealing_key_id)),
        etag: Set(random_tag()),
        ..Default::default()
    };
    let written = Entity::update(row).validate()?.exec(tx.connection()).await?;
    read(written).map(Some)
}

/// Returns `true` if the key existed.
pub async fn delete(tx: &CatalogTx, id: KeyId) -> Result<bool, StorageError> {
    let deleted = Entity::delete_by_id((tx.tenant_id(), id.uuid()))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected > 0)
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn read(model: Model) -> Result<Versioned<AppKey>, StorageError> {
    let row = Row::of("app_keys", model.id);
    Ok(Versioned {
        value: AppKey {
            id: KeyId::from_uuid(model.id),
            name: row.column("name", Name::parse(model.name))?,
            role: row.column("role", AppKeyRole::parse(&model.role))?,
            facts: KeyFacts {
                created_by: model.created_by,
                expires_at: model.expires_at,
                last_used_on: model.last_used_on,
            },
            app_key: model.app_key,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.created_at,
    })
}
