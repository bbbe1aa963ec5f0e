//! The file of a SQLite database: made in one explicit step, and watched for as long as it is used.
//!
//! SQLite goes on with a file that was deleted or replaced: what it writes then is gone with the process. Its files
//! are never opened here besides, since closing them would release the process's locks on them.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use sea_orm::{DbErr, RuntimeErr};

use super::unreadable_url;
use crate::storage::StorageError;
use crate::storage::unavailability::{Cause, Unavailability};

/// A file smaller than SQLite's smallest page holds no database.
const SMALLEST: u64 = 512;

/// What is found where a SQLite database is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    Absent,
    /// There is a file of no length.
    Empty,
    /// A write-ahead log of a database that is absent.
    OnlyLog,
    Present,
}

/// The path of the SQLite database that a URL names; `None` for one in memory and for PostgreSQL.
pub fn sqlite_path(url: &str) -> Result<Option<PathBuf>, StorageError> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    let options = options(url)?;
    let is_file = !url.contains(":memory:") && !url.contains("mode=memory");
    Ok(is_file.then(|| options.get_filename().to_owned()))
}

/// Looks without opening it.
pub fn file_state(path: &Path) -> Result<FileState, Error> {
    let size = |path: &Path| match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Error::new(ErrorKind::IsADirectory, "it is a directory")),
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match size(path)? {
        Some(1..) => FileState::Present,
        _ if size(&beside(path, "-wal"))?.is_some_and(|log| log > 0) => FileState::OnlyLog,
        Some(0) => FileState::Empty,
        None => FileState::Absent,
    })
}

/// Makes the file of a new database. Connections never do.
pub async fn create_sqlite(url: &str) -> Result<(), StorageError> {
    let options = options(url)?
        .create_if_missing(true)
        // Writes its first page, so that it is a database from now on.
        .journal_mode(SqliteJournalMode::Wal);
    let connection = options.connect().await.map_err(connection_error)?;
    Ok(connection.close().await.map_err(connection_error)?)
}

fn options(url: &str) -> Result<SqliteConnectOptions, StorageError> {
    SqliteConnectOptions::from_str(url).map_err(|_| StorageError::Other(unreadable_url()))
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The files that the connections have open.
#[derive(Debug)]
pub(in crate::storage) struct DatabaseFile {
    files: Vec<WatchedFile>,
    /// Stays open, so that SQLite never removes the log and the index beside the database, as the last connection does.
    anchor: Mutex<Option<SqliteConnection>>,
}

#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    smallest: u64,
}

impl DatabaseFile {
    /// Opens the file, which must be there.
    pub(super) async fn open(path: &Path, url: &str) -> Result<Arc<Self>, StorageError> {
        let mut anchor = options(url)?
            .create_if_missing(false)
            .connect()
            .await
            .map_err(connection_error)?;
        // The log and the index are made at the first use.
        sqlx::raw_sql("SELECT count(*) FROM sqlite_schema")
            .execute(&mut anchor)
            .await
            .map_err(connection_error)?;
        let database = WatchedFile::find(path.to_owned(), SMALLEST);
        let mut files = vec![database.map_err(|error| missing(error.to_string()))?];
        // One that is read only may have neither.
        files.extend(
            ["-wal", "-shm"]
                .iter()
                .flat_map(|suffix| WatchedFile::find(beside(path, suffix), 0)),
        );
        Ok(Arc::new(Self {
            files,
            anchor: Mutex::new(Some(anchor)),
        }))
    }

    /// Proves that the files are those that the connections have open.
    ///
    /// On a thread of its own: the directory may be on a file system that does not answer.
    pub(in crate::storage) async fn check(self: &Arc<Self>) -> Result<(), StorageError> {
        let file = self.clone();
        let checked = tokio::task::spawn_blocking(move || file.check_now()).await;
        checked
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(missing)
    }

    pub(super) fn check_now(&self) -> Result<(), String> {
        self.files.iter().try_for_each(WatchedFile::check)
    }

    /// Moves what the log holds into the database, for whoever copies or moves the file of a server that has stopped.
    pub(super) async fn close(&self) -> Result<(), StorageError> {
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut anchor) = anchor else { return Ok(()) };
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut anchor)
            .await
            .map_err(connection_error)?;
        Ok(anchor.close().await.map_err(connection_error)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.files[0].path
    }
}

impl WatchedFile {
    fn find(path: PathBuf, smallest: u64) -> Result<Self, Error> {
        let found = fs::metadata(&path)?;
        Ok(Self {
            path,
            device: found.dev(),
            inode: found.ino(),
            smallest,
        })
    }

    fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        let found = fs::metadata(&self.path).map_err(|error| format!("{path}: {error}"))?;
        if (found.dev(), found.ino()) != (self.device, self.inode) {
            return Err(format!("{path} is another file than the one that was opened"));
        }
        if found.len() < self.smallest {
            return Err(format!("{path} was truncated"));
        }
        Ok(())
    }
}

fn missing(why: String) -> StorageError {
    Unavailability::new(Cause::FileMissing, DbErr::Custom(why)).into()
}
