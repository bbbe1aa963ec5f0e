//! Causes of an unavailable database, derived from the error codes of both backends.

use std::fmt;

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Error of an unavailable database. A retry may succeed once the cause is gone.
#[derive(Debug)]
pub struct Unavailability {
    cause: Cause,
    source: DbErr,
}

/// Defines the causes: the variant, its stable identifier, and its text.
macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $text:literal;)*) => {
        /// Cause that an operator can act on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Cause { $($(#[$doc])* $name,)* }

        impl Cause {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns a stable identifier for metric labels and programs.
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$name => $kind,)* }
            }
        }

        impl fmt::Display for Cause {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

causes! {
    /// The database is unreachable or grants no connection in time.
    Away, "away", "the database is unreachable or grants no connection";
    /// The disk is full or a quota is exhausted.
    Full, "full", "the database's disk is full";
    /// The server is a standby or a demoted primary, or the file is not writable.
    ReadOnly, "read_only", "the database is read-only";
    /// Another transaction holds a required lock.
    Locked, "locked", "the database is locked: another transaction holds a required lock";
    /// A statement took too long and was cancelled.
    TimedOut, "timed_out", "the database took too long for a statement, which was cancelled";
    /// The SQLite file is absent, was replaced or cannot be opened.
    FileMissing, "file_missing", "the database file is missing, was replaced or cannot be opened";
    /// The server refuses the login or a required privilege.
    Refused, "refused", "the database refuses this server's login or a required privilege";
    /// The server accepts no more connections.
    TooManyConnections, "too_many_connections", "the database accepts no more connections";
    OutOfMemory, "out_of_memory", "the database is out of memory";
    /// A database file could not be read or written.
    DiskError, "disk_error", "the database's disk failed: a file could not be read or written";
    /// The stored data is damaged.
    Damaged, "damaged", "the database is damaged";
}

impl Cause {
    /// Returns `None` if the statement itself is wrong and would fail again.
    fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(Self::of_driver(error).unwrap_or(Self::Away)),
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Some(Self::Away),
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
                Self::of_driver(error)
            }
            _ => None,
        }
    }

    fn of_driver(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Database(error) => error.code().and_then(|code| Self::of_code(&code)),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement
            | sqlx::Error::WorkerCrashed => Some(Self::Away),
            _ => None,
        }
    }

    /// Classifies a code. PostgreSQL's have five characters; SQLite's are numbers whose low byte is the primary result
    /// code.
    fn of_code(code: &str) -> Option<Self> {
        if code.len() == 5 {
            return Self::of_postgres(code);
        }
        code.parse().ok().and_then(Self::of_sqlite)
    }

    fn of_postgres(code: &str) -> Option<Self> {
        Some(match code {
            "53100" => Self::Full,
            "53200" => Self::OutOfMemory,
            "53300" => Self::TooManyConnections,
            "25006" => Self::ReadOnly,
            // Lock timeout, serialization failure, deadlock.
            "55P03" | "40001" | "40P01" => Self::Locked,
            "57014" => Self::TimedOut,
            "42501" | "3D000" => Self::Refused,
            "XX001" | "XX002" => Self::Damaged,
            // The session was ended while it was idle, or its transaction took too long.
            "25P03" | "25P04" => Self::Away,
            _ => match &code[..2] {
                // Connection exception, other insufficient resources, operator intervention.
                "08" | "53" | "57" => Self::Away,
                "28" => Self::Refused,
                // A system error of the server, such as a disk error.
                "58" => Self::DiskError,
                _ => return None,
            },
        })
    }

    const fn of_sqlite(code: u32) -> Option<Self> {
        /// The memory shared by processes could not grow.
        const IO_ERROR_SHM_SIZE: u32 = 4874;
        const IO_ERROR_NO_MEMORY: u32 = 3082;
        /// The file was moved or deleted.
        const READ_ONLY_DB_MOVED: u32 = 1032;

        Some(match code {
            IO_ERROR_SHM_SIZE => Self::Full,
            IO_ERROR_NO_MEMORY => Self::OutOfMemory,
            READ_ONLY_DB_MOVED => Self::FileMissing,
            _ => match code & 0xff {
                3 | 23 => Self::Refused,
                // Busy, locked, and a race in the locking protocol.
                5 | 6 | 15 => Self::Locked,
                7 => Self::OutOfMemory,
                8 => Self::ReadOnly,
                9 => Self::TimedOut,
                10 => Self::DiskError,
                11 | 26 => Self::Damaged,
                13 => Self::Full,
                14 => Self::FileMissing,
                _ => return None,
            },
        })
    }
}

impl Unavailability {
    pub(super) fn new(cause: Cause, source: DbErr) -> Self {
        Self { cause, source }
    }

    /// Classifies an error. Returns the error itself if it is of another kind.
    pub(super) fn classify(error: DbErr) -> Result<Self, DbErr> {
        match Cause::of(&error) {
            Some(cause) => Ok(Self::new(cause, error)),
            None => Err(error),
        }
    }

    pub const fn cause(&self) -> Cause {
        self.cause
    }
}

impl fmt::Display for Unavailability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for Unavailability {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_postgres_name_their_cause() {
        let cases = [
            ("53100", Cause::Full),
            ("25006", Cause::ReadOnly),
            ("55P03", Cause::Locked),
            ("40P01", Cause::Locked),
            ("57014", Cause::TimedOut),
            ("57P01", Cause::Away),
            ("57P03", Cause::Away),
            ("08006", Cause::Away),
            ("53200", Cause::OutOfMemory),
            ("53300", Cause::TooManyConnections),
            ("58030", Cause::DiskError),
            ("28P01", Cause::Refused),
            ("42501", Cause::Refused),
            ("XX001", Cause::Damaged),
        ];
        for (code, cause) in cases {
            assert_eq!(Cause::of_code(code), Some(cause), "{code}");
        }
    }

    #[test]
    fn codes_of_sqlite_name_their_cause() {
        let cases = [
            // Busy, as the primary code and as an extended code.
            ("5", Cause::Locked),
            ("773", Cause::Locked),
            ("6", Cause::Locked),
            ("7", Cause::OutOfMemory),
            ("8", Cause::ReadOnly),
            ("1032", Cause::FileMissing),
            ("778", Cause::DiskError),
            ("4874", Cause::Full),
            ("11", Cause::Damaged),
            ("13", Cause::Full),
            ("14", Cause::FileMissing),
            ("26", Cause::Damaged),
        ];
        for (code, cause) in cases {
            assert_eq!(Cause::of_code(code), Some(cause), "{code}");
        }
    }

    #[test]
    fn statements_that_are_wrong_have_no_cause() {
        // On SQLite, 2067 is a unique violation and 787 a foreign key violation.
        for lasting in ["1", "2067", "787", "1555", "23505", "42P01", "25P02", ""] {
            assert_eq!(Cause::of_code(lasting), None, "{lasting}");
        }
    }
}
