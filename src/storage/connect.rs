//! Opening a database, with the options that each of the two needs.

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

/// Time that a statement waits for a lock that another holds. On SQLite that is the one writer at a time.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_CONNECTIONS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
/// Connections that are kept for what must not wait: authenticating writers, stopping offers, revoking credentials.
const RESERVED_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a statement may take that only looks for changes: a connection that is half open, its other end gone
/// without a word, would otherwise keep a node waiting for minutes.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a statement of a load, which may have more to do until its first row.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A pool of connections to the installation's database.
#[derive(Debug, Clone)]
pub struct Db {
    connection: Pool,
    backend: Backend,
    target: Arc<Target>,
    gate: Option<Arc<Gate>>,
    writes: Arc<WriteControl>,
    reserved: Arc<Reserved>,
    /// True if this goes before others.
    is_urgent: bool,
}

/// What urgent calls have when the others have taken every connection, and the turns that they take before others.
#[derive(Debug)]
pub(super) struct Reserved {
    /// Its connections are made when they are needed.
    connection: Pool,
    /// Writers of one tenant's catalog.
    pub(super) tenants: TenantTurns,
}

/// Keeps statements away from a database that may not be used yet.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    /// A closed pool, which answers everything with "unavailable".
    closed: Pool,
}

impl Gate {
    /// Lets statements through from now on.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }
}

/// Where the database is. Its URL may hold a password.
struct Target {
    url: String,
    settings: ConnectSettings,
    /// `None` on SQLite.
    hosts: Option<Arc<Hosts>>,
}

/// How a database is used.
#[derive(Debug, Clone, Copy)]
pub struct ConnectSettings {
    pub durability: Durability,
    /// The most that the pool has; `None`: as is usual for the database.
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

/// Which of the two databases it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// What a commit means on SQLite. PostgreSQL's own configuration says it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit survives a power cut.
    Full,
    /// A commit survives the end of the process, but may be lost in a power cut. For demos and tests.
    Relaxed,
}

/// Opens the database at a `sqlite:` or `postgres:` URL. A SQLite file must be there; see [`create_sqlite`].
///
/// Does not wait for PostgreSQL: a node must be able to start without it. [`Db::ping`] says whether it is there.
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

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.pool().connection().ping().await?)
    }

    /// How to connect to the chosen server; `None` on SQLite.
    pub(super) fn connect_options(&self) -> Option<PgConnectOptions> {
        Some(self.target.hosts.as_ref()?.connect_options())
    }

    /// Proves that PostgreSQL gives two further connections at this moment. Neither is asked for twice, and both are
    /// closed again: what is held while it waits for more is missing elsewhere.
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
        // Without waiting for their ends, the next connection might still be refused.
        let _ = tokio::join!(first.close(), second.close());
        Ok(())
    }

    /// True if the URL has several servers, or demands what one may cease to be.
    pub fn has_choice_of_server(&self) -> bool {
        self.target.hosts.as_ref().is_some_and(|hosts| hosts.has_choice())
    }

    /// Follows the server that takes writes, until it is dropped.
    pub async fn watch_server(&self) {
        match &self.target.hosts {
            Some(hosts) => hosts.watch().await,
            None => std::future::pending().await,
        }
    }

    /// What the pool has at the moment.
    pub fn pool_status(&self) -> PoolStatus {
        self.connection.status()
    }

    /// One connection to the same database that nobody else uses, kept from its first use on.
    pub async fn with_own_connection(&self) -> Result<Self, StorageError> {
        Self::open(self.backend, self.target.clone(), self.writes.clone(), 1).await
    }

    /// The same pool behind a gate: until it is opened, everything but [`Db::close`] is
    /// [`StorageError::Unavailable`]. For a database whose schema has not been checked yet.
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

    /// The same pool behind a gate that another has too.
    #[must_use]
    pub fn behind(&self, gate: &Arc<Gate>) -> Self {
        Self {
            gate: Some(gate.clone()),
            ..self.clone()
        }
    }

    /// The same with a new connection of its own: the old one may be half open.
    pub async fn reopen(&self) -> Result<Self, StorageError> {
        Ok(Self {
            gate: self.gate.clone(),
            ..self.with_own_connection().await?
        })
    }

    /// Gives a short statement up that is not answered in time.
    pub async fn within_look<T>(
        &self,
        look: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        within(LOOK_TIMEOUT, look).await
    }

    /// The same database for what must not wait behind other work: through connections of its own, and first in turn.
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

    /// Closes the pool once the connections in use are back.
    pub async fn close(self) -> Result<(), StorageError> {
        self.reserved.connection.connection().clone().close().await?;
        self.connection.connection().clone().close().await?;
        match self.writes.file() {
            Some(file) => file.close().await,
            None => Ok(()),
        }
    }

    /// The file that holds the database; `None` for PostgreSQL.
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.writes.file().map(|file| file.path())
    }

    pub(super) const fn writes(&self) -> &Arc<WriteControl> {
        &self.writes
    }

    pub(super) fn pool(&self) -> &Pool {
        self.pool_for(self.is_urgent)
    }

    /// Who has the turn to write on SQLite must not wait for readers: urgent writers may wait for its end.
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

/// Gives a statement of a load up that is not answered in time, or whose next row does not come.
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

/// The ORM repeats a URL that it cannot read, with the password that it may hold.
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
        "the database URL must be like sqlite:///path/slipway.db or postgres://user:password@host/database"
            .to_owned(),
    )
}
