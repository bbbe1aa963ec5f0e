//! State of the writes to one database: the lock of a single writer, and the check of the database file.

use std::sync::Arc;

use tokio::sync::Notify;

use super::StorageError;
use super::database_file::DatabaseFile;
use super::writer_lock::{PriorityGuard, PriorityMutex};

/// State shared by all writes to one database.
#[derive(Debug)]
pub(super) struct WriteControl {
    file: Option<Arc<DatabaseFile>>,
    /// Lock of SQLite's single writer. Writers wait here in order, urgent ones first, and hold no pooled connection
    /// meanwhile.
    lock: Option<PriorityMutex>,
    /// Notified of each write that was not committed, because it may be the first of a fault.
    write_failures: Notify,
}

impl WriteControl {
    pub(super) fn of_sqlite(file: Option<Arc<DatabaseFile>>) -> Self {
        Self {
            file,
            lock: Some(PriorityMutex::default()),
            write_failures: Notify::new(),
        }
    }

    pub(super) fn of_postgres() -> Self {
        Self {
            file: None,
            lock: None,
            write_failures: Notify::new(),
        }
    }

    pub(super) fn file(&self) -> Option<&Arc<DatabaseFile>> {
        self.file.as_ref()
    }

    /// Returns `true` if the writers of this process wait for each other.
    pub(super) fn has_lock(&self) -> bool {
        self.lock.is_some()
    }

    /// Waits until a write fails or is abandoned.
    pub(super) async fn wait_for_failure(&self) {
        self.write_failures.notified().await;
    }

    async fn check_file(&self) -> Result<(), StorageError> {
        match &self.file {
            Some(file) => file.check().await,
            None => Ok(()),
        }
    }
}

/// Scope of one write, from before it begins until its end.
#[derive(Debug)]
pub(super) struct WriteGuard {
    control: Arc<WriteControl>,
    _lock: Option<PriorityGuard>,
    is_confirmed: bool,
}

impl WriteGuard {
    pub(super) async fn begin(control: &Arc<WriteControl>, is_urgent: bool) -> Result<Self, StorageError> {
        let lock = match &control.lock {
            Some(lock) => Some(lock.lock(is_urgent).await),
            None => None,
        };
        let guard = Self {
            control: control.clone(),
            _lock: lock,
            is_confirmed: false,
        };
        control.check_file().await?;
        Ok(guard)
    }

    /// Ends a committed write. A write to a file that has disappeared must not be acknowledged.
    pub(super) async fn confirm(mut self) -> Result<(), StorageError> {
        self.control.check_file().await?;
        self.is_confirmed = true;
        Ok(())
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        if !self.is_confirmed {
            self.control.write_failures.notify_one();
        }
    }
}
