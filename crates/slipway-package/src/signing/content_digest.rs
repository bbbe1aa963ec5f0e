//! Digests of the content that v2 and v3 signatures protect.

use std::io::{Read, Seek};

use aws_lc_rs::digest::{self, Algorithm, Context, SHA256, SHA512};

use super::algorithm::ContentHash;
use crate::error::{Flaw, InspectionError, Part};
use crate::source::Source;
use crate::zip::Archive;

const CHUNK_LENGTH: usize = 1 << 20;

/// Place of the central directory's offset in the end record.
const OFFSET_FIELD: std::ops::Range<usize> = 16..20;

/// Digests of the content, of each algorithm that a signer uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentDigests {
    sha256: Option<Vec<u8>>,
    sha512: Option<Vec<u8>>,
}

impl ContentDigests {
    pub(super) fn add(&mut self, hash: ContentHash, digest: &[u8]) -> Result<(), Flaw> {
        let slot = match hash {
            ContentHash::Sha256 => &mut self.sha256,
            ContentHash::Sha512 => &mut self.sha512,
        };
        if slot.as_ref().is_some_and(|other| other != digest) {
            return Err("two signatures state different digests".into());
        }
        *slot = Some(digest.to_vec());
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Flaw> {
        let both = [
            (ContentHash::Sha256, &other.sha256),
            (ContentHash::Sha512, &other.sha512),
        ];
        for (hash, digest) in both {
            if let Some(digest) = digest {
                self.add(hash, digest)?;
            }
        }
        Ok(())
    }
}

/// Computes the digests of the algorithms that `wanted` has. Reads the file once.
pub(super) fn compute<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    block_start: u64,
    wanted: &ContentDigests,
) -> Result<ContentDigests, InspectionError> {
    let mut hashers = Hashers {
        sha256: wanted.sha256.as_ref().map(|_| ChunkHasher::new(&SHA256)),
        sha512: wanted.sha512.as_ref().map(|_| ChunkHasher::new(&SHA512)),
    };
    hashers.add_section(source, 0, block_start)?;
    let directory_length = archive.end_record_offset - archive.directory_offset;
    hashers.add_section(source, archive.directory_offset, directory_length)?;
    hashers.add_chunk(&end_record(source, archive, block_start)?);
    Ok(ContentDigests {
        sha256: hashers.sha256.map(ChunkHasher::finish),
        sha512: hashers.sha512.map(ChunkHasher::finish),
    })
}

/// Returns the end record as the signer saw it: before the signing block moved the central directory.
fn end_record<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    block_start: u64,
) -> Result<Vec<u8>, InspectionError> {
    let length = source.length() - archive.end_record_offset;
    let mut record = source.read_range(archive.end_record_offset, length)?;
    let offset = u32::try_from(block_start).map_err(|_| Flaw::CUT_OFF.of(Part::Signature))?;
    if let Some(field) = record.get_mut(OFFSET_FIELD) {
        field.copy_from_slice(&offset.to_le_bytes());
    }
    Ok(record)
}

struct Hashers {
    sha256: Option<ChunkHasher>,
    sha512: Option<ChunkHasher>,
}

impl Hashers {
    fn add_section<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        offset: u64,
        length: u64,
    ) -> Result<(), InspectionError> {
        let mut section = source.section(offset, length)?;
        let mut buffer = Vec::with_capacity(CHUNK_LENGTH);
        let mut rest = length;
        while rest > 0 {
            buffer.clear();
            let next = rest.min(1 << 20);
            let read = section.by_ref().take(next).read_to_end(&mut buffer)?;
            if u64::try_from(read) != Ok(next) {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            self.add_chunk(&buffer);
            rest -= next;
        }
        Ok(())
    }

    fn add_chunk(&mut self, chunk: &[u8]) {
        for hasher in [&mut self.sha256, &mut self.sha512].into_iter().flatten() {
            hasher.add(chunk);
        }
    }
}

/// Digest over the digests of chunks of 1 MiB.
struct ChunkHasher {
    algorithm: &'static Algorithm,
    count: u32,
    digests: Vec<u8>,
}

impl ChunkHasher {
    fn new(algorithm: &'static Algorithm) -> Self {
        Self {
            algorithm,
            count: 0,
            digests: Vec::new(),
        }
    }

    fn add(&mut self, chunk: &[u8]) {
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let mut context = Context::new(self.algorithm);
        context.update(&[0xa5]);
        context.update(&length.to_le_bytes());
        context.update(chunk);
        self.digests.extend_from_slice(context.finish().as_ref());
        self.count += 1;
    }

    fn finish(self) -> Vec<u8> {
        let mut prefix = vec![0x5a];
        prefix.extend_from_slice(&self.count.to_le_bytes());
        prefix.extend_from_slice(&self.digests);
        digest::digest(self.algorithm, &prefix).as_ref().to_vec()
    }
}
