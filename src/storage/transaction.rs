//! Transactions: for reads of one consistent state, for writes, and for writes that checks depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    AccessMode, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IsolationLevel, QueryFilter, QuerySelect, Statement, TransactionTrait,
};

use tokio::time::timeout;

use super::authority::{Authority, CredentialLock};
use super::connect::{Backend, Db, LOCK_TIMEOUT, with_load_timeout};
use super::effective_releases::ChangedApp;
use super::entity::{app, catalog_revision};
use super::etag::random_tag;
use super::statements::Transaction;
use super::unavailability::{Cause, Unavailability};
use super::write::WriteTransaction;
use super::writer_lock::{PriorityGuard, PriorityMutex};
use super::{Reader, StorageError, Writer};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{AppId, TenantId, UserId};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::Identifier;

/// Idle limit of a load, which compiles the rows of a large tenant between two reads. A load blocks no writer.
const LOAD_IDLE_TIMEOUT_SQL: &str = "SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Read transaction on one snapshot of the database. Ends when dropped.
#[derive(Debug)]
pub struct ReadTx(Transaction);

/// Write transaction for data that no check depends on. Rolls back when dropped without [`Tx::commit`].
#[derive(Debug)]
pub struct Tx {
    inner: WriteTransaction,
    /// Confirmed before the commit.
    authority: Authority,
}

/// Write transaction for data that checks of one tenant depend on. Its commit always advances the tenant's revision.
///
/// Rolls back when dropped without [`CatalogTx::commit`].
#[derive(Debug)]
pub struct CatalogTx {
    tx: WriteTransaction,
    scope: TenantScope,
    backend: Backend,
    /// Changed apps, each with the resources whose effective releases may have changed.
    changed_apps: Mutex<BTreeMap<AppId, BTreeSet<Identifier>>>,
    /// Confirmed before the commit.
    authority: Authority,
    /// Released after the transaction has ended, because fields are dropped in this order.
    _lock: CatalogLock,
}

impl Db {
    pub async fn begin_read(&self) -> Result<ReadTx, StorageError> {
        // A SQLite transaction reads one snapshot anyway and supports neither setting.
        let (isolation_level, access_mode) = match self.backend() {
            Backend::Postgres => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
            Backend::Sqlite => (None, None),
        };
        let pool = self.pool();
        let begin =
            Box::pin(pool.begin(|| pool.connection().begin_with_config(isolation_level, access_mode)));
        with_load_timeout(async {
            let tx = begin.await?;
            if self.backend() == Backend::Postgres {
                tx.execute_unprepared(LOAD_IDLE_TIMEOUT_SQL).await?;
            }
            Ok(ReadTx(tx))
        })
        .await
    }

    /// Begins an internal write, which has no caller.
    pub async fn begin(&self) -> Result<Tx, StorageError> {
        Ok(Tx {
            inner: self.begin_write().await?,
            authority: Authority::Program,
        })
    }

    /// Begins a write in a caller's name. The credential is confirmed now and again before the commit.
    pub async fn begin_as(&self, authority: Authority) -> Result<Tx, StorageError> {
        let tx = Tx {
            authority,
            ..self.begin().await?
        };
        tx.authority.confirm(&tx, CredentialLock::None).await?;
        Ok(tx)
    }

    /// Begins a write that may revoke or change the caller's own credential.
    ///
    /// The credential is locked and confirmed now. `other` is another user that is about to change.
    pub async fn begin_on_credentials(
        &self,
        authority: Authority,
        other: Option<UserId>,
    ) -> Result<Tx, StorageError> {
        let tx = self.begin().await?;
        authority.confirm(&tx, CredentialLock::Exclusive(other)).await?;
        Ok(tx)
    }

    /// Begins a change of one tenant's catalog.
    ///
    /// Changes of one tenant are serialized from here to the commit. A service can therefore read, decide and write
    /// without interference.
    pub async fn begin_catalog(&self, scope: TenantScope) -> Result<CatalogTx, StorageError> {
        self.begin_catalog_as(scope, Authority::Program).await
    }

    /// Begins a change of one tenant's catalog in a caller's name.
    ///
    /// The credential is confirmed once the catalog is locked, and again before the commit.
    pub async fn begin_catalog_as(
        &self,
        scope: TenantScope,
        authority: Authority,
    ) -> Result<CatalogTx, StorageError> {
        let lock = self.lock_tenant_writers(scope.tenant()).await?;
        let tx = self.begin_write().await?;
        lock_catalog(tx.connection(), scope.tenant()).await?;
        let tx = CatalogTx {
            _lock: lock,
            tx,
            scope,
            backend: self.backend(),
            changed_apps: Mutex::default(),
            authority,
        };
        tx.authority.confirm(&tx, CredentialLock::None).await?;
        Ok(tx)
    }
}

/// Lock of a tenant's writers in this process, with the object that orders them.
type CatalogLock = Option<(PriorityGuard, Arc<PriorityMutex>)>;

impl Db {
    /// Waits for the tenant's other writers here, so that waiting writers hold no connections.
    ///
    /// SQLite's writers are serialized anyway. Urgent writers wait only for the lock on the tenant's row. A writer that
    /// holds this lock may still wait for a connection, while urgent writers have reserved ones.
    async fn lock_tenant_writers(&self, tenant: TenantId) -> Result<CatalogLock, StorageError> {
        if self.backend() == Backend::Sqlite || self.is_urgent() {
            return Ok(None);
        }
        let mutex = self.urgent_resources().tenants.of(tenant);
        let guard = timeout(LOCK_TIMEOUT, mutex.lock(false)).await;
        let guard = guard.map_err(|_| {
            let why = format!("no write lock within {} s", LOCK_TIMEOUT.as_secs());
            Unavailability::new(Cause::Locked, DbErr::Custom(why))
        })?;
        Ok(Some((guard, mutex)))
    }
}

/// Waits for the tenant's other catalog transaction. SQLite has a single writer and ignores the lock.
///
/// A new tenant has no row yet. Two transactions that create the same tenant conflict on its primary key.
///
/// The isolation level must stay READ COMMITTED, so that statements after the wait see the other transaction's commit.
async fn lock_catalog(tx: &Transaction, tenant: TenantId) -> Result<(), DbErr> {
    catalog_revision::Entity::find_by_id(tenant.get())
        .lock_exclusive()
        .one(tx)
        .await
        .map(drop)
}

impl ReadTx {
    pub(super) fn transaction(&self) -> &Transaction {
        &self.0
    }
}

impl Tx {
    /// Commits the transaction. After [`StorageError::InDoubt`] it may be committed; after any other error it is not.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.authority.confirm(&self, CredentialLock::Shared).await?;
        self.inner.commit().await
    }

    pub(super) const fn transaction(&self) -> &Transaction {
        self.inner.connection()
    }
}

impl CatalogTx {
    /// Returns the scope of the written tenant, which the storage functions use.
    pub const fn scope(&self) -> TenantScope {
        self.scope
    }

    pub(super) const fn tenant_id(&self) -> i64 {
        self.scope.tenant().get()
    }

    pub(super) const fn transaction(&self) -> &Transaction {
        self.tx.connection()
    }

    /// Records that the app's own revision must advance too.
    pub(super) fn mark_app_changed(&self, app: AppId) {
        self.changed_apps().entry(app).or_default();
    }

    /// Records that other releases of a resource may have become effective or superseded. The app's own revision
    /// advances too.
    pub(super) fn mark_releases_changed(&self, app: AppId, identifier: &Identifier) {
        let mut apps = self.changed_apps();
        apps.entry(app).or_default().insert(identifier.clone());
    }

    fn changed_apps(&self) -> MutexGuard<'_, BTreeMap<AppId, BTreeSet<Identifier>>> {
        self.changed_apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances the revisions of the changed apps and of the tenant, commits, and returns the tenant's new revision.
    ///
    /// After [`StorageError::InDoubt`] the transaction may be committed; after any other error it is not.
    ///
    /// The position is drawn last. Positions therefore follow the order of commits, except for simultaneous commits.
    /// Catalog sync compares revisions and never uses a position as the end of a read.
    pub async fn commit(self) -> Result<CatalogRevision, StorageError> {
        self.advance_apps().await?;
        self.authority.confirm(&self, CredentialLock::Shared).await?;
        let revision = self.advance_tenant().await?;
        self.tx.commit().await?;
        Ok(revision)
    }

    async fn advance_apps(&self) -> Result<(), StorageError> {
        let apps = std::mem::take(&mut *self.changed_apps());
        for (app, resources) in apps {
            let Some(has_current_flags) = self.advance_app(app).await? else {
                continue;
            };
            let changed = ChangedApp {
                connection: self.transaction(),
                tenant: self.tenant_id(),
                id: app.uuid(),
            };
            if has_current_flags {
                for identifier in &resources {
                    changed.refresh(identifier.as_str()).await?;
                }
            } else {
                // An older version of the program wrote last.
                changed.refresh_all().await?;
                self.trust_flags(app).await?;
            }
        }
        Ok(())
    }

    /// Advances the revision of an app, and with it the revision for which the flags of effective releases are computed
    /// if they are. Returns whether they are; `None` if the app is deleted.
    async fn advance_app(&self, id: AppId) -> Result<Option<bool>, StorageError> {
        use app::{Column, Entity};
        let next = || Expr::col(Column::Revision).add(1);
        let follows = Expr::case(
            Expr::col(Column::EffectiveAsOf).eq(Expr::col(Column::Revision)),
            next(),
        )
        .finally(Expr::col(Column::EffectiveAsOf));
        let advanced = Entity::update_many()
            .col_expr(Column::Revision, next())
            .col_expr(Column::Head, Expr::value(random_tag()))
            .col_expr(Column::EffectiveAsOf, follows.into())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::Id.eq(id.uuid()))
            .exec_with_returning(self.transaction())
            .await?;
        Ok(advanced.first().map(|app| app.effective_as_of == app.revision))
    }

    /// Records that the flags of all releases of an app are computed.
    async fn trust_flags(&self, id: AppId) -> Result<(), StorageError> {
        use app::{Column, Entity};
        Entity::update_many()
            .col_expr(Column::EffectiveAsOf, Expr::col(Column::Revision))
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::Id.eq(id.uuid()))
            .exec(self.transaction())
            .await?;
        Ok(())
    }

    async fn advance_tenant(&self) -> Result<CatalogRevision, StorageError> {
        use catalog_revision::{ActiveModel, Column, Entity};
        let first = ActiveModel {
            tenant_id: Set(self.tenant_id()),
            revision: Set(1),
            head: Set(random_tag()),
            position: Set(self.next_position().await?),
        };
        let advance = OnConflict::column(Column::TenantId)
            .value(Column::Revision, Expr::col((Entity, Column::Revision)).add(1))
            .update_columns([Column::Head, Column::Position])
            .to_owned();
        let row = Entity::insert(first)
            .on_conflict(advance)
            .exec_with_returning(self.transaction())
            .await?;
        Ok(CatalogRevision {
            revision: row.revision,
            head: row.head,
        })
    }

    async fn next_position(&self) -> Result<i64, DbErr> {
        let draw = match self.backend {
            Backend::Postgres => "SELECT nextval('catalog_position') AS value",
            Backend::Sqlite => "UPDATE catalog_position SET value = value + 1 RETURNING value",
        };
        let statement = Statement::from_string(self.transaction().get_database_backend(), draw);
        let row = self.transaction().query_one_raw(statement).await?;
        row.ok_or_else(|| DbErr::RecordNotFound("catalog_position".to_owned()))?
            .try_get("", "value")
    }
}

impl Reader for ReadTx {
    fn connection(&self) -> &impl ConnectionTrait {
        self.transaction()
    }
}

impl Reader for Tx {
    fn connection(&self) -> &impl ConnectionTrait {
        self.transaction()
    }
}

impl Reader for CatalogTx {
    fn connection(&self) -> &impl ConnectionTrait {
        self.transaction()
    }
}

impl Writer for Tx {}

impl Writer for CatalogTx {}
