//! Database errors, classified by the possible reaction of the caller.
//!
//! This module interprets the ORM's errors, because the two databases report the same conflict differently.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

use super::unavailability::{Cause, Unavailability};

/// Error of a read or write. The caller must drop the transaction after any of them.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another row already has the unique key.
    #[error("the {0} is taken")]
    Conflict(UniqueKey),
    /// A referenced row does not exist, or the row is still referenced.
    #[error("a reference to another row is broken")]
    BrokenReference,
    /// The row was changed or deleted after the caller read it.
    #[error("the row was changed or deleted concurrently")]
    Changed,
    /// The reservation of the idempotency key expired, and another request holds it now.
    #[error("the idempotency key is no longer reserved by this request")]
    ReservationLost,
    /// The caller's credential was deleted or changed during the request.
    #[error("the credential of this write is no longer valid")]
    CredentialEnded,
    /// The caller's tenant was disabled during the request.
    #[error("the tenant of this write is disabled")]
    TenantDisabled,
    /// A stored value that the program cannot interpret.
    #[error("{table} {id}: {column} {reason}")]
    CorruptRow {
        table: &'static str,
        column: &'static str,
        id: String,
        reason: String,
    },
    /// A newer version of Slipway has migrated the database.
    #[error(
        "the database has migrations unknown to this version of Slipway ({0}): run the newer version that applied \
         them, or restore a backup from before the upgrade"
    )]
    NewerSchema(String),
    /// The database is behind a pooler that gives transactions no session of their own.
    #[error(
        "the database URL points to a pooler that gives a connection no session of its own (PgBouncer's pool_mode \
         transaction or statement): set pool_mode = session for Slipway's database, or connect to PostgreSQL directly; \
         SLIPWAY_DATABASE_CONNECTIONS limits the connections of a node"
    )]
    TransactionPooler,
    /// The cursor was not issued by this list.
    #[error("the cursor was not issued by this list")]
    BadCursor,
    /// The database is temporarily unavailable. A retry may succeed.
    #[error("the database is unavailable")]
    Unavailable(#[source] Unavailability),
    /// The connection was lost after COMMIT was sent. The transaction may have been committed.
    #[error("the connection was lost during a commit")]
    InDoubt(#[source] DbErr),
    #[error("the database rejected a statement")]
    Other(#[source] DbErr),
}

/// Unique key that a write can violate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueKey {
    TenantId,
    /// Current or old name of an app, unique within its tenant.
    PackageName,
    Resource,
    /// Version code, unique among the releases of a resource that are not discarded.
    VersionCode,
    Username,
    AppKey,
}

impl UniqueKey {
    /// Returns the constraint name on PostgreSQL, and the columns in SQLite's message.
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

    /// Returns `true` if the error is a violation of this key.
    ///
    /// PostgreSQL's messages are in the server's language, so its constraint name is compared instead.
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

/// Returns the error of an unreadable database URL, without the URL.
pub(super) fn invalid_url() -> DbErr {
    DbErr::Custom(
        "the database URL must have the form sqlite:///path/slipway.db or postgres://user:password@host/database"
            .to_owned(),
    )
}

impl StorageError {
    /// Returns the error of a database that gave no answer within `limit`.
    pub fn no_answer(limit: Duration) -> Self {
        let message = format!("no answer within {} s", limit.as_secs());
        Unavailability::new(Cause::Away, DbErr::Custom(message)).into()
    }

    /// Returns the error mapping for a write that can violate `key`.
    pub(super) fn map_write_error(key: UniqueKey) -> impl Fn(DbErr) -> Self {
        move |error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(message)) if key.is_clashed_with(&error, &message) => {
                Self::Conflict(key)
            }
            _ => Self::from(error),
        }
    }
}

impl StorageError {
    /// Maps the error of a COMMIT. Without an answer, the outcome of the transaction is unknown.
    pub(super) fn map_commit_error(error: DbErr) -> Self {
        if is_without_answer(&error) {
            count("in_doubt");
            return Self::InDoubt(error);
        }
        Self::from(error)
    }
}

impl StorageError {
    /// Returns `true` if a retry may succeed.
    ///
    /// A write in doubt may have been committed, so only repeatable writes may be retried after it.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InDoubt(_))
    }

    /// Returns `true` if the database reported that it did not execute the statement.
    pub(super) fn is_refusal(error: &DbErr) -> bool {
        !is_without_answer(error)
    }
}

/// Error that passes through an interface with the ORM's type of errors.
#[derive(Debug, thiserror::Error)]
#[error("a queued write failed")]
struct CarriedError(Mutex<Option<StorageError>>);

impl StorageError {
    /// Returns the ORM's form of the error, which becomes the same error again.
    pub(super) fn into_orm(self) -> DbErr {
        DbErr::TryIntoErr {
            from: "queued write",
            into: "result",
            source: Arc::new(CarriedError(Mutex::new(Some(self)))),
        }
    }

    fn from_carrier(error: &DbErr) -> Option<Self> {
        let DbErr::TryIntoErr { source, .. } = error else {
            return None;
        };
        let CarriedError(carried) = source.downcast_ref()?;
        carried.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn is_without_answer(error: &DbErr) -> bool {
    // 57P01 to 57P03 end the connection during a server shutdown, possibly after the commit. Class 08 is a lost
    // connection.
    database_error(error).is_none_or(|error| {
        error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
    })
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        if let Some(carried) = Self::from_carrier(&error) {
            return carried;
        }
        match error {
            DbErr::RecordNotUpdated => Self::Changed,
            error if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) => {
                Self::BrokenReference
            }
            error => match Unavailability::classify(error) {
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
