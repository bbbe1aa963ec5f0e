//! Transactions: for reads of one consistent state, for writes, and for writes that checks depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryResult, QuerySelect, QueryTrait, Statement,
    TransactionOptions,
};
use tokio::time::timeout;

use super::authority::{Authority, CredentialLock};
use super::connect::{Backend, Db, LOAD_TIMEOUT, LOCK_TIMEOUT, with_load_timeout};
use super::effective_releases::ChangedApp;
use super::entity::catalog_revision;
use super::reader::Connection;
use super::revisions::{
    advance_app, advance_tenant, draw_position, has_current_flags, read_revision, record_changes,
};
use super::script::{CollectedOutput, Command, ScriptOutput};
use super::statements::{QueuedWrite, Transaction};
use super::unavailability::{Cause, Unavailability};
use super::write::WriteTransaction;
use super::writer_lock::{PriorityGuard, PriorityMutex};
use super::{Reader, StorageError, Writer};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{AppId, TenantId, UserId};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::Identifier;

/// The idle limit is that of a load, which compiles the rows of a large tenant between two reads and blocks no writer.
const BEGIN_READ_SQL: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
     SET LOCAL idle_in_transaction_session_timeout = '60s'";

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

/// Content of an app that a transaction has changed.
#[derive(Debug, Default)]
struct ChangedContent {
    is_row_changed: bool,
    resources: BTreeSet<Identifier>,
    /// Resources whose effective releases may have changed.
    flags: BTreeSet<Identifier>,
}

/// Write transaction for data that checks of one tenant depend on. Its commit always advances the tenant's revision.
///
/// Rolls back when dropped without [`CatalogTx::commit`].
#[derive(Debug)]
pub struct CatalogTx {
    tx: WriteTransaction,
    scope: TenantScope,
    changed_apps: Mutex<BTreeMap<AppId, ChangedContent>>,
    /// Confirmed before the commit.
    authority: Authority,
    /// Released after the transaction has ended, because fields are dropped in this order.
    _lock: CatalogLock,
}

impl Db {
    pub async fn begin_read(&self) -> Result<ReadTx, StorageError> {
        let pool = self.pool();
        with_load_timeout(async {
            Ok(ReadTx(match self.backend() {
                // Its transactions read one snapshot anyway.
                Backend::Sqlite => pool.begin_orm(TransactionOptions::default()).await?,
                Backend::Postgres => pool.begin_postgres(BEGIN_READ_SQL).await?,
            }))
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
        tx.authority
            .confirm(tx.transaction(), CredentialLock::None)
            .await?;
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
        authority
            .confirm(tx.transaction(), CredentialLock::Exclusive(other))
            .await?;
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
        let connection = tx.connection();
        let backend = connection.get_database_backend();
        let mut confirmation = authority.confirmation(backend, CredentialLock::None);
        let mut commands = vec![Command::Query(lock_catalog(backend, scope.tenant()))];
        commands.append(&mut confirmation.commands);
        let results = connection.run(commands).await?;
        confirmation.judge(results.into_iter().skip(1))?;
        Ok(CatalogTx {
            _lock: lock,
            tx,
            scope,
            changed_apps: Mutex::default(),
            authority,
        })
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
fn lock_catalog(backend: DbBackend, tenant: TenantId) -> Statement {
    catalog_revision::Entity::find_by_id(tenant.get())
        .lock_exclusive()
        .build(backend)
}

impl ReadTx {
    pub(super) fn transaction(&self) -> &Transaction {
        &self.0
    }

    /// Returns the rows of queries that are sent in one round trip.
    pub(super) async fn load<const N: usize>(
        &self,
        queries: [Statement; N],
    ) -> Result<[Vec<QueryResult>; N], StorageError> {
        let mut output = CollectedOutput::default();
        self.load_into(queries.into(), &mut output).await?;
        let rows: Vec<_> = output
            .into_results()
            .into_iter()
            .map(|result| result.rows)
            .collect();
        rows.try_into()
            .map_err(|_| DbErr::Custom("a query of several has no result".to_owned()).into())
    }

    /// Passes the rows of queries to `output` as they arrive.
    pub(super) async fn load_into(
        &self,
        queries: Vec<Statement>,
        output: &mut impl ScriptOutput,
    ) -> Result<(), StorageError> {
        let queries = queries.into_iter().map(Command::Query).collect();
        Ok(self.0.run_into(queries, LOAD_TIMEOUT, output).await?)
    }
}

impl Tx {
    /// Commits the transaction. After [`StorageError::InDoubt`] it may be committed; after any other error it is not.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.authority
            .confirm(self.transaction(), CredentialLock::Shared)
            .await?;
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

    /// Records that the row or a name of the app changes. The app's own revision advances too.
    pub(super) fn mark_app_row_changed(&self, app: AppId) {
        self.changed_apps().entry(app).or_default().is_row_changed = true;
    }

    /// Records that a resource changes. The app's own revision advances too.
    pub(super) fn mark_resource_changed(&self, app: AppId, identifier: &Identifier) {
        let mut apps = self.changed_apps();
        apps.entry(app).or_default().resources.insert(identifier.clone());
    }

    /// Records that releases of a resource may have changed, become effective or become superseded. The app's own
    /// revision advances too.
    pub(super) fn mark_releases_changed(&self, app: AppId, identifier: &Identifier) {
        self.mark_resource_changed(app, identifier);
        let mut apps = self.changed_apps();
        apps.entry(app).or_default().flags.insert(identifier.clone());
    }

    fn changed_apps(&self) -> MutexGuard<'_, BTreeMap<AppId, ChangedContent>> {
        self.changed_apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances the revisions of the changed apps and of the tenant, commits, and returns the tenant's new revision.
    ///
    /// After [`StorageError::InDoubt`] the transaction may be committed; after any other error it is not.
    ///
    /// The position is drawn last. Positions therefore follow the order of commits, except for simultaneous commits.
    /// Catalog sync compares revisions and never uses a position as the end of a read.
    pub async fn commit(self) -> Result<CatalogRevision, StorageError> {
        self.advance_apps_and_confirm().await?;
        let advance = advance_tenant(self.transaction().get_database_backend(), self.tenant_id());
        let advanced = self.tx.commit_with(Command::Query(advance)).await?;
        read_revision(&advanced.rows)
    }

    /// Advances the revisions of the changed apps, computes which of their releases are effective, and confirms the
    /// credential, which is the last read before the commit.
    async fn advance_apps_and_confirm(&self) -> Result<(), StorageError> {
        let apps = std::mem::take(&mut *self.changed_apps());
        let backend = self.transaction().get_database_backend();
        let mut commands = Vec::new();
        let mut advances = Vec::new();
        for (app, content) in &apps {
            let changed = self.changed_app(*app);
            advances.push((commands.len(), changed));
            commands.push(Command::Query(advance_app(
                backend,
                changed,
                content.is_row_changed,
            )));
            let refresh = content
                .flags
                .iter()
                .map(|identifier| changed.refresh(backend, identifier.as_str()));
            commands.extend(refresh.map(Command::Execute));
            let record = record_changes(backend, changed, &content.resources);
            commands.extend(record.into_iter().map(Command::Execute));
        }
        commands.extend(draw_position(backend).map(Command::Execute));
        let mut confirmation = self.authority.confirmation(backend, CredentialLock::Shared);
        let before_confirmation = commands.len();
        commands.append(&mut confirmation.commands);
        let mut results = self.transaction().run(commands).await?;
        confirmation.judge(results.split_off(before_confirmation))?;
        for (index, changed) in advances {
            if has_current_flags(&results[index].rows)? == Some(false) {
                // An older version of the program wrote last.
                changed.refresh_all(self.transaction()).await?;
            }
        }
        Ok(())
    }

    fn changed_app(&self, id: AppId) -> ChangedApp {
        ChangedApp {
            tenant: self.tenant_id(),
            id: id.uuid(),
        }
    }
}
impl Reader for ReadTx {
    fn connection(&self) -> &impl Connection {
        self.transaction()
    }
}

impl Reader for Tx {
    fn connection(&self) -> &impl Connection {
        self.transaction()
    }
}

impl Reader for CatalogTx {
    fn connection(&self) -> &impl Connection {
        self.transaction()
    }
}

impl Writer for Tx {
    fn queue(&self, write: QueuedWrite) {
        self.transaction().queue(write);
    }
}

impl Writer for CatalogTx {
    fn queue(&self, write: QueuedWrite) {
        self.transaction().queue(write);
    }
}
