//! Opens a database with the connection options of its backend.

mod options;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{ConnectOptions, Database, DbErr, RuntimeErr, sqlx};

use super::database_file::DatabaseFile;
pub use super::database_file::{FileState, create_sqlite, file_state, sqlite_path};
use super::error::invalid_url;
use super::hosts::Hosts;
use super::pool::{Pool, PoolStatus};
use super::write_control::WriteControl;
use super::writer_lock::TenantLocks;
use super::{StorageError, postgres_url};

/// Time limit for waiting on a lock that another transaction holds. On SQLite this is the database's write lock.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_CONNECTIONS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
/// Connections reserved for urgent calls: authentication of writers, stopping offers, revocation of credentials.
const RESERVED_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time limit of a statement that polls for changes.
///
/// Without a limit, a half-open connection would block a node for minutes.
const POLL_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of a statement of a load, which may need longer to return its first row.
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Connection pool of the installation's database.
#[derive(Debug, Clone)]
pub struct Db {
    connection: Pool,
    backend: Backend,
    location: Arc<DatabaseLocation>,
    gate: Option<Arc<Gate>>,
    writes: Arc<WriteControl>,
    urgent_resources: Arc<UrgentResources>,
    /// `true` if calls through this handle take priority.
    is_urgent: bool,
}

/// Connections for urgent calls while all others are in use, and the write locks of the tenants.
#[derive(Debug)]
pub(super) struct UrgentResources {
    /// Opens its connections on demand.
    connection: Pool,
    /// Locks for the writers of each tenant's catalog.
    pub(super) tenants: TenantLocks,
}

/// Gate that blocks statements until the database may be used.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    /// A closed pool, on which every call fails as unavailable.
    closed: Pool,
}

impl Gate {
    /// Opens the gate for all statements.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }
}

/// Location of the database. The URL may contain a password.
struct DatabaseLocation {
    url: String,
    settings: ConnectSettings,
    /// `None` on SQLite.
    hosts: Option<Arc<Hosts>>,
}

/// Durability and pool size of a database.
#[derive(Debug, Clone, Copy)]
pub struct ConnectSettings {
    pub durability: Durability,
    /// Maximum size of the pool; `None` selects the default of the backend.
    pub connections: Option<u32>,
}

impl From<Durability> for ConnectSettings {
    fn from(durability: Durability) -> Self {
        Self {
            durability,
            connections: None,
        }
    }
}

impl fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseLocation").finish_non_exhaustive()
    }
}

/// Database system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Durability of a commit on SQLite. On PostgreSQL, the server's configuration determines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit survives a power cut.
    Full,
    /// A commit survives the end of the process but may be lost in a power cut. For demos and tests.
    Relaxed,
}

/// Opens the database at a `sqlite:` or `postgres:` URL. A SQLite file must already exist; see [`create_sqlite`].
///
/// Does not wait for PostgreSQL, because a node must be able to start without it. [`Db::ping`] checks that it responds.
pub async fn connect(url: &str, settings: impl Into<ConnectSettings>) -> Result<Db, StorageError> {
    let (backend, hosts, writes, usual) = match url.split_once(':') {
        Some(("sqlite", _)) => {
            let file = match sqlite_path(url)? {
                Some(path) => Some(DatabaseFile::open(&path, url).await?),
                None => None,
            };
            (
                Backend::Sqlite,
                None,
                WriteControl::of_sqlite(file),
                SQLITE_CONNECTIONS,
            )
        }
        Some(("postgres" | "postgresql", _)) => {
            let servers = postgres_url::parse(url).map_err(|why| StorageError::Other(DbErr::Custom(why)))?;
            let hosts = Some(Hosts::new(servers).await);
            (
                Backend::Postgres,
                hosts,
                WriteControl::of_postgres(),
                POSTGRES_CONNECTIONS,
            )
        }
        _ => return Err(StorageError::Other(invalid_url())),
    };
    let location = Arc::new(DatabaseLocation {
        url: url.to_owned(),
        settings: settings.into(),
        hosts,
    });
    let limit = location.settings.connections.unwrap_or(usual);
    Db::open(backend, location, Arc::new(writes), limit).await
}

impl Db {
    async fn open(
        backend: Backend,
        location: Arc<DatabaseLocation>,
        writes: Arc<WriteControl>,
        limit: u32,
    ) -> Result<Self, StorageError> {
        let options = location.options(limit, writes.file().cloned());
        let connection = Database::connect(options).await.map_err(redact_url)?;
        let mut options = location.options(RESERVED_CONNECTIONS, writes.file().cloned());
        options.connect_lazy(true).min_connections(0);
        let reserved = Database::connect(options).await.map_err(redact_url)?;
        Ok(Self {
            urgent_resources: Arc::new(UrgentResources {
                connection: Pool::new(reserved, RESERVED_CONNECTIONS, location.hosts.clone()),
                tenants: TenantLocks::default(),
            }),
            is_urgent: false,
            connection: Pool::new(connection, limit, location.hosts.clone()),
            backend,
            location,
            gate: None,
            writes,
        })
    }

    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Checks that the database responds.
    pub async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.pool().connection().ping().await?)
    }

    /// Returns the connection options of the current server; `None` on SQLite.
    pub(super) fn connect_options(&self) -> Option<PgConnectOptions> {
        Some(self.location.hosts.as_ref()?.connect_options())
    }

    /// Checks that PostgreSQL currently accepts two more connections.
    ///
    /// Each connection is requested once, and both are closed again. A connection that is held while waiting for
    /// another one would be missing elsewhere.
    pub(super) async fn require_two_connections(&self) -> Result<(), sqlx::Error> {
        let Some(options) = self.connect_options() else {
            return Ok(());
        };
        let connect = async || {
            let connection: Result<PgConnection, _> =
                tokio::time::timeout(POSTGRES_CONNECT_TIMEOUT, options.connect())
                    .await
                    .unwrap_or(Err(sqlx::Error::PoolTimedOut));
            connection
        };
        let first = connect().await?;
        let second = connect().await?;
        // Until both are closed, the server might refuse the next connection.
        let _ = tokio::join!(first.close(), second.close());
        Ok(())
    }

    /// Returns `true` if the URL lists several servers, or has a requirement that a server may stop meeting.
    pub fn has_failover(&self) -> bool {
        self.location
            .hosts
            .as_ref()
            .is_some_and(|hosts| hosts.has_failover())
    }

    /// Monitors the current server and fails over to another one. Runs until it is dropped.
    pub async fn monitor_server(&self) {
        match &self.location.hosts {
            Some(hosts) => hosts.monitor().await,
            None => std::future::pending().await,
        }
    }

    /// Returns the current usage of the pool.
    pub fn pool_status(&self) -> PoolStatus {
        self.connection.status()
    }

    /// Opens a pool with one dedicated connection to the same database, kept open after its first use.
    pub async fn open_dedicated(&self) -> Result<Self, StorageError> {
        Self::open(self.backend, self.location.clone(), self.writes.clone(), 1).await
    }

    /// Returns the same pool behind a closed gate, for a database whose schema is unchecked.
    ///
    /// Until the gate opens, every call except [`Db::close`] fails with [`StorageError::Unavailable`].
    pub async fn with_closed_gate(&self) -> Result<(Self, Arc<Gate>), StorageError> {
        let mut options = self.location.options(1, None);
        options.connect_lazy(true);
        let closed = Database::connect(options).await.map_err(redact_url)?;
        closed.clone().close().await?;
        let gate = Arc::new(Gate {
            is_open: AtomicBool::new(false),
            closed: Pool::new(closed, 1, self.location.hosts.clone()),
        });
        Ok((self.with_gate(&gate), gate))
    }

    /// Returns the same pool behind an existing gate.
    #[must_use]
    pub fn with_gate(&self, gate: &Arc<Gate>) -> Self {
        Self {
            gate: Some(gate.clone()),
            ..self.clone()
        }
    }

    /// Returns the same handle with a new dedicated connection, because the old one may be half open.
    pub async fn reopen(&self) -> Result<Self, StorageError> {
        Ok(Self {
            gate: self.gate.clone(),
            ..self.open_dedicated().await?
        })
    }

    /// Runs a short statement and cancels it if the answer exceeds the time limit.
    pub async fn with_poll_timeout<T>(
        &self,
        statement: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        with_answer_timeout(POLL_TIMEOUT, statement).await
    }

    /// Returns a handle for urgent calls, with reserved connections and priority over other calls.
    #[must_use]
    pub fn urgent(&self) -> Self {
        Self {
            is_urgent: true,
            connection: self.connection.urgent(),
            ..self.clone()
        }
    }

    pub(super) const fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    pub(super) fn urgent_resources(&self) -> &UrgentResources {
        &self.urgent_resources
    }

    /// Closes the pool after the connections in use are returned.
    pub async fn close(self) -> Result<(), StorageError> {
        self.urgent_resources
            .connection
            .connection()
            .clone()
            .close()
            .await?;
        self.connection.connection().clone().close().await?;
        match self.writes.file() {
            Some(file) => file.close().await,
            None => Ok(()),
        }
    }

    /// Returns the path of the database file; `None` on PostgreSQL and for a database in memory.
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.writes.file().map(|file| file.path())
    }

    pub(super) const fn writes(&self) -> &Arc<WriteControl> {
        &self.writes
    }

    pub(super) fn pool(&self) -> &Pool {
        self.pool_for(self.is_urgent)
    }

    /// Returns the pool for a writer.
    ///
    /// On SQLite a writer holds the write lock. It must not wait for readers, because urgent writers may wait for that
    /// lock.
    pub(super) fn writer_pool(&self) -> &Pool {
        self.pool_for(self.is_urgent || self.backend == Backend::Sqlite)
    }

    fn pool_for(&self, is_urgent: bool) -> &Pool {
        match &self.gate {
            Some(gate) if !gate.is_open.load(Ordering::Acquire) => &gate.closed,
            _ if is_urgent && self.connection.is_exhausted() => &self.urgent_resources.connection,
            _ => &self.connection,
        }
    }
}

impl DatabaseLocation {
    fn options(&self, limit: u32, file: Option<Arc<DatabaseFile>>) -> ConnectOptions {
        match &self.hosts {
            Some(hosts) => options::postgres(hosts, limit),
            None => options::sqlite(&self.url, self.settings.durability, limit, file),
        }
    }
}

/// Runs a statement of a load and cancels it if the answer or the next row exceeds the time limit.
pub(super) async fn with_load_timeout<T>(
    statement: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    with_answer_timeout(LOAD_TIMEOUT, statement).await
}

async fn with_answer_timeout<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    tokio::time::timeout(limit, statement)
        .await
        .unwrap_or_else(|_| Err(StorageError::no_answer(limit)))
}

/// Removes the URL from an error. The ORM repeats an unreadable URL, which may contain a password.
fn redact_url(error: DbErr) -> DbErr {
    match error {
        DbErr::Conn(RuntimeErr::Internal(_)) => invalid_url(),
        DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(*error, sqlx::Error::Configuration(_)) => {
            invalid_url()
        }
        error => error,
    }
}
