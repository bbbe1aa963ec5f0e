//! Transactions: for reading one consistent state, for writing, and for writing what checks are answered from.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    AccessMode, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IsolationLevel, QueryFilter, QuerySelect, Statement, TransactionTrait,
};

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::authority::{Authority, Hold};
use super::connect::{Backend, Db, LOCK_TIMEOUT, within_load};
use super::entity::{app, catalog_revision};
use super::etag::random_tag;
use super::statements::Transaction;
use super::turns::{Turn, Turns};
use super::unavailability::{Cause, Unavailability};
use super::write::WriteTransaction;
use super::{StorageError, Stored, users};
use crate::access::{TenantScope, User};
use crate::catalog::ids::{AppId, TenantId, UserId};

/// A load works on what it has read before it reads on, which takes long in a large tenant. It blocks no writer.
const WHILE_COMPILING: &str = "SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Reads one state of the database, whatever is written meanwhile. Ends when dropped.
#[derive(Debug)]
pub struct ReadTx(Transaction);

/// Writes what no check is answered from. Dropped without [`Tx::commit`] it changes nothing.
#[derive(Debug)]
pub struct Tx {
    inner: WriteTransaction,
    /// Checked before the commit.
    authority: Authority,
}

/// Writes what checks of one tenant are answered from, and can only end by advancing the tenant's pair.
///
/// Dropped without [`CatalogTx::commit`] it changes nothing.
#[derive(Debug)]
pub struct CatalogTx {
    tx: WriteTransaction,
    scope: TenantScope,
    backend: Backend,
    touched_apps: Mutex<BTreeSet<AppId>>,
    /// Checked before the commit.
    authority: Authority,
    /// Given back after the transaction has ended: fields are dropped in this order.
    _turn: CatalogTurn,
}

/// Names one state of a tenant's catalog or of an app. Two pairs are compared for difference, never for order: after
/// a failover to a standby that lags behind, a revision may come again, but not with the same head.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CatalogPair {
    pub revision: i64,
    /// 16 lower-case hexadecimal digits, random.
    pub head: String,
}

impl fmt::Display for CatalogPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.revision, self.head)
    }
}

impl Db {
    pub async fn begin_read(&self) -> Result<ReadTx, StorageError> {
        // A transaction of SQLite sees one state anyway, and knows neither setting.
        let (isolation_level, access_mode) = match self.backend() {
            Backend::Postgres => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
            Backend::Sqlite => (None, None),
        };
        let pool = self.pool();
        let begin =
            Box::pin(pool.begin(|| pool.connection().begin_with_config(isolation_level, access_mode)));
        within_load(async {
            let tx = begin.await?;
            if self.backend() == Backend::Postgres {
                tx.execute_unprepared(WHILE_COMPILING).await?;
            }
            Ok(ReadTx(tx))
        })
        .await
    }

    /// Begins a write of the program's own, for which no caller asked.
    pub async fn begin(&self) -> Result<Tx, StorageError> {
        Ok(Tx {
            inner: self.begin_write().await?,
            authority: Authority::Program,
        })
    }

    /// Begins a write in a caller's name. The credential is checked here and before the commit.
    pub async fn begin_as(&self, authority: Authority) -> Result<Tx, StorageError> {
        let tx = Tx {
            authority,
            ..self.begin().await?
        };
        tx.authority.confirm(&tx, Hold::None).await?;
        Ok(tx)
    }

    /// Begins a write that may end or change the caller's own credential. It is locked and checked here; `other` is
    /// another user that is about to change.
    pub async fn begin_on_credentials(
        &self,
        authority: Authority,
        other: Option<UserId>,
    ) -> Result<Tx, StorageError> {
        let tx = self.begin().await?;
        authority.confirm(&tx, Hold::Exclusive(other)).await?;
        Ok(tx)
    }

    /// Begins a write that may end any administrator of the platform. All of them are locked, in the order of their
    /// ids, before the caller's credential is: two callers that locked their own first would wait for each other.
    pub async fn begin_on_administrators(
        &self,
        authority: Authority,
    ) -> Result<(Tx, Vec<Stored<User>>), StorageError> {
        let tx = self.begin().await?;
        let administrators = users::lock_administrators(&tx).await?;
        authority.confirm(&tx, Hold::Exclusive(None)).await?;
        Ok((tx, administrators))
    }

    /// Begins a change of one tenant's catalog.
    ///
    /// Such changes come one after the other in a tenant, from here to the commit, so that a service may read,
    /// decide and write without another changing in between what it has read.
    pub async fn begin_catalog(&self, scope: TenantScope) -> Result<CatalogTx, StorageError> {
        self.begin_catalog_as(scope, Authority::Program).await
    }

    /// The same in a caller's name. The credential is checked once it is this one's turn, and before the commit.
    pub async fn begin_catalog_as(
        &self,
        scope: TenantScope,
        authority: Authority,
    ) -> Result<CatalogTx, StorageError> {
        let turn = self.catalog_turn(scope.tenant()).await?;
        let tx = self.begin_write().await?;
        lock_catalog(tx.connection(), scope.tenant()).await?;
        let tx = CatalogTx {
            _turn: turn,
            tx,
            scope,
            backend: self.backend(),
            touched_apps: Mutex::default(),
            authority,
        };
        tx.authority.confirm(&tx, Hold::None).await?;
        Ok(tx)
    }
}

/// A turn of the tenant's writers in this process, with what keeps their order.
type CatalogTurn = Option<(Turn, Arc<Turns>)>;

impl Db {
    /// Waits for the tenant's other writers here rather than on a connection each. SQLite's writers take turns anyway.
    /// Urgent writers meet the others at the lock of the tenant's row alone: whoever has the turn may still wait for a
    /// connection, of which urgent writers have their own.
    async fn catalog_turn(&self, tenant: TenantId) -> Result<CatalogTurn, StorageError> {
        if self.backend() == Backend::Sqlite || self.is_urgent() {
            return Ok(None);
        }
        let turns = self.reserved().tenants.of(tenant);
        let turn = timeout(LOCK_TIMEOUT, turns.take(false)).await;
        let turn = turn.map_err(|_| {
            let why = format!("no turn to write within {} s", LOCK_TIMEOUT.as_secs());
            Unavailability::new(Cause::Locked, DbErr::Custom(why))
        })?;
        Ok(Some((turn, turns)))
    }
}

/// Waits for the tenant's other catalog transaction. SQLite has only one writer anyway and ignores the lock. A new
/// tenant has no row yet; two that create the same one meet at its primary key.
///
/// The isolation must stay READ COMMITTED: statements after the wait then see what the other one committed.
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
    /// Keeps what was written. It may have been kept after [`StorageError::InDoubt`], and after no other error.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.authority.confirm(&self, Hold::Shared).await?;
        self.inner.commit().await
    }

    pub(super) const fn transaction(&self) -> &Transaction {
        self.inner.connection()
    }
}

impl CatalogTx {
    /// The tenant that is written to; the storage functions take it from here.
    pub const fn scope(&self) -> TenantScope {
        self.scope
    }

    pub(super) const fn tenant_id(&self) -> i64 {
        self.scope.tenant().get()
    }

    pub(super) const fn transaction(&self) -> &Transaction {
        self.tx.connection()
    }

    /// Notes that the app's own pair must advance too.
    pub(super) fn touch_app(&self, app: AppId) {
        self.touched_apps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(app);
    }

    /// Advances the pairs of the touched apps and of the tenant, and keeps what was written. Returns the tenant's
    /// new pair. It may have been kept after [`StorageError::InDoubt`], and after no other error.
    ///
    /// The position is drawn last, so it is the order of commits but for transactions that commit at the same
    /// moment; who follows the catalog therefore compares pairs and takes no position for an end of what to read.
    pub async fn commit(self) -> Result<CatalogPair, StorageError> {
        self.authority.confirm(&self, Hold::Shared).await?;
        self.advance_apps().await?;
        let pair = self.advance_tenant().await?;
        self.tx.commit().await?;
        Ok(pair)
    }

    async fn advance_apps(&self) -> Result<(), StorageError> {
        let apps = self
            .touched_apps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for id in apps {
            app::Entity::update_many()
                .col_expr(app::Column::Revision, Expr::col(app::Column::Revision).add(1))
                .col_expr(app::Column::Head, Expr::value(random_tag()))
                .filter(app::Column::TenantId.eq(self.tenant_id()))
                .filter(app::Column::Id.eq(id.uuid()))
                .exec(self.transaction())
                .await?;
        }
        Ok(())
    }

    async fn advance_tenant(&self) -> Result<CatalogPair, StorageError> {
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
        Ok(CatalogPair {
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
