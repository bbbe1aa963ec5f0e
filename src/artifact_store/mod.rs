//! Store of artifacts: a folder, or a bucket of an S3-compatible service. The only layer that uses `object_store`.
//!
//! An object is written once, under a name that is never used again, and appears as a whole or not at all. The store
//! knows no releases and decides nothing about the objects that it has.

mod address;
mod error;
mod file_readers;
mod leftovers;
mod name;
mod publish;
mod read;
mod upload;

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::time::timeout;

pub use self::address::{AddressError, StoreAddress};
pub use self::error::StoreError;
use self::file_readers::FileReaders;
pub use self::leftovers::Listing;
pub use self::name::ObjectName;
pub use self::read::ContentReader;
pub use self::upload::{ReceivedFile, Upload};

/// Time limit of an operation that moves little content. It is below the deadline of a call.
const OPERATION_LIMIT: Duration = Duration::from_secs(8);
/// Time limit for a connection to a bucket's service.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for the service to send or accept the next bytes.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);

/// Object with the id of the installation whose artifacts the store has. If it is absent from a store that should have
/// files, something else is there, for example the empty directory of a volume that is not mounted.
const MARKER: &str = "slipway-artifacts";
/// Number of bytes of the marker that are read.
const MARKER_BYTES: u64 = 128;

type Bucket = PrefixStore<AmazonS3>;

pub struct ArtifactStore {
    backing: Backing,
    /// Directory of uploads in progress. For a folder, it is in the same file system.
    spool: PathBuf,
}

enum Backing {
    Folder {
        root: PathBuf,
        /// Opened at the first use, because a node starts without its store.
        files: OnceLock<Arc<LocalFileSystem>>,
        readers: FileReaders,
    },
    Bucket(Arc<Bucket>),
}

impl ArtifactStore {
    /// Returns the store at an address. Nothing is accessed yet, so that a node starts while its store is away.
    ///
    /// `data_dir` has the uploads in progress of a bucket: the reader of package files needs random access, and a
    /// refused file never reaches the bucket. `bucket_variables` are the `AWS_*` variables.
    pub fn new(
        address: &StoreAddress,
        data_dir: &FilePath,
        bucket_variables: &[(String, String)],
    ) -> Result<Self, StoreError> {
        Ok(match address {
            StoreAddress::Folder(root) => Self {
                spool: root.join("uploads"),
                backing: Backing::Folder {
                    root: root.clone(),
                    files: OnceLock::new(),
                    readers: FileReaders::new()?,
                },
            },
            StoreAddress::Bucket { name, prefix } => Self {
                spool: data_dir.join("uploads"),
                backing: Backing::Bucket(Arc::new(PrefixStore::new(
                    bucket(name, bucket_variables)?,
                    prefix.as_str(),
                ))),
            },
        })
    }

    /// Returns the text of the store's marker; `None` if it has none. An error means that the store is unreachable.
    pub async fn marker(&self) -> Result<Option<String>, StoreError> {
        match self.read_small(&Path::from(MARKER), MARKER_BYTES).await {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Marks a new store.
    pub async fn write_marker(&self, text: &str) -> Result<(), StoreError> {
        self.put(&Path::from(MARKER), format!("{text}\n").into_bytes())
            .await
    }

    /// Writes the icon of an artifact.
    pub async fn put_icon(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put(&name.icon(), bytes).await
    }

    /// Deletes the content and the icon of an artifact. Objects that are absent are deleted already.
    pub async fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let objects = self.objects()?;
        for path in [name.content(), name.icon()] {
            match within(OPERATION_LIMIT, objects.delete(&path)).await {
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), StoreError> {
        let objects = self.objects()?;
        within(OPERATION_LIMIT, objects.put(path, bytes.into()))
            .await
            .map(drop)
    }

    /// Reads an object up to a number of bytes.
    async fn read_small(&self, path: &Path, max_bytes: u64) -> Result<Bytes, StoreError> {
        let size = self.size_of(path).await?.min(max_bytes);
        let objects = self.objects()?;
        within(OPERATION_LIMIT, objects.get_range(path, 0..size)).await
    }

    async fn size_of(&self, path: &Path) -> Result<u64, StoreError> {
        let objects = self.objects()?;
        let meta = within(OPERATION_LIMIT, objects.head(path)).await?;
        Ok(meta.size)
    }

    fn objects(&self) -> Result<Arc<dyn ObjectStore>, StoreError> {
        match &self.backing {
            Backing::Folder { root, files, .. } => Ok(open_folder(root, files)?),
            Backing::Bucket(bucket) => Ok(bucket.clone()),
        }
    }
}

fn open_folder(
    root: &FilePath,
    files: &OnceLock<Arc<LocalFileSystem>>,
) -> Result<Arc<LocalFileSystem>, StoreError> {
    if let Some(files) = files.get() {
        return Ok(files.clone());
    }
    let opened = LocalFileSystem::new_with_prefix(root)?;
    Ok(files.get_or_init(|| Arc::new(opened.with_fsync(true))).clone())
}

/// Returns the client of a bucket. Variables that have another purpose are skipped.
fn bucket(name: &str, variables: &[(String, String)]) -> Result<AmazonS3, StoreError> {
    // The time limit of a whole request would cut off the transfer of a large part on a slow link.
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_LIMIT)
        .with_read_timeout(SILENCE_LIMIT)
        .with_timeout(Duration::from_mins(2));
    let retries = RetryConfig {
        max_retries: 3,
        retry_timeout: OPERATION_LIMIT,
        ..RetryConfig::default()
    };
    let endpoint = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|wanted| variables.iter().find(|(name, _)| name == wanted));
    let allows_http = endpoint.is_some_and(|(_, endpoint)| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new();
    for (name, value) in variables {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder
        .with_bucket_name(name)
        .with_client_options(client.with_allow_http(allows_http))
        .with_allow_http(allows_http)
        .with_retry(retries)
        .build()?)
}

/// Waits for an operation at most for `limit`.
async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = object_store::Result<T>>,
) -> Result<T, StoreError> {
    match timeout(limit, operation).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StoreError::silent(limit)),
    }
}
