//! Connection pool with one queue of callers and time limits for statements. It uses the current server.

mod scripts;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sqlx::{self, ConnectOptions as _, PgPool};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, TransactionOptions, TransactionTrait as _,
};
use tokio::time::{sleep, timeout};

use super::connection_queue::{ConnectionPermit, ConnectionQueue};
use super::hosts::Hosts;
use super::progress::send_write;
use super::statements::{Transaction, is_refusal, is_write};
use super::timeouts::{BEGIN_TIMEOUT, STATEMENT_TIMEOUT, with_timeout};
use crate::timer;

/// Time limit for a caller's attempts to obtain a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(8);
/// Time limit for a server to give the reason why it refuses a connection.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Interval between requests for one more connection, after a server refused connections.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Connection pool. Each statement on it is committed by itself.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    /// `true` if callers take priority.
    is_urgent: bool,
}

#[derive(Debug)]
struct Shared {
    connection: DatabaseConnection,
    queue: Arc<ConnectionQueue>,
    /// `None` on SQLite.
    hosts: Option<Arc<Hosts>>,
    /// Generation of the current server that the pool uses.
    applied_generation: AtomicU64,
}

/// Usage of a pool, for gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    pub open: u32,
    pub idle: u32,
    pub limit: u32,
    /// Number of callers waiting for a connection.
    pub waiting: u32,
    /// Number of connections below the limit that are not requested, because the server refused more.
    pub withheld: u32,
}

impl Pool {
    pub(super) fn new(connection: DatabaseConnection, limit: u32, hosts: Option<Arc<Hosts>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                connection,
                queue: ConnectionQueue::new(limit),
                hosts,
                applied_generation: AtomicU64::new(0),
            }),
            is_urgent: false,
        }
    }

    /// Returns the same pool for callers with priority.
    pub(super) fn urgent(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            is_urgent: true,
        }
    }

    pub(super) fn connection(&self) -> &DatabaseConnection {
        &self.shared.connection
    }

    /// Returns the driver's pool, for a listener that acquires its connection by itself.
    pub(super) fn postgres(&self) -> &PgPool {
        let pool = self.shared.connection.get_postgres_connection_pool();
        self.apply_current_server(pool);
        pool
    }

    pub(super) fn status(&self) -> PoolStatus {
        let (open, idle) = if self.shared.hosts.is_some() {
            let pool = self.shared.connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.shared.connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        };
        PoolStatus {
            open,
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
            limit: self.shared.queue.limit(),
            waiting: self.shared.queue.waiting(),
            withheld: self.shared.queue.withheld(),
        }
    }

    /// Returns `true` if a caller would have to wait for others.
    ///
    /// Returns `false` while the server grants fewer connections than the limit. No other pool would get one, so
    /// callers wait in order in this queue.
    pub(super) fn is_exhausted(&self) -> bool {
        let status = self.status();
        let is_full = status.idle == 0 && status.open >= status.limit;
        status.withheld == 0 && (is_full || status.waiting > 0)
    }

    /// Begins a transaction of the ORM, which runs no scripts on PostgreSQL.
    pub(super) async fn begin_orm(&self, options: TransactionOptions) -> Result<Transaction, DbErr> {
        let begin = || self.shared.connection.begin_with_options(options);
        let begin = || Box::pin(with_timeout(BEGIN_TIMEOUT, begin()));
        let (transaction, permit) = Box::pin(self.with_connection(begin)).await?;
        Ok(Transaction::of_orm(transaction, permit))
    }

    async fn run_statement<T, F>(&self, is_write: bool, statement: impl Fn() -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let sent = is_write.then(send_write);
        let done = self
            .with_connection(|| with_timeout(STATEMENT_TIMEOUT, statement()))
            .await;
        match done {
            Ok((done, _)) => Ok(done),
            Err(error) => {
                if let Some(sent) = sent
                    && is_refusal(&error)
                {
                    sent.mark_refused();
                }
                Err(error)
            }
        }
    }

    /// Runs an operation that acquires a connection. If the server accepts no more connections, it waits for an
    /// existing one.
    async fn with_connection<T, F>(&self, act: impl Fn() -> F) -> Result<(T, ConnectionPermit), DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let deadline = timer::runtime_now() + CONNECTION_TIMEOUT;
        loop {
            let permit = self.shared.queue.acquire(self.is_urgent).await?;
            if self.shared.hosts.is_some() {
                let pool = self.shared.connection.get_postgres_connection_pool();
                self.apply_current_server(pool);
                self.wait_for_idle(pool).await;
            }
            let error = match act().await {
                Ok(done) => return Ok((done, permit)),
                Err(error) => error,
            };
            let error = self.acquire_error(error).await;
            if !is_connection_limit_error(&error)
                || !self.reduce_limit(permit)
                || timer::runtime_now() >= deadline
            {
                return Err(error);
            }
        }
    }

    /// Admits fewer callers after the server refused a connection. Returns `false` if there is no connection to share.
    fn reduce_limit(&self, permit: ConnectionPermit) -> bool {
        let open = self.status().open;
        let is_withheld = self.shared.queue.shrink(permit, open);
        if is_withheld {
            self.spawn_probe();
        }
        // The last permit is never withheld. Its caller waits for the connection of another caller.
        is_withheld || open > 0
    }

    /// Waits for an idle connection while the server accepts no more connections.
    ///
    /// A connection returns to the pool shortly after its permit. Without this wait, the pool would request another
    /// one.
    async fn wait_for_idle(&self, pool: &PgPool) {
        let deadline = timer::runtime_now() + REASON_TIMEOUT;
        while self.shared.queue.withheld() > 0
            && pool.num_idle() == 0
            && pool.size() >= self.shared.queue.effective_limit()
            && timer::runtime_now() < deadline
        {
            sleep(POLL_INTERVAL).await;
        }
    }

    fn apply_current_server(&self, pool: &PgPool) {
        if let Some(hosts) = &self.shared.hosts {
            hosts.apply_to_pool(pool, &self.shared.applied_generation);
        }
    }

    /// Asks the server for the reason of an acquire timeout, which the pool does not report.
    async fn acquire_error(&self, error: DbErr) -> DbErr {
        let (DbErr::ConnectionAcquire(ConnAcquireErr::Timeout), Some(hosts)) = (&error, &self.shared.hosts)
        else {
            return error;
        };
        match timeout(REASON_TIMEOUT, hosts.connect_options().connect()).await {
            Ok(Err(reason)) => DbErr::Conn(RuntimeErr::SqlxError(reason.into())),
            Ok(Ok(_)) | Err(_) => error,
        }
    }

    /// Probes the server for more connections until the full limit is allowed again.
    fn spawn_probe(&self) {
        let Some(hosts) = self.shared.hosts.clone() else {
            return;
        };
        if !self.shared.queue.try_start_probe() {
            return;
        }
        // If this task is dropped, with its runtime or by a panic, another caller starts a new one.
        let mut probe = ProbeGuard(Arc::downgrade(&self.shared.queue));
        tokio::spawn(async move {
            let mut count = 1;
            loop {
                sleep(PROBE_INTERVAL).await;
                let Some(queue) = probe.0.upgrade() else {
                    return;
                };
                let connection = timeout(PROBE_INTERVAL, hosts.connect_options().connect()).await;
                let is_accepted = matches!(connection, Ok(Ok(_)));
                drop(connection);
                count = if is_accepted { count * 2 } else { 1 };
                if is_accepted && queue.grow(count / 2) == 0 {
                    drop(probe);
                    // A permit may have been withheld in the meantime.
                    if queue.withheld() == 0 || !queue.try_start_probe() {
                        return;
                    }
                    probe = ProbeGuard(Arc::downgrade(&queue));
                }
            }
        });
    }
}

/// Marks the probe for more connections as running until it is dropped.
struct ProbeGuard(Weak<ConnectionQueue>);

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.finish_probe();
        }
    }
}

/// Returns `true` if the server, or a pooler in front of it, accepts no more connections.
fn is_connection_limit_error(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else {
        return false;
    };
    match error.as_ref() {
        sqlx::Error::Database(error) => {
            let code = error.code();
            // PgBouncer has no specific code for this.
            code.as_deref() == Some("53300")
                || code.as_deref() == Some("08P01") && error.message().contains("no more connections")
        }
        _ => false,
    }
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.shared.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run_statement(is_write(&statement.sql), || {
            self.shared.connection.execute_raw(statement.clone())
        })
        .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run_statement(is_write(sql), || self.shared.connection.execute_unprepared(sql))
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run_statement(is_write(&statement.sql), || {
            self.shared.connection.query_one_raw(statement.clone())
        })
        .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run_statement(is_write(&statement.sql), || {
            self.shared.connection.query_all_raw(statement.clone())
        })
        .await
    }

    fn support_returning(&self) -> bool {
        self.shared.connection.support_returning()
    }
}
