//! Reading of objects, in pieces of bounded size.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt as _};
use rustix::buffer::spare_capacity;
use rustix::io::pread;
use tokio::time::timeout;

use super::file_readers::FileReaderHandle;
use super::{ArtifactStore, Backing, OPERATION_LIMIT, ObjectName, StoreError, within};

/// Size of a piece of a file.
const FILE_PIECE: u64 = 128 << 10;
/// Size of a piece of a bucket's object. Each is a request of its own: a slow client holds no connection to the
/// service, and a failed piece is retried alone.
const BUCKET_PIECE: u64 = 512 << 10;
/// Largest icon.
const MAX_ICON_BYTES: u64 = 2 << 20;

/// Content of an artifact that is being read.
pub struct ContentReader {
    source: Source,
    size: u64,
}

enum Source {
    File(Arc<File>, FileReaderHandle),
    Object(Arc<dyn ObjectStore>, Path),
}

impl ArtifactStore {
    /// Opens the content of an artifact.
    pub async fn open(&self, name: &ObjectName) -> Result<ContentReader, StoreError> {
        let (objects, path) = (self.objects()?, name.content());
        let Backing::Folder { readers, .. } = &self.backing else {
            let size = self.size_of(&path).await?;
            let source = Source::Object(objects, path);
            return Ok(ContentReader { source, size });
        };
        let found = within(OPERATION_LIMIT, objects.get(&path)).await?;
        let size = found.meta.size;
        let source = match found.payload {
            GetResultPayload::File(file, _) => Source::File(Arc::new(file), readers.handle()),
            GetResultPayload::Stream(_) => Source::Object(objects, path),
        };
        Ok(ContentReader { source, size })
    }

    /// Reads the icon of an artifact.
    pub async fn read_icon(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.read_small(&name.icon(), MAX_ICON_BYTES).await
    }

    /// Returns a URL of the service from which a client can download the content for a while. `None` for a folder.
    pub async fn presign(
        &self,
        name: &ObjectName,
        headers: [(&str, String); 2],
        lifetime: Duration,
    ) -> Result<Option<String>, StoreError> {
        let Backing::Bucket(bucket) = &self.backing else {
            return Ok(None);
        };
        let options = SignedUrlOptions::default().with_query(headers);
        let path = name.content();
        let signed = bucket.signed_url_opts(Method::GET, &path, lifetime, &options);
        within(OPERATION_LIMIT, signed).await.map(|url| Some(url.into()))
    }
}

impl ContentReader {
    /// Returns the size of the stored content in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Reads a piece that begins at `offset` and ends at `end` at the latest. An empty piece means that the stored
    /// content ends there.
    pub async fn read_piece(&self, offset: u64, end: u64) -> Result<Bytes, StoreError> {
        let end = end.min(self.size);
        match &self.source {
            _ if offset >= end => Ok(Bytes::new()),
            Source::File(file, readers) => {
                let read = read_file(readers, file.clone(), offset, (end - offset).min(FILE_PIECE));
                timeout(OPERATION_LIMIT, read)
                    .await
                    .map_err(|_| StoreError::silent(OPERATION_LIMIT))?
            }
            Source::Object(objects, path) => {
                let range = offset..end.min(offset + BUCKET_PIECE);
                within(OPERATION_LIMIT, objects.get_range(path, range)).await
            }
        }
    }
}

async fn read_file(
    readers: &FileReaderHandle,
    file: Arc<File>,
    offset: u64,
    length: u64,
) -> Result<Bytes, StoreError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let read = readers.run(move || {
        // Into memory that was not cleared before, which the standard library cannot.
        let mut bytes = Vec::with_capacity(length);
        pread(&*file, spare_capacity(&mut bytes), offset)?;
        Ok::<_, std::io::Error>(bytes)
    });
    Ok(read.await??.into())
}
