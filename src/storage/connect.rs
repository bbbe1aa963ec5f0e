//! Opening a database, with the options that each of the two needs.

mod file;
mod idle;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr, sqlx};

pub(super) use self::file::DatabaseFile;
pub use self::file::{FileState, create_sqlite, file_state, sqlite_path};
use super::StorageError;
use super::write::WriteControl;

/// How long a statement waits for a lock that another holds. On SQLite that is the one writer at a time.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const POSTGRES_LOCK_TIMEOUT_MS: &str = "5000";
const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_CONNECTIONS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
const POSTGRES_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POSTGRES_STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// A node that hangs in a transaction must not stop the tenant's other writers for longer than this.
const POSTGRES_IDLE_TRANSACTION_TIMEOUT_MS: &str = "60000";

/// How long a statement may take that only looks for changes: a connection that is half open, its other end gone
/// without a word, would otherwise keep a node waiting for minutes.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a statement of a load, which may have more to do until its first row.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A pool of connections to the installation's database.
#[derive(Debug, Clone)]
pub struct Db {
    connection: DatabaseConnection,
    backend: Backend,
    target: Arc<Target>,
    gate: Option<Arc<Gate>>,
    writes: Arc<WriteControl>,
}

/// Keeps statements away from a database that may not be used yet.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    /// A closed pool, which answers everything with "unavailable".
    closed: DatabaseConnection,
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
    durability: Durability,
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
pub async fn connect(url: &str, durability: Durability) -> Result<Db, StorageError> {
    let (backend, options) = match url.split_once(':') {
        Some(("sqlite", _)) => return connect_sqlite(url, durability).await,
        Some(("postgres" | "postgresql", _)) => (Backend::Postgres, postgres_options(url)),
        _ => return Err(StorageError::Other(unreadable_url())),
    };
    let connection = Database::connect(options).await.map_err(without_the_url)?;
    Ok(Db {
        connection,
        backend,
        target: Arc::new(Target {
            url: url.to_owned(),
            durability,
        }),
        gate: None,
        writes: Arc::new(WriteControl::of_postgres()),
    })
}

async fn connect_sqlite(url: &str, durability: Durability) -> Result<Db, StorageError> {
    let file = match sqlite_path(url)? {
        Some(path) => Some(DatabaseFile::open(&path, url).await?),
        None => None,
    };
    let writes = Arc::new(WriteControl::of_sqlite(file));
    connect_sqlite_again(url, durability, writes).await
}

/// Opens a pool on a file that is watched already.
async fn connect_sqlite_again(
    url: &str,
    durability: Durability,
    writes: Arc<WriteControl>,
) -> Result<Db, StorageError> {
    let options = sqlite_options(url, durability, writes.file().cloned());
    let connection = Database::connect(options).await.map_err(without_the_url)?;
    Ok(Db {
        connection,
        backend: Backend::Sqlite,
        target: Arc::new(Target {
            url: url.to_owned(),
            durability,
        }),
        gate: None,
        writes,
    })
}

impl Db {
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.pool().ping().await?)
    }

    /// The same pool behind a gate: until it is opened, everything but [`Db::close`] is
    /// [`StorageError::Unavailable`]. For a database whose schema has not been checked yet.
    pub async fn behind_gate(&self) -> Result<(Self, Arc<Gate>), StorageError> {
        let Target { url, durability } = &*self.target;
        let mut options = match self.backend {
            Backend::Sqlite => sqlite_options(url, *durability, None),
            Backend::Postgres => postgres_options(url),
        };
        options.connect_lazy(true);
        let closed = Database::connect(options).await.map_err(without_the_url)?;
        closed.clone().close().await?;
        let gate = Arc::new(Gate {
            is_open: AtomicBool::new(false),
            closed,
        });
        let gated = Self {
            gate: Some(gate.clone()),
            ..self.clone()
        };
        Ok((gated, gate))
    }

    /// A new pool to the same database: the old one's connections may all be half open.
    pub async fn reopen(&self) -> Result<Self, StorageError> {
        let Target { url, durability } = &*self.target;
        match self.backend {
            Backend::Sqlite => connect_sqlite_again(url, *durability, self.writes.clone()).await,
            Backend::Postgres => connect(url, *durability).await,
        }
    }

    /// Gives a short statement up that is not answered in time.
    pub async fn within_look<T>(
        &self,
        look: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        within(LOOK_TIMEOUT, look).await
    }

    /// Closes the pool once the connections in use are back.
    pub async fn close(self) -> Result<(), StorageError> {
        self.connection.close().await?;
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

    pub(super) fn pool(&self) -> &DatabaseConnection {
        match &self.gate {
            Some(gate) if !gate.is_open.load(Ordering::Acquire) => &gate.closed,
            _ => &self.connection,
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

fn sqlite_options(url: &str, durability: Durability, file: Option<Arc<DatabaseFile>>) -> ConnectOptions {
    let synchronous = match durability {
        Durability::Full => SqliteSynchronous::Full,
        Durability::Relaxed => SqliteSynchronous::Normal,
    };
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        // One connection, the ORM's default, deadlocks when the pool is used beside an open transaction.
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(SQLITE_ACQUIRE_TIMEOUT)
        // The proof below asks the connection more than that.
        .test_before_acquire(false)
        .map_sqlx_sqlite_pool_opts(move |pool| {
            let file = file.clone();
            // Nothing but a fault makes a new connection better than an old one, which has the right file open.
            pool.max_lifetime(None)
                .idle_timeout(None)
                .after_connect(move |_, _| {
                    let found = file.as_ref().map_or(Ok(()), |file| file.check_now());
                    Box::pin(async move { found.map_err(|why| sqlx::Error::Configuration(why.into())) })
                })
                .before_acquire(|connection, _| Box::pin(idle::prove_sqlite(connection)))
                .after_release(|connection, _| Box::pin(idle::prove_sqlite(connection)))
        })
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(false)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .busy_timeout(LOCK_TIMEOUT)
                .foreign_keys(true)
        });
    options
}

fn postgres_options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .connect_lazy(true)
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(POSTGRES_CONNECT_TIMEOUT)
        .set_application_name("slipway")
        .statement_timeout(POSTGRES_STATEMENT_TIMEOUT)
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_release(|connection, _| Box::pin(idle::prove_postgres(connection)))
        })
        .map_sqlx_postgres_opts(|postgres| {
            postgres.options([
                (
                    "idle_in_transaction_session_timeout",
                    POSTGRES_IDLE_TRANSACTION_TIMEOUT_MS,
                ),
                ("lock_timeout", POSTGRES_LOCK_TIMEOUT_MS),
            ])
        });
    options
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
