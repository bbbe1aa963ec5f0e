//! Header, blocks and end of a snapshot file, with their tags. What is in a block is none of this file's business.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::journal::ChainPosition;
use super::{FORMAT, MAX_UNPACKED_BYTES, SnapshotError};
use crate::catalog::ids::TenantId;
use crate::secrets::{Keyring, MacKey, TAG_BYTES};

const MAGIC: &[u8] = b"SLIPWAY1";
const END: &[u8] = b"SLIPWEND";
pub(super) const KEY_ID_BYTES: usize = 12;
const UUID_BYTES: usize = 16;
/// More than a header has.
const HEADER_BYTES: u64 = 256;
/// A block with no bytes of its own.
const SMALLEST_BLOCK: usize = 3 * 8 + TAG_BYTES;

pub(super) type Tag = [u8; TAG_BYTES];

/// What a snapshot's header tells.
pub(super) struct Header {
    pub(super) as_of: DateTime<Utc>,
    pub(super) installation: Uuid,
    pub(super) block_count: u64,
    /// Where the journal behind the snapshot begins.
    pub(super) journal: ChainPosition,
}

/// A tenant's packed bytes.
pub(super) struct Block<'a> {
    pub(super) tenant: TenantId,
    pub(super) bytes: &'a [u8],
    /// Their number when unpacked.
    pub(super) unpacked: usize,
}

/// A snapshot whose every tag was verified.
pub(super) struct Frames<'a> {
    pub(super) as_of: DateTime<Utc>,
    pub(super) installation: Uuid,
    pub(super) journal: ChainPosition,
    pub(super) blocks: Vec<Block<'a>>,
}

/// A tenant's packed bytes on their way into a snapshot.
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    /// Their number when unpacked.
    pub(super) unpacked: u64,
}

/// Where in a snapshot a block is.
pub(super) struct Place {
    /// Among the blocks.
    position: u64,
    /// Of its first byte in the file.
    offset: u64,
    /// How long it is, with its lengths and its tag.
    length: usize,
}

/// What the tags of a snapshot's blocks depend on.
pub(super) struct HeaderTag(Tag);

/// Writes the frames one after the other.
pub(super) struct FrameWriter<'k, W> {
    out: W,
    key: &'k MacKey,
    header_tag: Tag,
    block_tags: Vec<u8>,
    /// Where the next block begins.
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
            Uuid::new_v4().as_bytes(),
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

    /// Adds a block, and tells where it is.
    pub(super) fn add(&mut self, tenant: TenantId, packed: &Packed) -> Result<Place, SnapshotError> {
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
        let place = Place {
            position,
            offset: self.offset,
            length: lengths.len() + bytes.len() + TAG_BYTES,
        };
        self.offset += place.length as u64;
        Ok(place)
    }

    /// Writes the end, without which no block counts.
    pub(super) fn finish(mut self) -> Result<HeaderTag, SnapshotError> {
        let tag = self.key.tag(&[b"end", &self.header_tag, &self.block_tags]);
        self.out.write_all(END)?;
        self.out.write_all(&tag)?;
        self.out.flush()?;
        Ok(HeaderTag(self.header_tag))
    }
}

/// Reads one block again out of a snapshot that this process wrote.
pub(super) fn read_again(
    mut file: &File,
    header_tag: &HeaderTag,
    place: &Place,
    keyring: &Keyring,
) -> Result<Packed, SnapshotError> {
    let mut bytes = vec![0; place.length];
    file.seek(SeekFrom::Start(place.offset))?;
    file.read_exact(&mut bytes)?;
    let (_, key) = keyring.snapshot_key();
    let (block, _) = read_block(&mut Rest(&bytes), key, &header_tag.0, place.position)
        .ok_or_else(|| SnapshotError::Damaged(format!("block {}", place.position)))?;
    Ok(Packed {
        bytes: block.bytes.to_vec(),
        unpacked: block.unpacked as u64,
    })
}

fn block_tag(key: &MacKey, header_tag: &Tag, position: u64, lengths: &[u8], bytes: &[u8]) -> Tag {
    key.tag(&[b"block", header_tag, &position.to_le_bytes(), lengths, bytes])
}

impl<'a> Frames<'a> {
    /// Verifies every tag, and that there is nothing else.
    pub(super) fn verify(bytes: &'a [u8], keyring: &Keyring) -> Result<Self, SnapshotError> {
        let mut rest = Rest(bytes);
        let (header, key, header_tag) = read_header(&mut rest, keyring)?;
        let mut blocks = Vec::with_capacity(checked_count(header.block_count, &rest)?);
        let mut block_tags = Vec::with_capacity(blocks.capacity() * TAG_BYTES);
        for position in 0..header.block_count {
            let (block, tag) = read_block(&mut rest, key, &header_tag, position)
                .ok_or_else(|| SnapshotError::Damaged(format!("block {position}")))?;
            blocks.push(block);
            block_tags.extend_from_slice(tag);
        }
        let end_is_genuine =
            rest.take(END.len()) == Some(END) && key.verify(&[b"end", &header_tag, &block_tags], rest.0);
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
    rest: &mut Rest<'_>,
    keyring: &'k Keyring,
) -> Result<(Header, &'k MacKey, Tag), SnapshotError> {
    let damaged = || SnapshotError::Damaged("the header".to_owned());
    let whole = rest.0;
    let key = read_key(rest, MAGIC, keyring)?;
    let header = read_facts(rest).ok_or_else(damaged)?;
    let bytes = &whole[..whole.len() - rest.0.len()];
    let tag: Tag = rest.array().ok_or_else(damaged)?;
    if !key.verify(&[b"header", bytes], &tag) {
        return Err(damaged());
    }
    Ok((header, key, tag))
}

/// Reads how a file begins, and finds the key that it was made with.
pub(super) fn read_key<'k>(
    rest: &mut Rest<'_>,
    magic: &[u8],
    keyring: &'k Keyring,
) -> Result<&'k MacKey, SnapshotError> {
    let damaged = || SnapshotError::Damaged("the header".to_owned());
    let begin = rest.take(magic.len()).ok_or_else(damaged)?;
    if begin != magic {
        return Err(SnapshotError::NotASnapshot);
    }
    // Another format may have another header: nothing behind the format can be told before it is known.
    let format = u32::from_le_bytes(rest.array().ok_or_else(damaged)?);
    if format != FORMAT {
        return Err(SnapshotError::OtherFormat(format));
    }
    let key_id = rest
        .take(KEY_ID_BYTES)
        .and_then(|id| str::from_utf8(id).ok())
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(damaged)?;
    keyring
        .find_snapshot_key(key_id)
        .ok_or_else(|| SnapshotError::KeyMissing(key_id.to_owned()))
}

/// The number of the journal that continues a snapshot, from its header alone.
pub(super) fn read_journal_number(file: &File, keyring: &Keyring) -> Result<u64, SnapshotError> {
    let mut bytes = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut bytes)?;
    let (header, ..) = read_header(&mut Rest(&bytes), keyring)?;
    Ok(header.journal.number)
}

fn read_facts(rest: &mut Rest<'_>) -> Option<Header> {
    let as_of = DateTime::from_timestamp_micros(i64::from_le_bytes(rest.array()?))?;
    let installation = Uuid::from_bytes(rest.array()?);
    // The nonce has done its work in the tag.
    rest.take(UUID_BYTES)?;
    Some(Header {
        as_of,
        installation,
        block_count: u64::from_le_bytes(rest.array()?),
        journal: ChainPosition {
            number: u64::from_le_bytes(rest.array()?),
            tail: rest.array()?,
        },
    })
}

/// A number of blocks for which there is room in the file.
fn checked_count(count: u64, rest: &Rest<'_>) -> Result<usize, SnapshotError> {
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= rest.0.len() / SMALLEST_BLOCK)
        .ok_or_else(|| SnapshotError::Damaged("the number of blocks".to_owned()))
}

fn read_block<'a>(
    rest: &mut Rest<'a>,
    key: &MacKey,
    header_tag: &Tag,
    position: u64,
) -> Option<(Block<'a>, &'a [u8])> {
    let lengths = rest.take(3 * 8)?;
    let mut numbers = Rest(lengths);
    let tenant = TenantId::parse(i64::from_le_bytes(numbers.array()?)).ok()?;
    let stored = usize::try_from(u64::from_le_bytes(numbers.array()?)).ok()?;
    let unpacked = u64::from_le_bytes(numbers.array()?);
    let bytes = rest.take(stored)?;
    let tag = rest.take(TAG_BYTES)?;
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

/// What is left to read.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
