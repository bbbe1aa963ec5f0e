//! Gateway keys, with secrets that can be decrypted again.

use sea_orm::sea_query::{Condition, Expr};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, Select};

use super::StoredCredential;
use super::columns::CommonColumns;
use crate::storage::entity::app_key::{ActiveModel, Column, Entity, Model};
use crate::storage::etag::random_tag;
use crate::storage::row::{Row, models};
use crate::storage::selection::{ByTenant, by_tenant, numbers};
use crate::storage::{CatalogTx, Reader, StorageError};
use slipway_domain::access::{AppKey, AppKeyRole, TenantScope};
use slipway_domain::catalog::ids::{KeyId, TenantId};
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

impl StoredCredential for AppKey {
    type Scope = TenantScope;
    type Tx = CatalogTx;
    type Secret = SealedSecret;
    type Entity = Entity;

    const ID: Column = Column::Id;
    const LAST_USED_ON: Column = Column::LastUsedOn;

    fn of_owner(scope: TenantScope) -> Condition {
        Condition::all().add(Column::TenantId.eq(scope.tenant().get()))
    }

    fn to_row(stored: &Versioned<Self>, scope: TenantScope, secret: SealedSecret) -> ActiveModel {
        ActiveModel {
            tenant_id: Set(scope.tenant().get()),
            role: Set(stored.value.role.as_str().to_owned()),
            app_key: Set(stored.value.app_key.clone()),
            secret_sealed: Set(secret.text),
            sealing_key_id: Set(secret.sealing_key_id),
            ..stored.into()
        }
    }

    fn read(mut row: Model) -> Result<Versioned<Self>, StorageError> {
        let role = Row::of("app_keys", row.id).column("role", AppKeyRole::parse(&row.role))?;
        let app_key = std::mem::take(&mut row.app_key);
        CommonColumns::from(row).read(|id, name, facts| Self {
            id,
            name,
            role,
            app_key,
            facts,
        })
    }
}

/// Lists all keys of these tenants with their secrets, in order of creation.
pub(in crate::storage) fn keys_of(scopes: &[TenantScope]) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .order_by_asc(Column::Id)
}

/// Reads the rows of [`keys_of`].
pub(in crate::storage) fn read_with_secrets(
    rows: &[QueryResult],
) -> Result<ByTenant<(AppKey, SealedSecrets)>, StorageError> {
    let keys = models::<Model>(rows)?.into_iter().map(|mut model| {
        let secrets = take_secrets(&mut model);
        Ok((model.tenant_id, (AppKey::read(model)?.value, secrets)))
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
    AppKey::read(written).map(Some)
}
