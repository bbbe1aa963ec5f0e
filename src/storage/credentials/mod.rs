//! Tables of credentials: app keys, device keys, API tokens and platform tokens.
//!
//! Each kind of credential has a table of its own. The functions here serve all of them; the other files map their
//! columns.

pub mod api_tokens;
pub mod app_keys;
mod columns;
pub mod device_keys;
pub mod last_use;

pub use columns::CredentialRow;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::page::{SortBy, fetch_page};
use super::versioned::first_version;
use super::{Reader, StorageError, UniqueKey, Writer};
use slipway_domain::access::ClientCredential;
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::versioned::Versioned;

/// Kind of credential with a table of its own.
pub trait StoredCredential: ClientCredential + Sized {
    /// Owner: a tenant's scope, or the platform.
    type Scope: Copy;
    /// Transaction that may write the table. Nodes cache keys in memory, so keys require a
    /// [`CatalogTx`](super::CatalogTx).
    type Tx: Writer;
    /// Verification data of the secret, as stored.
    type Secret;
    type Entity: EntityTrait<Model: CredentialRow>;

    const ID: ColumnOf<Self>;
    const LAST_USED_ON: ColumnOf<Self>;

    /// Selects the rows of an owner.
    fn of_owner(scope: Self::Scope) -> Condition;

    /// Returns the row of a new credential.
    fn to_row(stored: &Versioned<Self>, scope: Self::Scope, secret: Self::Secret) -> ActiveModelOf<Self>;

    fn read(row: ModelOf<Self>) -> Result<Versioned<Self>, StorageError>;
}

type ColumnOf<K> = <<K as StoredCredential>::Entity as EntityTrait>::Column;
type ModelOf<K> = <<K as StoredCredential>::Entity as EntityTrait>::Model;
type ActiveModelOf<K> = <<K as StoredCredential>::Entity as EntityTrait>::ActiveModel;

pub async fn find<K: StoredCredential>(
    reader: &impl Reader,
    scope: K::Scope,
    id: KeyId,
) -> Result<Option<Versioned<K>>, StorageError> {
    let row = K::Entity::find()
        .filter(of_id::<K>(scope, id))
        .one(reader.connection())
        .await?;
    row.map(K::read).transpose()
}

/// Lists the credentials of an owner in order of creation.
pub async fn list<K: StoredCredential>(
    reader: &impl Reader,
    scope: K::Scope,
    page: &PageRequest,
) -> Result<Page<Versioned<K>>, StorageError> {
    let rows = K::Entity::find().filter(K::of_owner(scope));
    fetch_page(page, reader, rows, SortBy::Ascending(K::ID), CredentialRow::id)
        .await?
        .try_map(K::read)
}

/// Errors: [`StorageError::Conflict`] with [`UniqueKey::AppKey`].
pub async fn insert<K: StoredCredential>(
    tx: &K::Tx,
    scope: K::Scope,
    value: K,
    secret: K::Secret,
    now: DateTime<Utc>,
) -> Result<Versioned<K>, StorageError> {
    let stored = first_version(value, now);
    K::Entity::insert(K::to_row(&stored, scope, secret))
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::AppKey))?;
    Ok(stored)
}

/// Returns `true` if the credential existed.
pub async fn delete<K: StoredCredential>(
    tx: &K::Tx,
    scope: K::Scope,
    id: KeyId,
) -> Result<bool, StorageError> {
    let deleted = K::Entity::delete_many()
        .filter(of_id::<K>(scope, id))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected > 0)
}

/// Selects the row of a credential.
fn of_id<K: StoredCredential>(scope: K::Scope, id: KeyId) -> Condition {
    K::of_owner(scope).add(K::ID.eq(id.uuid()))
}
