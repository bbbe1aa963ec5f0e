//! The last step of an upload: the verified file becomes an object.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};
use tokio::task::spawn_blocking;

use super::upload::ReceivedFile;
use super::{ArtifactStore, Backing, ObjectName, StoreError, within};

/// Smallest part of a multipart upload. The service accepts at least 5 MiB.
const PART_BYTES: u64 = 8 << 20;
/// Number of parts that the service accepts.
const MAX_PARTS: u64 = 10_000;
/// Time limit of one part, or of the move of a file.
const PART_LIMIT: Duration = Duration::from_mins(5);

impl ArtifactStore {
    /// Makes a received file the content of an object, which is then durable. An object of this name is replaced.
    pub async fn publish(&self, name: &ObjectName, received: ReceivedFile) -> Result<(), StoreError> {
        match &self.backing {
            Backing::Folder { root, .. } => {
                let target = root.join(name.content().as_ref());
                spawn_blocking(move || move_into_place(received, &target)).await?
            }
            Backing::Bucket(bucket) => send(bucket.as_ref(), &name.content(), received).await,
        }
    }
}

/// Renames the file to its place. It and the directory entries are durable afterwards.
fn move_into_place(received: ReceivedFile, target: &FilePath) -> Result<(), StoreError> {
    received.file.sync_all()?;
    let directory = target.parent().unwrap_or(FilePath::new("/"));
    if !directory.exists() {
        std::fs::create_dir_all(directory)?;
        for created in directory.ancestors().skip(1).take(2) {
            File::open(created)?.sync_all()?;
        }
    }
    received
        .path
        .persist(target)
        .map_err(|failed| StoreError::from(failed.error))?;
    Ok(File::open(directory)?.sync_all()?)
}

/// Sends the file to a bucket. An object of several parts becomes visible with the last step.
async fn send(bucket: &dyn ObjectStore, path: &Path, received: ReceivedFile) -> Result<(), StoreError> {
    let file = Arc::new(received.reader()?);
    if received.size <= PART_BYTES {
        let bytes = read_part(&file, 0, received.size).await?;
        return within(PART_LIMIT, bucket.put(path, bytes.into())).await.map(drop);
    }
    let mut upload = within(PART_LIMIT, bucket.put_multipart(path)).await?;
    let sent = send_parts(upload.as_mut(), &file, received.size).await;
    if sent.is_err() {
        // The parts cost space until they are removed; a rule of the bucket removes those of a node that died.
        let _ = within(PART_LIMIT, upload.abort()).await;
    }
    sent
}

async fn send_parts(upload: &mut dyn MultipartUpload, file: &Arc<File>, size: u64) -> Result<(), StoreError> {
    let part_bytes = PART_BYTES.max(size.div_ceil(MAX_PARTS));
    let mut offset = 0;
    while offset < size {
        let length = part_bytes.min(size - offset);
        let bytes = read_part(file, offset, length).await?;
        within(PART_LIMIT, upload.put_part(bytes.into())).await?;
        offset += length;
    }
    within(PART_LIMIT, upload.complete()).await.map(drop)
}

async fn read_part(file: &Arc<File>, offset: u64, length: u64) -> Result<Bytes, StoreError> {
    let file = file.clone();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes = spawn_blocking(move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).map(|()| bytes)
    });
    Ok(bytes.await??.into())
}
