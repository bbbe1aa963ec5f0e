//! Files on this machine: their digests, and the facts that they state about themselves.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use md5::Md5;
use reqwest::Url;
use sha2::{Digest as _, Sha256};
use slipway_package::{Inspection, Limits};
use tempfile::NamedTempFile;

use super::arguments::GivenFile;
use super::failure::Failure;

const BUFFER_BYTES: usize = 256 * 1024;

/// File to publish.
pub(super) struct LocalFile {
    /// Identifier from the command line.
    pub(super) identifier: Option<String>,
    pub(super) path: PathBuf,
    pub(super) filename: String,
    pub(super) size: u64,
    pub(super) md5: String,
    pub(super) sha256: [u8; 32],
    pub(super) facts: Inspection,
    /// Address from which devices download the file; `None` if it is uploaded.
    pub(super) external: Option<ExternalFile>,
}

/// Downloaded copy of an external file.
pub(super) struct ExternalFile {
    pub(super) url: Url,
    /// Deleted at the end.
    pub(super) _copy: NamedTempFile,
}

/// Identity of a package.
pub(super) struct Package<'a> {
    pub(super) name: &'a str,
    pub(super) version_code: Option<u64>,
    pub(super) version_name: Option<&'a str>,
}

impl LocalFile {
    pub(super) async fn read(given: &GivenFile) -> Result<Self, Failure> {
        let filename = given
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Self::read_as(given.clone(), filename.unwrap_or_default()).await
    }

    /// Reads a file that is shown under another name.
    pub(super) async fn read_as(given: GivenFile, filename: String) -> Result<Self, Failure> {
        let read = tokio::task::spawn_blocking(move || read(given, filename));
        read.await.map_err(Failure::local)?
    }

    pub(super) fn sha256_hex(&self) -> String {
        hex::encode(self.sha256)
    }

    /// Returns the identity of a package; `None` for other files.
    pub(super) fn package(&self) -> Option<Package<'_>> {
        match &self.facts {
            Inspection::Apk(facts) => Some(Package {
                name: &facts.package_name,
                version_code: facts.version_code,
                version_name: facts.version_name.as_deref(),
            }),
            Inspection::Hap(facts) => Some(Package {
                name: &facts.bundle_name,
                version_code: Some(facts.version_code),
                version_name: Some(&facts.version_name),
            }),
            Inspection::Zip(_) | Inspection::Other => None,
        }
    }
}

fn read(GivenFile { identifier, path }: GivenFile, filename: String) -> Result<LocalFile, Failure> {
    let unreadable = |why: std::io::Error| Failure::Usage(format!("{}: {why}", path.display()));
    let mut file = File::open(&path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Failure::Usage(format!("{} is not a file", path.display())));
    }
    let (size, md5, sha256) = digests(&mut file).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let facts = inspect(&file, &path)?;
    Ok(LocalFile {
        identifier,
        filename,
        size,
        md5,
        sha256,
        facts,
        path,
        external: None,
    })
}

fn inspect(file: &File, path: &Path) -> Result<Inspection, Failure> {
    slipway_package::inspect(file, &Limits::default())
        .map_err(|why| Failure::Refused(format!("{}: {why}", path.display())))
}

fn digests(file: &mut File) -> std::io::Result<(u64, String, [u8; 32])> {
    let (mut md5, mut sha256, mut size) = (Md5::new(), Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((size, hex::encode(md5.finalize()), sha256.finalize().into()));
        }
        size += length as u64;
        md5.update(&buffer[..length]);
        sha256.update(&buffer[..length]);
    }
}
