//! Reading of objects, in pieces of bounded size.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};
use object_store::{ObjectStore, ObjectStoreExt as _};
use rustix::buffer::spare_capacity;
use rustix::io::pread;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::file_readers::FileReaderHandle;
use super::{ArtifactStore, Backing, OPERATION_LIMIT, ObjectName, StoreError, open_folder, within};

/// Size of a piece of a file.
const FILE_PIECE: usize = 128 << 10;
/// Size of a piece of a bucket's object. Each is a request of its own: a slow client holds no connection to the
/// service, and a failed piece is retried alone.
const BUCKET_PIECE: u64 = 512 << 10;
/// Largest icon.
const MAX_ICON_BYTES: u64 = 2 << 20;

/// Content of an artifact that is being read.
pub struct ContentReader {
    source: Source,
    size: u64,
    /// The piece that was read when a file was opened.
    first: Option<Piece>,
}

enum Source {
    File(Arc<File>, FileReaderHandle),
    Object(Arc<dyn ObjectStore>, Path),
}

struct Piece {
    offset: u64,
    bytes: Bytes,
}

/// File that was opened for reading.
struct OpenedFile {
    file: File,
    size: u64,
    first: Piece,
}

impl ArtifactStore {
    /// Opens the content of an artifact, to read a range of it. The range may exceed the content.
    pub async fn open(&self, name: &ObjectName, range: Range<u64>) -> Result<ContentReader, StoreError> {
        let path = name.content();
        let Backing::Folder { root, files, readers } = &self.backing else {
            let size = self.size_of(&path).await?;
            let source = Source::Object(self.objects()?, path);
            return Ok(ContentReader {
                source,
                size,
                first: None,
            });
        };
        let path = open_folder(root, files)?.path_to_filesystem(&path)?;
        let readers = readers.handle();
        let opened = done(readers.run(move || open_file(path, range))).await?;
        Ok(ContentReader {
            source: Source::File(Arc::new(opened.file), readers),
            size: opened.size,
            first: Some(opened.first),
        })
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
    pub async fn read_piece(&mut self, offset: u64, end: u64) -> Result<Bytes, StoreError> {
        let end = end.min(self.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        if let Some(mut first) = self.first.take_if(|first| first.offset == offset) {
            first.bytes.truncate(length_of(&(offset..end)));
            return Ok(first.bytes);
        }
        match &self.source {
            Source::File(file, readers) => {
                let file = file.clone();
                done(readers.run(move || read_file(&file, &(offset..end)))).await
            }
            Source::Object(objects, path) => {
                let range = offset..end.min(offset + BUCKET_PIECE);
                within(OPERATION_LIMIT, objects.get_range(path, range)).await
            }
        }
    }
}

/// Waits for the work of a reading thread.
async fn done<T>(work: JoinHandle<io::Result<T>>) -> Result<T, StoreError> {
    let done = timeout(OPERATION_LIMIT, work).await;
    Ok(done.map_err(|_| StoreError::silent(OPERATION_LIMIT))???)
}

/// Opens a file and reads the first piece of a range, so that a small download switches threads once.
fn open_file(path: PathBuf, range: Range<u64>) -> io::Result<OpenedFile> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let bytes = read_file(&file, &(range.start..range.end.min(size)))?;
    let first = Piece {
        offset: range.start,
        bytes,
    };
    Ok(OpenedFile { file, size, first })
}

/// Reads at most one piece from the beginning of a range.
fn read_file(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    // `spare_capacity` refuses a buffer without any.
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    // Into memory that was not cleared before, which the standard library cannot.
    let mut bytes = Vec::with_capacity(length_of(range).min(FILE_PIECE));
    pread(file, spare_capacity(&mut bytes), range.start)?;
    Ok(bytes.into())
}

/// Returns the length of a range, or the largest length that memory can have.
fn length_of(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
}
