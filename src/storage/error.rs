//! What can go wrong with the database, told apart by what the caller can do about it.
//!
//! The only reader of the ORM's errors: the two databases word the same clash differently.

use std::fmt;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

use super::unavailability::{Cause, Unavailability};

/// Why something was not read or written. After any of these the transaction must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another row has it already.
    #[error("the {0} is taken")]
    Conflict(UniqueKey),
    /// What the row refers to is not there (any more), or still referred to.
    #[error("a row refers to one that does not exist")]
    BrokenReference,
    /// The row is no longer what the caller read: changed or deleted meanwhile.
    #[error("the row was changed or deleted meanwhile")]
    Changed,
    /// The reservation of an idempotency key ran out, and another request has it now.
    #[error("the idempotency key is no longer reserved by this request")]
    ReservationLost,
    /// The credential of the caller was deleted or changed while the request was under way.
    #[error("the credential in whose name this was to be written is no longer valid")]
    CredentialEnded,
    /// The caller's tenant was disabled while the request was under way.
    #[error("the tenant in whose name this was to be written is disabled")]
    TenantDisabled,
    /// A stored value that the program does not understand.
    #[error("{table} {id}: {column} {reason}")]
    CorruptRow {
        table: &'static str,
        column: &'static str,
        id: String,
        reason: String,
    },
    /// The database was migrated by a newer program.
    #[error(
        "the database has migrations that this version of Slipway does not know ({0}): run the newer Slipway that \
         made them, or restore a backup from before the upgrade"
    )]
    NewerSchema(String),
    /// Its transactions have no session of their own.
    #[error(
        "the database URL leads to a pooler that keeps no session for a connection (PgBouncer's pool_mode transaction or \
         statement): set pool_mode = session for Slipway's database, or connect to PostgreSQL itself; \
         SLIPWAY_DATABASE_CONNECTIONS bounds the connections of a node"
    )]
    TransactionPooler,
    /// The cursor of a list is none that a page of it gave.
    #[error("the cursor is none that this list gave")]
    BadCursor,
    /// The database cannot be used for the moment; the same may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Unavailability),
    /// The connection was lost after COMMIT was sent: the transaction may have been committed.
    #[error("the connection was lost during a commit")]
    InDoubt(#[source] DbErr),
    #[error("the database refused a statement")]
    Other(#[source] DbErr),
}

/// What must be unique, by the word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueKey {
    TenantId,
    /// A current or an old name of an app, in its tenant.
    PackageName,
    Resource,
    /// A version code among the releases of a resource that are not discarded.
    VersionCode,
    Username,
    AppKey,
}

impl UniqueKey {
    /// The constraint on PostgreSQL, and the columns that SQLite's message names.
    const fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::TenantId => ("tenants_pkey", "tenants.id"),
            Self::PackageName => (
                "package_names_pkey",
                "package_names.tenant_id, package_names.name",
            ),
            Self::Resource => (
                "resources_pkey",
                "resources.tenant_id, resources.app_id, resources.identifier",
            ),
            Self::VersionCode => (
                "releases_version_key",
                "releases.tenant_id, releases.app_id, releases.identifier, releases.version_code",
            ),
            Self::Username => ("users_username_key", "users.username"),
            Self::AppKey => ("app_keys_app_key_key", "app_keys.app_key"),
        }
    }

    /// Whether this is the key that a write clashed with. PostgreSQL's messages are in the server's language, so its
    /// constraint is asked for.
    fn is_clashed_with(self, error: &DbErr, message: &str) -> bool {
        let (constraint, columns) = self.marks();
        match database_error(error).and_then(|error| error.constraint()) {
            Some(name) => name == constraint,
            None => message.contains(columns),
        }
    }
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error()
        }
        _ => None,
    }
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TenantId => "tenant id",
            Self::PackageName => "package name",
            Self::Resource => "resource identifier",
            Self::VersionCode => "version code",
            Self::Username => "username",
            Self::AppKey => "app key",
        })
    }
}

impl StorageError {
    /// The database gave no answer within a time.
    pub fn no_answer(limit: Duration) -> Self {
        let message = format!("no answer within {} s", limit.as_secs());
        Unavailability::new(Cause::Away, DbErr::Custom(message)).into()
    }

    /// For a write that can hit `key`.
    pub(super) fn on_writing(key: UniqueKey) -> impl Fn(DbErr) -> Self {
        move |error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(message)) if key.is_clashed_with(&error, &message) => {
                Self::Conflict(key)
            }
            _ => Self::from(error),
        }
    }
}

impl StorageError {
    /// For a COMMIT: where the answer did not arrive, nobody knows whether it was done.
    pub(super) fn on_commit(error: DbErr) -> Self {
        if is_without_answer(&error) {
            count("in_doubt");
            return Self::InDoubt(error);
        }
        Self::from(error)
    }
}

impl StorageError {
    /// True if the same may succeed later. What is in doubt may have been done, so it is only for writes that can be
    /// repeated.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InDoubt(_))
    }

    /// True if the database said that it did not do what was asked.
    pub(super) fn is_refusal(error: &DbErr) -> bool {
        !is_without_answer(error)
    }
}

fn is_without_answer(error: &DbErr) -> bool {
    // 57P01 to 57P03 end the connection of a server that stops, perhaps after the commit; 08 says that it broke.
    database_error(error).is_none_or(|error| {
        error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
    })
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        match error {
            DbErr::RecordNotUpdated => Self::Changed,
            error if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) => {
                Self::BrokenReference
            }
            error => match Unavailability::read(error) {
                Ok(unavailability) => Self::from(unavailability),
                Err(error) => {
                    count("other");
                    Self::Other(error)
                }
            },
        }
    }
}

impl From<Unavailability> for StorageError {
    fn from(unavailability: Unavailability) -> Self {
        count(unavailability.cause().kind());
        Self::Unavailable(unavailability)
    }
}

fn count(kind: &'static str) {
    metrics::counter!("slipway_storage_errors_total", "kind" => kind).increment(1);
}
