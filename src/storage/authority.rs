//! Credential of a write transaction, and the proof that it is still valid.
//!
//! A credential may be revoked while its request receives a body or waits for a connection or for locks. A write in a
//! caller's name therefore reads the credential when its transaction begins, and again as the last statement before the
//! commit.
//!
//! The last read locks the rows, which orders the write and the revocation. The lock lasts only for that moment, so
//! that a caller with slow writes cannot delay its own revocation.

use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait, Select,
};

use super::StorageError;
use super::entity::{api_token, app_key, device_key, device_token, platform_token, session, tenant, user};
use super::script::{Command, CommandResult};
use super::statements::Transaction;
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

/// Check of the rows that one query of a [`Confirmation`] returned.
type RowCheck = Box<dyn Fn(&[QueryResult]) -> Result<(), StorageError> + Send + Sync>;

/// Queries that prove a credential, and the checks of their results.
pub(super) struct Confirmation {
    backend: DbBackend,
    pub(super) commands: Vec<Command>,
    checks: Vec<RowCheck>,
}

impl Confirmation {
    fn new(backend: DbBackend) -> Self {
        Self {
            backend,
            commands: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds a query whose rows must satisfy a condition; otherwise the confirmation fails with `refusal`.
    fn require<E: EntityTrait>(
        &mut self,
        rows: &Select<E>,
        refusal: fn() -> StorageError,
        is_satisfied: impl Fn(&[E::Model]) -> bool + Send + Sync + 'static,
    ) {
        self.commands.push(Command::Query(rows.build(self.backend)));
        self.checks.push(Box::new(move |rows| {
            let rows: Result<Vec<_>, _> = rows
                .iter()
                .map(|row| E::Model::from_query_result(row, ""))
                .collect();
            if is_satisfied(&rows?) {
                Ok(())
            } else {
                Err(refusal())
            }
        }));
    }

    /// Checks the results of the queries, in their order. Errors: [`StorageError::CredentialEnded`],
    /// [`StorageError::TenantDisabled`].
    pub(super) fn judge(&self, results: impl IntoIterator<Item = CommandResult>) -> Result<(), StorageError> {
        let mut results = results.into_iter();
        self.checks
            .iter()
            .try_for_each(|check| check(&results.next().unwrap_or_default().rows))
    }

    fn require_tenant(&mut self, scope: TenantScope, lock: CredentialLock) {
        let row = tenant::Entity::find_by_id(scope.tenant().get());
        let row = row.apply_if(shared_lock(lock, LockType::Share), QuerySelect::lock);
        let is_enabled = |rows: &[tenant::Model]| rows.iter().any(|row| row.enabled);
        self.require(&row, || StorageError::TenantDisabled, is_enabled);
    }

    /// Locks the tenant, the user and the session, in the order in which the deletion of a user cascades.
    fn require_principal(&mut self, principal: &Principal, lock: CredentialLock) {
        if let Some(tenant) = principal.tenant {
            // Disabling a tenant must not wait for a transaction that changes the tenant's users.
            let lock = if lock == CredentialLock::Shared {
                lock
            } else {
                CredentialLock::None
            };
            self.require_tenant(TenantScope::internal(tenant), lock);
        }
        match principal.credential {
            Credential::ApiToken(id) => self.require_api_token(principal, id, lock),
            Credential::Session { user, session } => {
                self.require_user(principal, user, lock);
                let row = session::Entity::find_by_id(session.uuid());
                let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
                let is_of_user =
                    move |rows: &[session::Model]| rows.iter().any(|row| row.user_id == user.uuid());
                self.require(&row, ended, is_of_user);
            }
        }
    }

    fn require_user(&mut self, principal: &Principal, id: UserId, lock: CredentialLock) {
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
            .apply_if(row_lock, QuerySelect::lock);
        let (role, tenant) = (principal.role.as_str(), principal.tenant.map(TenantId::get));
        self.require(&rows, ended, move |rows: &[user::Model]| {
            let own = rows.iter().find(|row| row.id == id.uuid());
            own.is_some_and(|row| row.enabled && row.role == role && row.tenant_id == tenant)
        });
    }

    fn require_api_token(&mut self, principal: &Principal, id: KeyId, lock: CredentialLock) {
        let Some(tenant) = principal.tenant else {
            let row = platform_token::Entity::find_by_id(id.uuid());
            let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
            self.require(&row, ended, |rows: &[_]| !rows.is_empty());
            return;
        };
        let row = api_token::Entity::find_by_id((tenant.get(), id.uuid()));
        let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
        let role = principal.role.as_str();
        self.require(&row, ended, move |rows: &[api_token::Model]| {
            rows.iter().any(|row| row.role == role)
        });
    }

    fn require_device(&mut self, device: &DeviceScope, generation: i64) {
        let id = (
            device.tenant().tenant().get(),
            device.device().as_str().to_owned(),
        );
        let is_valid = move |rows: &[device_token::Model]| {
            let state = DeviceTokenState::Valid.as_str();
            rows.iter()
                .any(|row| row.generation == generation && row.state == state)
        };
        self.require(&device_token::Entity::find_by_id(id), ended, is_valid);
    }
}

impl Authority {
    /// Confirms that the credential is valid. Errors: [`StorageError::CredentialEnded`],
    /// [`StorageError::TenantDisabled`].
    pub(super) async fn confirm(&self, tx: &Transaction, lock: CredentialLock) -> Result<(), StorageError> {
        let mut confirmation = self.confirmation(tx.get_database_backend(), lock);
        let results = tx.run(std::mem::take(&mut confirmation.commands)).await?;
        confirmation.judge(results)
    }

    /// Returns the queries that prove the credential, for a script.
    pub(super) fn confirmation(&self, backend: DbBackend, lock: CredentialLock) -> Confirmation {
        let mut confirmation = Confirmation::new(backend);
        match self {
            Self::Program => {}
            Self::Principal(principal) => confirmation.require_principal(principal, lock),
            Self::Device { device, generation } => {
                confirmation.require_tenant(device.tenant(), CredentialLock::None);
                confirmation.require_device(device, *generation);
            }
            Self::DeviceKey { tenant, key } => {
                confirmation.require_tenant(*tenant, CredentialLock::None);
                let row = device_key::Entity::find_by_id((tenant.tenant().get(), key.uuid()));
                let row = row.apply_if(credential_lock(lock), QuerySelect::lock);
                confirmation.require(&row, ended, |rows: &[_]| !rows.is_empty());
            }
            Self::AppKey { tenant, key, role } => {
                confirmation.require_tenant(*tenant, lock);
                let row = app_key::Entity::find_by_id((tenant.tenant().get(), key.uuid()));
                let row = row.apply_if(shared_lock(lock, LockType::Share), QuerySelect::lock);
                let role = role.as_str();
                confirmation.require(&row, ended, move |rows: &[app_key::Model]| {
                    rows.iter().any(|row| row.role == role)
                });
            }
            Self::Tenant(tenant) => confirmation.require_tenant(*tenant, CredentialLock::None),
        }
        confirmation
    }
}

const fn ended() -> StorageError {
    StorageError::CredentialEnded
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
