//! People. Usernames are unique in the installation, so sign-in searches all tenants.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, SelectExt,
};

use super::authority::{Authority, CredentialLock};
use super::entity::user::{ActiveModel, Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::row::Row;
use super::versioned::{first_version, next_version};
use super::{Db, Reader, StorageError, Tx, UniqueKey, Writer};
use slipway_domain::access::{Platform, Role, TenantScope, User};
use slipway_domain::catalog::ids::{TenantId, UserId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

/// Person with the hash of their password.
#[derive(Clone)]
pub struct UserWithPassword {
    pub user: Versioned<User>,
    pub password_hash: String,
}

/// Owner of people: a tenant, or the platform, whose people administer the installation.
#[derive(Debug, Clone, Copy)]
pub enum UserScope {
    Tenant(TenantScope),
    Platform,
}

impl From<TenantScope> for UserScope {
    fn from(scope: TenantScope) -> Self {
        Self::Tenant(scope)
    }
}

impl From<Platform> for UserScope {
    fn from(Platform: Platform) -> Self {
        Self::Platform
    }
}

impl UserScope {
    fn condition(self) -> SimpleExpr {
        match self {
            Self::Tenant(scope) => Column::TenantId.eq(scope.tenant().get()),
            Self::Platform => Column::TenantId.is_null(),
        }
    }
}

impl Db {
    /// Begins a write that may remove any administrator of the platform.
    ///
    /// All administrators are locked in the order of their ids, before the caller's credential. Two callers that locked
    /// their own credential first would deadlock.
    pub async fn begin_on_administrators(
        &self,
        authority: Authority,
    ) -> Result<(Tx, Vec<Versioned<User>>), StorageError> {
        let tx = self.begin().await?;
        let administrators = lock_administrators(&tx).await?;
        authority
            .confirm(tx.transaction(), CredentialLock::Exclusive(None))
            .await?;
        Ok((tx, administrators))
    }
}

/// Finds a person for sign-in, in all tenants and among the platform's administrators.
pub async fn find_anywhere_by_username(
    reader: &impl Reader,
    username: &Username,
) -> Result<Option<UserWithPassword>, StorageError> {
    let row = Entity::find()
        .filter(Column::Username.eq(username.as_str()))
        .one(reader.connection())
        .await?;
    row.map(read_with_password).transpose()
}

/// Finds a person who has proved their identity, in all tenants and among the platform's administrators.
pub async fn find_anywhere(
    reader: &impl Reader,
    id: UserId,
) -> Result<Option<UserWithPassword>, StorageError> {
    let row = Entity::find_by_id(id.uuid()).one(reader.connection()).await?;
    row.map(read_with_password).transpose()
}

/// Reads a person and locks them until the transaction ends. SQLite has a single writer and needs no lock.
pub async fn lock(writer: &impl Writer, id: UserId) -> Result<Option<Versioned<User>>, StorageError> {
    let row = Entity::find_by_id(id.uuid())
        .lock_exclusive()
        .one(writer.connection())
        .await?;
    row.map(read).transpose()
}

pub async fn find(
    reader: &impl Reader,
    scope: impl Into<UserScope>,
    id: UserId,
) -> Result<Option<Versioned<User>>, StorageError> {
    let row = of_owner(scope)
        .filter(Column::Id.eq(id.uuid()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Lists the people of an owner in order of creation.
pub async fn list(
    reader: &impl Reader,
    scope: impl Into<UserScope>,
    page: &PageRequest,
) -> Result<Page<Versioned<User>>, StorageError> {
    fetch_page(
        page,
        reader,
        of_owner(scope),
        SortBy::Ascending(Column::Id),
        |row| row.id,
    )
    .await?
    .try_map(read)
}

/// Reads the platform's administrators and locks all of them until the transaction ends.
pub async fn lock_administrators(writer: &impl Writer) -> Result<Vec<Versioned<User>>, StorageError> {
    let rows = of_owner(Platform)
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .all(writer.connection())
        .await?;
    rows.into_iter().map(read).collect()
}

/// Returns `true` if there is any person. There is none at the first start.
pub async fn exists_any(reader: &impl Reader) -> Result<bool, StorageError> {
    Ok(Entity::find().exists(reader.connection()).await?)
}

/// Inserts the person into the tenant that the value names, if any.
///
/// Errors: [`StorageError::Conflict`] with [`UniqueKey::Username`].
pub async fn insert(
    writer: &impl Writer,
    value: User,
    password_hash: String,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, StorageError> {
    let stored = first_version(value, now);
    let row = ActiveModel {
        tenant_id: Set(stored.value.tenant.map(TenantId::get)),
        username: Set(stored.value.username.as_str().to_owned()),
        password_hash: Set(password_hash),
        created_at: Set(stored.created_at),
        ..changeable(&stored)
    };
    Entity::insert(row)
        .exec_without_returning(writer.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::Username))?;
    Ok(stored)
}

/// Updates role and `enabled`; tenant and username never change.
///
/// Errors: [`StorageError::Changed`] if the row differs from `before`.
pub async fn update(
    writer: &impl Writer,
    before: &Versioned<User>,
    value: User,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, StorageError> {
    let stored = next_version(before, value, now);
    Entity::update(changeable(&stored))
        .validate()?
        .filter(Column::Etag.eq(&before.etag))
        .exec_without_returning(writer.connection())
        .await?;
    Ok(stored)
}

/// Errors: [`StorageError::Changed`] if the row differs from `before`.
pub async fn update_password(
    writer: &impl Writer,
    before: &Versioned<User>,
    password_hash: String,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, StorageError> {
    let stored = next_version(before, before.value.clone(), now);
    let row = ActiveModel {
        password_hash: Set(password_hash),
        ..changeable(&stored)
    };
    Entity::update(row)
        .validate()?
        .filter(Column::Etag.eq(&before.etag))
        .exec_without_returning(writer.connection())
        .await?;
    Ok(stored)
}

/// Deletes the person with their sessions. Returns `true` if the person existed.
pub async fn delete(
    writer: &impl Writer,
    scope: impl Into<UserScope>,
    id: UserId,
) -> Result<bool, StorageError> {
    let deleted = Entity::delete_many()
        .filter(scope.into().condition())
        .filter(Column::Id.eq(id.uuid()))
        .exec(writer.connection())
        .await?;
    Ok(deleted.rows_affected > 0)
}

fn of_owner(scope: impl Into<UserScope>) -> Select<Entity> {
    Entity::find().filter(scope.into().condition())
}

fn changeable(stored: &Versioned<User>) -> ActiveModel {
    ActiveModel {
        id: Set(stored.value.id.uuid()),
        role: Set(stored.value.role.as_str().to_owned()),
        enabled: Set(stored.value.enabled),
        etag: Set(stored.etag.clone()),
        updated_at: Set(stored.updated_at),
        ..Default::default()
    }
}

fn read_with_password(mut model: Model) -> Result<UserWithPassword, StorageError> {
    Ok(UserWithPassword {
        password_hash: std::mem::take(&mut model.password_hash),
        user: read(model)?,
    })
}

pub(super) fn read(model: Model) -> Result<Versioned<User>, StorageError> {
    let row = Row::of("users", model.id);
    Ok(Versioned {
        value: User {
            id: UserId::from_uuid(model.id),
            tenant: row.column("tenant_id", model.tenant_id.map(TenantId::parse).transpose())?,
            username: row.column("username", Username::parse(model.username))?,
            role: row.column("role", Role::parse(&model.role))?,
            enabled: model.enabled,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.updated_at,
    })
}
