//! Upload in progress: bytes go to a temporary file and are hashed on the way, on a thread of their own.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{ArtifactStore, Backing, StoreError};

/// Prefix of the names of temporary files.
pub(super) const TEMPORARY: &str = "upload-";
/// Pieces that may wait for the disk. The sender waits for room.
const WAITING_PIECES: usize = 16;

/// Upload whose content is still arriving. Dropping it deletes what has arrived.
pub struct Upload {
    pieces: mpsc::Sender<Piece>,
    writer: JoinHandle<Result<ReceivedFile, StoreError>>,
}

enum Piece {
    Bytes(Bytes),
    /// The content is complete. Without it, the upload was abandoned.
    End,
}

/// Complete temporary file, which is deleted when dropped.
#[derive(Debug)]
pub struct ReceivedFile {
    pub size: u64,
    pub md5: [u8; 16],
    pub sha256: [u8; 32],
    pub(super) file: File,
    pub(super) path: TempPath,
}

impl ArtifactStore {
    /// Begins an upload in a new temporary file.
    pub async fn begin_upload(&self) -> Result<Upload, StoreError> {
        if let Backing::Folder { root, .. } = &self.backing {
            // The folder of a volume that is not mounted must not be created.
            let found = tokio::fs::metadata(root).await;
            found.map_err(|error| StoreError::Unavailable(error.into()))?;
        }
        let spool = self.spool.clone();
        let (file, path) = spawn_blocking(move || create_temporary(&spool)).await??;
        let (pieces, received) = mpsc::channel(WAITING_PIECES);
        Ok(Upload {
            pieces,
            writer: spawn_blocking(move || receive(received, file, path)),
        })
    }
}

fn create_temporary(spool: &Path) -> Result<(File, TempPath), StoreError> {
    std::fs::create_dir_all(spool)?;
    let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(spool)?;
    Ok(file.into_parts())
}

/// Writes and hashes the pieces until the end.
fn receive(
    mut pieces: mpsc::Receiver<Piece>,
    mut file: File,
    path: TempPath,
) -> Result<ReceivedFile, StoreError> {
    let (mut md5, mut sha256, mut size) = (Md5::new(), Sha256::new(), 0);
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                file.write_all(&bytes)?;
                md5.update(&bytes);
                sha256.update(&bytes);
                size += bytes.len() as u64;
            }
            Some(Piece::End) => break,
            None => return Err(StoreError::Unavailable("the upload was abandoned".into())),
        }
    }
    Ok(ReceivedFile {
        size,
        md5: md5.finalize().into(),
        sha256: sha256.finalize().into(),
        file,
        path,
    })
}

impl Upload {
    /// Adds bytes. Waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if self.pieces.send(Piece::Bytes(bytes)).await.is_ok() {
            return Ok(());
        }
        Err(self.failure().await)
    }

    /// Ends the content.
    pub async fn finish(mut self) -> Result<ReceivedFile, StoreError> {
        if self.pieces.send(Piece::End).await.is_err() {
            return Err(self.failure().await);
        }
        self.writer.await?
    }

    /// Returns the reason why the writer ended early.
    async fn failure(&mut self) -> StoreError {
        match (&mut self.writer).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) => StoreError::Unavailable("the upload ended early".into()),
            Err(error) => error.into(),
        }
    }
}

impl ReceivedFile {
    /// Opens the file for reading from its beginning.
    pub fn reader(&self) -> Result<File, StoreError> {
        let mut file = File::open(&self.path)?;
        file.rewind()?;
        Ok(file)
    }
}
