//! Framing of a snapshot file: header, blocks and end, with their tags. The content of a block is opaque here.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{FORMAT, MAX_UNPACKED_BYTES, SnapshotError};
use crate::random;
use crate::secrets::{Keyring, MacKey, TAG_BYTES};
use slipway_domain::catalog::ids::TenantId;

const MAGIC: &[u8] = b"SLIPWAY1";
const END: &[u8] = b"SLIPWEND";
pub(super) const KEY_ID_BYTES: usize = 12;
const UUID_BYTES: usize = 16;
/// Upper bound of the size of a header.
const HEADER_BYTES: u64 = 256;
/// Size of an empty block.
const SMALLEST_BLOCK: usize = 3 * 8 + TAG_BYTES;

pub(super) type Tag = [u8; TAG_BYTES];

/// Position at which a journal continues: the number of the next segment, and the last tag before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainPosition {
    pub(super) number: u64,
    pub(super) tail: Tag,
}

impl ChainPosition {
    /// Position without a preceding snapshot.
    pub(super) const START: Self = Self {
        number: 1,
        tail: [0; TAG_BYTES],
    };
}

/// Header of a snapshot.
pub(super) struct Header {
    pub(super) as_of: DateTime<Utc>,
    pub(super) installation: Uuid,
    pub(super) block_count: u64,
    /// Position at which the snapshot's journal begins.
    pub(super) journal: ChainPosition,
}

/// Packed bytes of a tenant, read from a snapshot.
pub(super) struct Block<'a> {
    pub(super) tenant: TenantId,
    pub(super) bytes: &'a [u8],
    /// Number of bytes after unpacking.
    pub(super) unpacked: usize,
}

/// Snapshot whose tags were all verified.
pub(super) struct Frames<'a> {
    pub(super) as_of: DateTime<Utc>,
    pub(super) installation: Uuid,
    pub(super) journal: ChainPosition,
    pub(super) blocks: Vec<Block<'a>>,
}

/// Packed bytes of a tenant, to be written to a snapshot.
pub(super) struct PackedBlock {
    pub(super) bytes: Vec<u8>,
    /// Number of bytes after unpacking.
    pub(super) unpacked: u64,
}

/// Location of a block in a snapshot.
pub(super) struct BlockLocation {
    /// Index among the blocks.
    position: u64,
    /// Offset of the first byte in the file.
    offset: u64,
    /// Number of bytes, including the lengths and the tag.
    length: usize,
}

/// Tag of a header, which the tags of all blocks cover.
pub(super) struct HeaderTag(Tag);

/// Writer of a snapshot's frames.
pub(super) struct FrameWriter<'k, W> {
    out: W,
    key: &'k MacKey,
    header_tag: Tag,
    block_tags: Vec<u8>,
    /// Offset of the next block.
    offset: u64,
}

impl<'k, W: Write> FrameWriter<'k, W> {
    pub(super) fn begin(mut out: W, keyring: &'k Keyring, header: &Header) -> Result<Self, SnapshotError> {
        let (key_id, key) = keyring.snapshot_key();
        let bytes = [
            MAGIC,
            &FORMAT.to_le_bytes(),
            key_id.as_bytes(),
            &header.as_of.timestamp_micros().to_le_bytes(),
            header.installation.as_bytes(),
            random::uuid().as_bytes(),
            &header.block_count.to_le_bytes(),
            &header.journal.number.to_le_bytes(),
            &header.journal.tail,
        ]
        .concat();
        let header_tag = key.tag(&[b"header", &bytes]);
        out.write_all(&bytes)?;
        out.write_all(&header_tag)?;
        Ok(Self {
            out,
            key,
            header_tag,
            block_tags: Vec::new(),
            offset: (bytes.len() + TAG_BYTES) as u64,
        })
    }

    /// Adds a block and returns its location.
    pub(super) fn add(
        &mut self,
        tenant: TenantId,
        packed: &PackedBlock,
    ) -> Result<BlockLocation, SnapshotError> {
        let position = (self.block_tags.len() / TAG_BYTES) as u64;
        let bytes = &packed.bytes;
        let lengths = [
            tenant.get().to_le_bytes(),
            (bytes.len() as u64).to_le_bytes(),
            packed.unpacked.to_le_bytes(),
        ]
        .concat();
        let tag = block_tag(self.key, &self.header_tag, position, &lengths, bytes);
        self.out.write_all(&lengths)?;
        self.out.write_all(bytes)?;
        self.out.write_all(&tag)?;
        self.block_tags.extend_from_slice(&tag);
        let location = BlockLocation {
            position,
            offset: self.offset,
            length: lengths.len() + bytes.len() + TAG_BYTES,
        };
        self.offset += location.length as u64;
        Ok(location)
    }

    /// Writes the end. Without it, no block is valid.
    pub(super) fn finish(mut self) -> Result<HeaderTag, SnapshotError> {
        let tag = self.key.tag(&[b"end", &self.header_tag, &self.block_tags]);
        self.out.write_all(END)?;
        self.out.write_all(&tag)?;
        self.out.flush()?;
        Ok(HeaderTag(self.header_tag))
    }
}

/// Reads one block again from a snapshot that this process wrote.
pub(super) fn reread_block(
    mut file: &File,
    header_tag: &HeaderTag,
    location: &BlockLocation,
    keyring: &Keyring,
) -> Result<PackedBlock, SnapshotError> {
    let mut bytes = vec![0; location.length];
    file.seek(SeekFrom::Start(location.offset))?;
    file.read_exact(&mut bytes)?;
    let (_, key) = keyring.snapshot_key();
    let (block, _) = read_block(&mut ByteCursor(&bytes), key, &header_tag.0, location.position)
        .ok_or_else(|| SnapshotError::Damaged(format!("block {}", location.position)))?;
    Ok(PackedBlock {
        bytes: block.bytes.to_vec(),
        unpacked: block.unpacked as u64,
    })
}

fn block_tag(key: &MacKey, header_tag: &Tag, position: u64, lengths: &[u8], bytes: &[u8]) -> Tag {
    key.tag(&[b"block", header_tag, &position.to_le_bytes(), lengths, bytes])
}

impl<'a> Frames<'a> {
    /// Verifies every tag, and that there are no other bytes.
    pub(super) fn verify(bytes: &'a [u8], keyring: &Keyring) -> Result<Self, SnapshotError> {
        let mut cursor = ByteCursor(bytes);
        let (header, key, header_tag) = read_header(&mut cursor, keyring)?;
        let mut blocks = Vec::with_capacity(checked_count(header.block_count, &cursor)?);
        let mut block_tags = Vec::with_capacity(blocks.capacity() * TAG_BYTES);
        for position in 0..header.block_count {
            let (block, tag) = read_block(&mut cursor, key, &header_tag, position)
                .ok_or_else(|| SnapshotError::Damaged(format!("block {position}")))?;
            blocks.push(block);
            block_tags.extend_from_slice(tag);
        }
        let end_is_genuine =
            cursor.take(END.len()) == Some(END) && key.verify(&[b"end", &header_tag, &block_tags], cursor.0);
        if !end_is_genuine {
            return Err(SnapshotError::Damaged("the end".to_owned()));
        }
        Ok(Self {
            as_of: header.as_of,
            installation: header.installation,
            journal: header.journal,
            blocks,
        })
    }
}

fn read_header<'k>(
    cursor: &mut ByteCursor<'_>,
    keyring: &'k Keyring,
) -> Result<(Header, &'k MacKey, Tag), SnapshotError> {
    let damaged = || SnapshotError::Damaged("the header".to_owned());
    let whole = cursor.0;
    let key = read_key(cursor, MAGIC, keyring)?;
    let header = read_facts(cursor).ok_or_else(damaged)?;
    let bytes = &whole[..whole.len() - cursor.0.len()];
    let tag: Tag = cursor.array().ok_or_else(damaged)?;
    if !key.verify(&[b"header", bytes], &tag) {
        return Err(damaged());
    }
    Ok((header, key, tag))
}

/// Reads the beginning of a file and returns the key that authenticates it.
pub(super) fn read_key<'k>(
    cursor: &mut ByteCursor<'_>,
    magic: &[u8],
    keyring: &'k Keyring,
) -> Result<&'k MacKey, SnapshotError> {
    let damaged = || SnapshotError::Damaged("the header".to_owned());
    let begin = cursor.take(magic.len()).ok_or_else(damaged)?;
    if begin != magic {
        return Err(SnapshotError::NotASnapshot);
    }
    // Other formats may have other headers, so the format is checked before anything after it is read.
    let format = u32::from_le_bytes(cursor.array().ok_or_else(damaged)?);
    if format != FORMAT {
        return Err(SnapshotError::OtherFormat(format));
    }
    let key_id = cursor
        .take(KEY_ID_BYTES)
        .and_then(|id| str::from_utf8(id).ok())
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(damaged)?;
    keyring
        .find_snapshot_key(key_id)
        .ok_or_else(|| SnapshotError::KeyMissing(key_id.to_owned()))
}

/// Reads the number of the journal that continues a snapshot, from the header alone.
pub(super) fn read_journal_number(file: &File, keyring: &Keyring) -> Result<u64, SnapshotError> {
    let mut bytes = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut bytes)?;
    let (header, ..) = read_header(&mut ByteCursor(&bytes), keyring)?;
    Ok(header.journal.number)
}

fn read_facts(cursor: &mut ByteCursor<'_>) -> Option<Header> {
    let as_of = DateTime::from_timestamp_micros(i64::from_le_bytes(cursor.array()?))?;
    let installation = Uuid::from_bytes(cursor.array()?);
    // The nonce is covered by the tag and not needed any more.
    cursor.take(UUID_BYTES)?;
    Some(Header {
        as_of,
        installation,
        block_count: u64::from_le_bytes(cursor.array()?),
        journal: ChainPosition {
            number: u64::from_le_bytes(cursor.array()?),
            tail: cursor.array()?,
        },
    })
}

/// Returns the number of blocks if the file has room for them.
fn checked_count(count: u64, cursor: &ByteCursor<'_>) -> Result<usize, SnapshotError> {
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= cursor.0.len() / SMALLEST_BLOCK)
        .ok_or_else(|| SnapshotError::Damaged("the number of blocks".to_owned()))
}

fn read_block<'a>(
    cursor: &mut ByteCursor<'a>,
    key: &MacKey,
    header_tag: &Tag,
    position: u64,
) -> Option<(Block<'a>, &'a [u8])> {
    let lengths = cursor.take(3 * 8)?;
    let mut numbers = ByteCursor(lengths);
    let tenant = TenantId::parse(i64::from_le_bytes(numbers.array()?)).ok()?;
    let stored = usize::try_from(u64::from_le_bytes(numbers.array()?)).ok()?;
    let unpacked = u64::from_le_bytes(numbers.array()?);
    let bytes = cursor.take(stored)?;
    let tag = cursor.take(TAG_BYTES)?;
    let is_genuine = unpacked <= MAX_UNPACKED_BYTES
        && key.verify(
            &[b"block", header_tag, &position.to_le_bytes(), lengths, bytes],
            tag,
        );
    let block = Block {
        tenant,
        bytes,
        unpacked: usize::try_from(unpacked).ok()?,
    };
    is_genuine.then_some((block, tag))
}

/// Cursor over the bytes that are left to read.
pub(super) struct ByteCursor<'a>(pub(super) &'a [u8]);

impl<'a> ByteCursor<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
