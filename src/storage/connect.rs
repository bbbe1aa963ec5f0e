//! Opens a database with the connection options of its backend.

mod file;
pub(super) mod idle;
mod options;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{ConnectOptions, Database, DbErr, RuntimeErr, sqlx};

pub(super) use self::file::DatabaseFile;
pub use self::file::{FileState, create_sqlite, file_state, sqlite_path};
use super::hosts::Hosts;
use super::pool::{Pool, PoolStatus};
use super::turns::TenantTurns;
use super::write::WriteControl;
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
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of a statement of a load, which may need longer to return its first row.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Connection pool of the installation's database.
#[derive(Debug, Clone)]
pub struct Db {
    connection: Pool,
    backend: Backend,
    target: Arc<Target>,
    gate: Option<Arc<Gate>>,
    writes: Arc<WriteControl>,
    reserved: Arc<Reserved>,
    /// `true` if calls through this handle take priority.
    is_urgent: bool,
}

/// Connections for urgent calls while all others are in use, and the write locks of the tenants.
#[derive(Debug)]
pub(super) struct Reserved {
    /// Opens its connections on demand.
    connection: Pool,
    /// Locks for the writers of each tenant's catalog.
    pub(super) tenants: TenantTurns,
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
struct Target {
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

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
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
        _ => return Err(StorageError::Other(unreadable_url())),
    };
    let target = Arc::new(Target {
        url: url.to_owned(),
        settings: settings.into(),
        hosts,
    });
    let limit = target.settings.connections.unwrap_or(usual);
    Db::open(backend, target, Arc::new(writes), limit).await
}

impl Db {
    async fn open(
        backend: Backend,
        target: Arc<Target>,
        writes: Arc<WriteControl>,
        limit: u32,
    ) -> Result<Self, StorageError> {
        let options = target.options(limit, writes.file().cloned());
        let connection = Database::connect(options).await.map_err(without_the_url)?;
        let mut options = target.options(RESERVED_CONNECTIONS, writes.file().cloned());
        options.connect_lazy(true).min_connections(0);
        let reserved = Database::connect(options).await.map_err(without_the_url)?;
        Ok(Self {
            reserved: Arc::new(Reserved {
                connection: Pool::new(reserved, RESERVED_CONNECTIONS, target.hosts.clone()),
                tenants: TenantTurns::default(),
            }),
            is_urgent: false,
            connection: Pool::new(connection, limit, target.hosts.clone()),
            backend,
            target,
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

    /// Returns the connection options of the chosen server; `None` on SQLite.
    pub(super) fn connect_options(&self) -> Option<PgConnectOptions> {
        Some(self.target.hosts.as_ref()?.connect_options())
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
    pub fn has_choice_of_server(&self) -> bool {
        self.target.hosts.as_ref().is_some_and(|hosts| hosts.has_choice())
    }

    /// Monitors the chosen server and fails over to another one. Runs until it is dropped.
    pub async fn watch_server(&self) {
        match &self.target.hosts {
            Some(hosts) => hosts.watch().await,
            None => std::future::pending().await,
        }
    }

    /// Returns the current usage of the pool.
    pub fn pool_status(&self) -> PoolStatus {
        self.connection.status()
    }

    /// Opens a pool with one dedicated connection to the same database, kept open after its first use.
    pub async fn with_own_connection(&self) -> Result<Self, StorageError> {
        Self::open(self.backend, self.target.clone(), self.writes.clone(), 1).await
    }

    /// Returns the same pool behind a closed gate, for a database whose schema is unchecked.
    ///
    /// Until the gate opens, every call except [`Db::close`] fails with [`StorageError::Unavailable`].
    pub async fn behind_gate(&self) -> Result<(Self, Arc<Gate>), StorageError> {
        let mut options = self.target.options(1, None);
        options.connect_lazy(true);
        let closed = Database::connect(options).await.map_err(without_the_url)?;
        closed.clone().close().await?;
        let gate = Arc::new(Gate {
            is_open: AtomicBool::new(false),
            closed: Pool::new(closed, 1, self.target.hosts.clone()),
        });
        Ok((self.behind(&gate), gate))
    }

    /// Returns the same pool behind an existing gate.
    #[must_use]
    pub fn behind(&self, gate: &Arc<Gate>) -> Self {
        Self {
            gate: Some(gate.clone()),
            ..self.clone()
        }
    }

    /// Returns the same handle with a new dedicated connection, because the old one may be half open.
    pub async fn reopen(&self) -> Result<Self, StorageError> {
        Ok(Self {
            gate: self.gate.clone(),
            ..self.with_own_connection().await?
        })
    }

    /// Runs a short statement and cancels it if the answer exceeds the time limit.
    pub async fn within_look<T>(
        &self,
        look: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        within(LOOK_TIMEOUT, look).await
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

    pub(super) fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// Closes the pool after the connections in use are returned.
    pub async fn close(self) -> Result<(), StorageError> {
        self.reserved.connection.connection().clone().close().await?;
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
    pub(super) fn pool_of_writer(&self) -> &Pool {
        self.pool_for(self.is_urgent || self.backend == Backend::Sqlite)
    }

    fn pool_for(&self, is_urgent: bool) -> &Pool {
        match &self.gate {
            Some(gate) if !gate.is_open.load(Ordering::Acquire) => &gate.closed,
            _ if is_urgent && self.connection.is_exhausted() => &self.reserved.connection,
            _ => &self.connection,
        }
    }
}

impl Target {
    fn options(&self, limit: u32, file: Option<Arc<DatabaseFile>>) -> ConnectOptions {
        match &self.hosts {
            Some(hosts) => options::postgres(hosts, limit),
            None => options::sqlite(&self.url, self.settings.durability, limit, file),
        }
    }
}

/// Runs a statement of a load and cancels it if the answer or the next row exceeds the time limit.
pub(super) async fn within_load<T>(
    statement: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    within(LOAD_TIMEOUT, statement).await
}

async fn within<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    tokio::time::timeout(limit, statement)
        .await
        .unwrap_or_else(|_| Err(StorageError::no_answer(limit)))
}

/// Removes the URL from an error. The ORM repeats an unreadable URL, which may contain a password.
fn without_the_url(error: DbErr) -> DbErr {
    match error {
        DbErr::Conn(RuntimeErr::Internal(_)) => unreadable_url(),
        DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(*error, sqlx::Error::Configuration(_)) => {
            unreadable_url()
        }
        error => error,
    }
}

fn unreadable_url() -> DbErr {
    DbErr::Custom(
        "the database URL must have the form sqlite:///path/slipway.db or postgres://user:password@host/database"
            .to_owned(),
    )
}
