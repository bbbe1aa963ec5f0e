//! Loading of the newest valid snapshot with its journal, at the start of a node.

use std::fs;
use std::path::Path;

use super::directory::{SnapshotDirectory, report_age};
use super::{Snapshot, SnapshotError, journal, read};
use crate::secrets::Keyring;
use crate::supervision::panic_message;

impl SnapshotDirectory {
    /// Loads the newest valid snapshot, and logs the reason for rejecting newer ones. Returns `None` if there is none.
    pub fn load_newest(&self, keyring: &Keyring) -> Option<Snapshot> {
        let generations = match self.generations() {
            Ok(generations) => generations,
            Err(error) => {
                tracing::warn!(directory = %self.0.display(), %error, "the snapshots cannot be listed");
                return None;
            }
        };
        let mut snapshot = self.newest_accepted(&generations, |path| load(path, keyring))?;
        journal::replay(self, &mut snapshot, keyring);
        report_age(snapshot.as_of);
        Some(snapshot)
    }
}

fn load(path: &Path, keyring: &Keyring) -> Result<Snapshot, SnapshotError> {
    // A panic on one generation must not prevent the node from starting with another.
    std::panic::catch_unwind(|| read(&fs::read(path)?, keyring))
        .unwrap_or_else(|panic| Err(SnapshotError::Panicked(panic_message(&*panic))))
}
