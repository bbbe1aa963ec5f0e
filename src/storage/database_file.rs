//! File of a SQLite database: created in an explicit step and monitored while in use.
//!
//! SQLite continues to use a file that was deleted or replaced, and later writes are lost with the process. This module
//! never opens the files itself, because closing them would release the process's locks on them.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use sea_orm::{DbErr, RuntimeErr};

use super::StorageError;
use super::error::invalid_url;
use super::unavailability::{Cause, Unavailability};

/// Size of SQLite's smallest page in bytes. A smaller file contains no database.
const SMALLEST: u64 = 512;

/// State of the file at the path of a SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    Absent,
    /// The file has no content.
    Empty,
    /// A write-ahead log exists without its database.
    OnlyLog,
    Present,
}

/// Returns the path of the SQLite database in a URL; `None` for a database in memory and for PostgreSQL.
pub fn sqlite_path(url: &str) -> Result<Option<PathBuf>, StorageError> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    let options = options(url)?;
    let is_file = !url.contains(":memory:") && !url.contains("mode=memory");
    Ok(is_file.then(|| options.get_filename().to_owned()))
}

/// Returns the state of a file without opening it.
pub fn file_state(path: &Path) -> Result<FileState, Error> {
    let size = |path: &Path| match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Error::new(ErrorKind::IsADirectory, "the path is a directory")),
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match size(path)? {
        Some(1..) => FileState::Present,
        _ if size(&sibling_path(path, "-wal"))?.is_some_and(|log| log > 0) => FileState::OnlyLog,
        Some(0) => FileState::Empty,
        None => FileState::Absent,
    })
}

/// Creates the file of a new database. Connections never create it.
pub async fn create_sqlite(url: &str) -> Result<(), StorageError> {
    let options = options(url)?
        .create_if_missing(true)
        // Writes the first page, so that the file is a valid database.
        .journal_mode(SqliteJournalMode::Wal);
    let connection = options.connect().await.map_err(connection_error)?;
    Ok(connection.close().await.map_err(connection_error)?)
}

fn options(url: &str) -> Result<SqliteConnectOptions, StorageError> {
    SqliteConnectOptions::from_str(url).map_err(|_| StorageError::Other(invalid_url()))
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn sibling_path(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Files that the connections have open.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    files: Vec<WatchedFile>,
    /// Connection that keeps the log and the index: SQLite removes them when the last connection closes.
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
    /// Opens an existing file.
    pub(super) async fn open(path: &Path, url: &str) -> Result<Arc<Self>, StorageError> {
        let mut anchor = options(url)?
            .create_if_missing(false)
            .connect()
            .await
            .map_err(connection_error)?;
        // SQLite creates the log and the index at the first use.
        sqlx::raw_sql("SELECT count(*) FROM sqlite_schema")
            .execute(&mut anchor)
            .await
            .map_err(connection_error)?;
        let database = WatchedFile::find(path.to_owned(), SMALLEST);
        let mut files = vec![database.map_err(|error| file_missing(error.to_string()))?];
        // A read-only database may have neither.
        files.extend(
            ["-wal", "-shm"]
                .iter()
                .flat_map(|suffix| WatchedFile::find(sibling_path(path, suffix), 0)),
        );
        Ok(Arc::new(Self {
            files,
            anchor: Mutex::new(Some(anchor)),
        }))
    }

    /// Checks that the paths still lead to the files that the connections have open.
    ///
    /// Runs on a separate thread, because the file system of the directory may not respond.
    pub(super) async fn check(self: &Arc<Self>) -> Result<(), StorageError> {
        let file = self.clone();
        let checked = tokio::task::spawn_blocking(move || file.check_now()).await;
        checked
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(file_missing)
    }

    pub(super) fn check_now(&self) -> Result<(), String> {
        self.files.iter().try_for_each(WatchedFile::check)
    }

    /// Moves the content of the log into the database, so that the file of a stopped server can be copied or moved.
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
            return Err(format!("{path} is no longer the file that was opened"));
        }
        if found.len() < self.smallest {
            return Err(format!("{path} was truncated"));
        }
        Ok(())
    }
}

fn file_missing(why: String) -> StorageError {
    Unavailability::new(Cause::FileMissing, DbErr::Custom(why)).into()
}
