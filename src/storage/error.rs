//! What can go wrong with the database, told apart by what the caller can do about it.
//!
//! The only reader of the ORM's errors: the two databases word the same clash differently.

use std::fmt;

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

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
    /// The cursor of a list is none that a page of it gave.
    #[error("the cursor is none that this list gave")]
    BadCursor,
    /// The database cannot be reached or is too busy; the same may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] DbErr),
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

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        match error {
            DbErr::RecordNotUpdated => Self::Changed,
            error if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) => {
                Self::BrokenReference
            }
            error if is_unavailability(&error) => Self::Unavailable(error),
            error => Self::Other(error),
        }
    }
}

fn is_unavailability(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match error.as_ref() {
                sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether a code of either database says that the same statement may succeed later.
///
/// PostgreSQL's codes are five characters; SQLite's are numbers whose low byte is the primary result code.
fn is_passing(code: &str) -> bool {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    const SQLITE_IO_ERROR: u32 = 10;
    const SQLITE_FULL: u32 = 13;
    const SQLITE_CANNOT_OPEN: u32 = 14;

    if code.len() == 5 {
        return match &code[..2] {
            // Connection exception, insufficient resources, operator intervention.
            "08" | "53" | "57" => true,
            // Serialization failure, deadlock, lock timeout; a standby, or a transaction cut off while idle.
            _ => matches!(code, "40001" | "40P01" | "55P03" | "25006" | "25P03"),
        };
    }
    code.parse::<u32>().is_ok_and(|code| {
        matches!(
            code & 0xff,
            SQLITE_BUSY | SQLITE_LOCKED | SQLITE_IO_ERROR | SQLITE_FULL | SQLITE_CANNOT_OPEN
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        // SQLite's 773 is SQLITE_BUSY_TIMEOUT, 2067 a unique clash, 787 a broken reference.
        for passing in ["5", "773", "6", "08006", "57P01", "57014", "40P01", "25006"] {
            assert!(is_passing(passing), "{passing}");
        }
        for lasting in ["1", "2067", "787", "1555", "23505", "42P01", "25P02", ""] {
            assert!(!is_passing(lasting), "{lasting}");
        }
    }
}
