//! Objects and temporary files that belong to no artifact, because their node died or the store failed.

use std::path::Path as FilePath;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, StreamExt as _};
use object_store::ObjectMeta;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::upload::TEMPORARY;
use super::{ArtifactStore, OPERATION_LIMIT, ObjectName, StoreError};

/// Objects of the store that were written before an instant.
pub struct Listing {
    objects: BoxStream<'static, object_store::Result<ObjectMeta>>,
    before: DateTime<Utc>,
}

impl ArtifactStore {
    /// Lists contents and icons that were written before an instant.
    pub fn list_written_before(&self, before: DateTime<Utc>) -> Result<Listing, StoreError> {
        let objects = self.objects()?;
        let listed = ObjectName::folders().map(|folder| objects.list(Some(&folder)));
        Ok(Listing {
            objects: futures_util::stream::iter(listed).flatten().boxed(),
            before,
        })
    }

    /// Deletes temporary files of uploads that were last written before an instant. Returns their number.
    pub async fn delete_abandoned_uploads(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let spool = self.spool.clone();
        let before = SystemTime::UNIX_EPOCH
            + Duration::from_secs(u64::try_from(before.timestamp()).unwrap_or_default());
        spawn_blocking(move || delete_older(&spool, before)).await?
    }
}

fn delete_older(spool: &FilePath, before: SystemTime) -> Result<u64, StoreError> {
    let entries = match std::fs::read_dir(spool) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut deleted = 0;
    for entry in entries {
        let entry = entry?;
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(TEMPORARY));
        // A file that another node has deleted meanwhile has no metadata.
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|modified| modified < before);
        if is_ours && is_old && std::fs::remove_file(entry.path()).is_ok() {
            deleted += 1;
        }
    }
    Ok(deleted)
}

impl Listing {
    /// Returns up to `count` names; fewer only at the end. Objects with other names are skipped.
    pub async fn next_names(&mut self, count: usize) -> Result<Vec<ObjectName>, StoreError> {
        let mut names = Vec::new();
        while names.len() < count {
            let next = timeout(OPERATION_LIMIT, self.objects.next()).await;
            let Some(found) = next.map_err(|_| StoreError::silent(OPERATION_LIMIT))? else {
                break;
            };
            let meta = found?;
            if meta.last_modified < self.before {
                names.extend(ObjectName::parse(&meta.location));
            }
        }
        Ok(names)
    }
}
