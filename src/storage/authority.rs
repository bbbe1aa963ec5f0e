//! Credential of a write transaction, and the proof that it is still valid.
//!
//! A credential may be revoked while its request receives a body or waits for a connection or for locks. A write in a
//! caller's name therefore reads the credential when its transaction begins, and again as the last statement before the
//! commit.
//!
//! The last read locks the rows, which orders the write and the revocation. The lock lasts only for that moment, so
//! that a caller with slow writes cannot delay its own revocation.

use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::entity::{api_token, app_key, device_key, device_token, platform_token, session, tenant, user};
use super::{Reader, StorageError};
use slipway_domain::access::{AppKeyRole, Credential, DeviceScope, Principal, TenantScope};
use slipway_domain::catalog::enrolment::DeviceTokenState;
use slipway_domain::catalog::ids::{KeyId, TenantId, UserId};

/// Credential in whose name a transaction writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Internal work, which has no caller.
    Program,
    /// An authenticated person or API token.
    Principal(Principal),
    /// A device with a token of this generation.
    Device { device: DeviceScope, generation: i64 },
    /// The holder of a device key.
    DeviceKey { tenant: TenantScope, key: KeyId },
    /// The holder of a gateway key with this role.
    AppKey {
        tenant: TenantScope,
        key: KeyId,
        role: AppKeyRole,
    },
    /// A tenant, for a transaction that verifies and replaces the credential itself.
    Tenant(TenantScope),
}

/// Lock on the rows of a credential while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialLock {
    None,
    /// Shared lock until the commit, which follows immediately.
    Shared,
    /// Exclusive lock, for a transaction that changes the credential or a user.
    ///
    /// Such transactions acquire their locks before they write, in one order, which prevents deadlocks between them.
    Exclusive(Option<UserId>),
}

impl Authority {
    /// Confirms that the credential is valid. Errors: [`StorageError::CredentialEnded`],
    /// [`StorageError::TenantDisabled`].
    pub(super) async fn confirm(&self, tx: &impl Reader, lock: CredentialLock) -> Result<(), StorageError> {
        match self {
            Self::Program => Ok(()),
            Self::Principal(principal) => confirm_principal(tx, principal, lock).await,
            Self::Device { device, generation } => {
                confirm_tenant(tx, device.tenant(), CredentialLock::None).await?;
                confirm_device(tx, device, *generation).await
            }
            Self::DeviceKey { tenant, key } => {
                confirm_tenant(tx, *tenant, CredentialLock::None).await?;
                let row = device_key::Entity::find_by_id((tenant.tenant().get(), key.uuid()));
                let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
                require(row.one(tx.connection()).await?.is_some())
            }
            Self::AppKey { tenant, key, role } => {
                confirm_tenant(tx, *tenant, lock).await?;
                let row = app_key::Entity::find_by_id((tenant.tenant().get(), key.uuid()));
                let row = row.apply_if(shared_lock(lock, LockType::Share), QuerySelect::lock);
                let row = row.one(tx.connection()).await?;
                require(row.is_some_and(|row| row.role == role.as_str()))
            }
            Self::Tenant(tenant) => confirm_tenant(tx, *tenant, CredentialLock::None).await,
        }
    }
}

/// Locks the tenant, the user and the session, in the order in which the deletion of a user cascades.
async fn confirm_principal(
    tx: &impl Reader,
    principal: &Principal,
    lock: CredentialLock,
) -> Result<(), StorageError> {
    if let Some(tenant) = principal.tenant {
        // Disabling a tenant must not wait for a transaction that changes the tenant's users.
        let lock = if lock == CredentialLock::Shared {
            lock
        } else {
            CredentialLock::None
        };
        confirm_tenant(tx, TenantScope::internal(tenant), lock).await?;
    }
    match principal.credential {
        Credential::ApiToken(id) => confirm_api_token(tx, principal, id, lock).await,
        Credential::Session { user, session } => {
            confirm_user(tx, principal, user, lock).await?;
            let row = session::Entity::find_by_id(session.uuid());
            let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
            require(
                row.one(tx.connection())
                    .await?
                    .is_some_and(|row| row.user_id == user.uuid()),
            )
        }
    }
}

async fn confirm_user(
    tx: &impl Reader,
    principal: &Principal,
    id: UserId,
    lock: CredentialLock,
) -> Result<(), StorageError> {
    let mut ids = vec![id.uuid()];
    let row_lock = match lock {
        CredentialLock::None => None,
        CredentialLock::Shared => Some(LockType::Share),
        CredentialLock::Exclusive(other) => {
            ids.extend(other.map(UserId::uuid));
            Some(LockType::Update)
        }
    };
    let rows = user::Entity::find()
        .filter(user::Column::Id.is_in(ids))
        .order_by_asc(user::Column::Id)
        .apply_if(row_lock, QuerySelect::lock)
        .all(tx.connection())
        .await?;
    let own = rows.iter().find(|row| row.id == id.uuid());
    let tenant = principal.tenant.map(TenantId::get);
    require(
        own.is_some_and(|row| row.enabled && row.role == principal.role.as_str() && row.tenant_id == tenant),
    )
}

async fn confirm_api_token(
    tx: &impl Reader,
    principal: &Principal,
    id: KeyId,
    lock: CredentialLock,
) -> Result<(), StorageError> {
    let Some(tenant) = principal.tenant else {
        let row = platform_token::Entity::find_by_id(id.uuid());
        let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
        return require(row.one(tx.connection()).await?.is_some());
    };
    let row = api_token::Entity::find_by_id((tenant.get(), id.uuid()))
        .apply_if(credential_lock(lock), QuerySelect::lock)
        .one(tx.connection())
        .await?;
    require(row.is_some_and(|row| row.role == principal.role.as_str()))
}

async fn confirm_device(tx: &impl Reader, device: &DeviceScope, generation: i64) -> Result<(), StorageError> {
    let id = (
        device.tenant().tenant().get(),
        device.device().as_str().to_owned(),
    );
    let row = device_token::Entity::find_by_id(id).one(tx.connection()).await?;
    require(
        row.is_some_and(|row| row.generation == generation && row.state == DeviceTokenState::Valid.as_str()),
    )
}

async fn confirm_tenant(
    tx: &impl Reader,
    scope: TenantScope,
    lock: CredentialLock,
) -> Result<(), StorageError> {
    let row = tenant::Entity::find_by_id(scope.tenant().get());
    let row = row.apply_if(shared_lock(lock, LockType::Share), QuerySelect::lock);
    match row.one(tx.connection()).await? {
        Some(row) if row.enabled => Ok(()),
        _ => Err(StorageError::TenantDisabled),
    }
}

fn shared_lock(lock: CredentialLock, row_lock: LockType) -> Option<LockType> {
    (lock == CredentialLock::Shared).then_some(row_lock)
}

/// Returns the lock for the row of a credential.
///
/// Sessions, API tokens and device keys are revoked by deletion, which the weakest lock blocks. A refresh of a session
/// does not wait for that lock.
fn credential_lock(lock: CredentialLock) -> Option<LockType> {
    match lock {
        CredentialLock::None => None,
        CredentialLock::Shared => Some(LockType::KeyShare),
        CredentialLock::Exclusive(_) => Some(LockType::Update),
    }
}

fn require(is_good: bool) -> Result<(), StorageError> {
    if is_good {
        Ok(())
    } else {
        Err(StorageError::CredentialEnded)
    }
}
