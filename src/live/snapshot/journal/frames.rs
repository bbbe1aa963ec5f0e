//! Framing of journal segments and their records, with their tags.

use std::fs::File;
use std::io::{self, Write};

use chrono::{DateTime, Utc};

use super::super::frames::{Block, ByteCursor, ChainPosition, KEY_ID_BYTES, PackedBlock, Tag, read_key};
use super::super::{FORMAT, MAX_UNPACKED_BYTES, SnapshotError};
use crate::random;
use crate::secrets::{Keyring, MacKey, TAG_BYTES};
use slipway_domain::catalog::ids::TenantId;

const MAGIC: &[u8] = b"SLIPWJNL";
const NONCE_BYTES: usize = 16;
/// Magic, format, key id, number, previous tag, nonce and the header's own tag.
const HEADER_BYTES: usize = MAGIC.len() + 4 + KEY_ID_BYTES + 8 + TAG_BYTES + NONCE_BYTES + TAG_BYTES;
/// Kind, number and the two lengths.
const RECORD_HEAD_BYTES: usize = 1 + 3 * 8;

const TENANT: u8 = 1;
const UNREADABLE: u8 = 2;
const REMOVED: u8 = 3;
const AS_OF: u8 = 4;

/// One change of the served catalog.
pub(super) enum Record<B> {
    /// Change of a tenant.
    Tenant(TenantId, B),
    /// Tenant whose rows cannot be read.
    Unreadable(TenantId),
    Removed(TenantId),
    /// Time of a comparison with the database, at which all preceding records were served.
    AsOf(DateTime<Utc>),
}

/// Segment that is being written.
pub(super) struct SegmentWriter {
    file: File,
    position: ChainPosition,
    length: u64,
}

/// Accepted records of a segment.
pub(super) struct Segment<'a> {
    pub(super) number: u64,
    pub(super) tail_before: Tag,
    pub(super) records: Vec<Record<Block<'a>>>,
    /// Tag of the last record.
    pub(super) tail: Tag,
    pub(super) end: SegmentEnd,
}

/// State of the bytes after the last accepted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentEnd {
    Whole,
    /// Part of a record whose write was interrupted.
    Torn,
    /// Record that fails verification.
    Damaged,
}

impl SegmentWriter {
    pub(super) fn begin(
        mut file: File,
        keyring: &Keyring,
        position: ChainPosition,
    ) -> Result<Self, SnapshotError> {
        let (key_id, key) = keyring.snapshot_key();
        let bytes = [
            MAGIC,
            &FORMAT.to_le_bytes(),
            key_id.as_bytes(),
            &position.number.to_le_bytes(),
            &position.tail,
            random::uuid().as_bytes(),
        ]
        .concat();
        let tail = key.tag(&[b"journal", &bytes]);
        file.write_all(&[bytes.as_slice(), &tail].concat())?;
        Ok(Self {
            file,
            position: ChainPosition { tail, ..position },
            length: (bytes.len() + TAG_BYTES) as u64,
        })
    }

    /// Appends a record. After a failure, the file ends with the previous record.
    pub(super) fn append(
        &mut self,
        keyring: &Keyring,
        record: &Record<PackedBlock>,
    ) -> Result<u64, SnapshotError> {
        let (kind, number, bytes, unpacked) = match record {
            Record::Tenant(tenant, packed) => {
                (TENANT, tenant.get(), packed.bytes.as_slice(), packed.unpacked)
            }
            Record::Unreadable(tenant) => (UNREADABLE, tenant.get(), [].as_slice(), 0),
            Record::Removed(tenant) => (REMOVED, tenant.get(), [].as_slice(), 0),
            Record::AsOf(as_of) => (AS_OF, as_of.timestamp_micros(), [].as_slice(), 0),
        };
        let head = [
            [kind].as_slice(),
            &number.to_le_bytes(),
            &(bytes.len() as u64).to_le_bytes(),
            &unpacked.to_le_bytes(),
        ]
        .concat();
        let (_, key) = keyring.snapshot_key();
        let head_tag = key.tag(&[b"head", &self.position.tail, &head]);
        let tag = key.tag(&[b"record", &self.position.tail, &head, bytes]);
        let whole = [head.as_slice(), &head_tag, bytes, &tag].concat();
        if let Err(error) = self.file.write_all(&whole) {
            self.file.set_len(self.length)?;
            return Err(error.into());
        }
        self.length += whole.len() as u64;
        self.position.tail = tag;
        Ok(whole.len() as u64)
    }

    pub(super) fn synchronise(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Returns the position of the next segment.
    pub(super) fn next(&self) -> ChainPosition {
        ChainPosition {
            number: self.position.number + 1,
            ..self.position
        }
    }
}

/// Reads the records of a segment up to the first invalid one. Returns `None` if the header is incomplete.
pub(super) fn read_segment<'a>(
    bytes: &'a [u8],
    keyring: &Keyring,
) -> Result<Option<Segment<'a>>, SnapshotError> {
    let damaged = || SnapshotError::Damaged("the header of a journal".to_owned());
    if bytes.len() < HEADER_BYTES {
        return Ok(None);
    }
    let mut cursor = ByteCursor(bytes);
    let key = read_key(&mut cursor, MAGIC, keyring)?;
    let (number, tail_before) = read_facts(&mut cursor).ok_or_else(damaged)?;
    let header = &bytes[..bytes.len() - cursor.0.len()];
    let tag = cursor.array::<TAG_BYTES>().ok_or_else(damaged)?;
    if !key.verify(&[b"journal", header], &tag) {
        return Err(damaged());
    }
    let mut segment = Segment {
        number,
        tail_before,
        records: Vec::new(),
        tail: tag,
        end: SegmentEnd::Whole,
    };
    while !cursor.0.is_empty() {
        match read_record(&mut cursor, key, &segment.tail) {
            Ok((record, tag)) => {
                segment.records.push(record);
                segment.tail = tag;
            }
            Err(end) => {
                segment.end = end;
                break;
            }
        }
    }
    Ok(Some(segment))
}

fn read_facts(cursor: &mut ByteCursor<'_>) -> Option<(u64, Tag)> {
    let number = u64::from_le_bytes(cursor.array()?);
    let tail_before = cursor.array()?;
    cursor.take(NONCE_BYTES)?;
    Some((number, tail_before))
}

fn read_record<'a>(
    cursor: &mut ByteCursor<'a>,
    key: &MacKey,
    tail: &Tag,
) -> Result<(Record<Block<'a>>, Tag), SegmentEnd> {
    let head = cursor.take(RECORD_HEAD_BYTES).ok_or(SegmentEnd::Torn)?;
    // Without a tag of its own, a wrong length would look like an interrupted write.
    let head_tag: Tag = cursor.array().ok_or(SegmentEnd::Torn)?;
    if !key.verify(&[b"head", tail, head], &head_tag) {
        return Err(SegmentEnd::Damaged);
    }
    let (kind, number, stored, unpacked) = read_head(head).ok_or(SegmentEnd::Damaged)?;
    let bytes = cursor.take(stored).ok_or(SegmentEnd::Torn)?;
    let tag: Tag = cursor.array().ok_or(SegmentEnd::Torn)?;
    if !key.verify(&[b"record", tail, head, bytes], &tag) {
        return Err(SegmentEnd::Damaged);
    }
    let record = record_of(kind, number, bytes, unpacked).ok_or(SegmentEnd::Damaged)?;
    Ok((record, tag))
}

fn read_head(head: &[u8]) -> Option<(u8, i64, usize, usize)> {
    let mut head = ByteCursor(head);
    let [kind] = head.array()?;
    let number = i64::from_le_bytes(head.array()?);
    let stored = usize::try_from(u64::from_le_bytes(head.array()?)).ok()?;
    let unpacked = u64::from_le_bytes(head.array()?);
    let unpacked = usize::try_from(unpacked)
        .ok()
        .filter(|_| unpacked <= MAX_UNPACKED_BYTES)?;
    Some((kind, number, stored, unpacked))
}

fn record_of(kind: u8, number: i64, bytes: &[u8], unpacked: usize) -> Option<Record<Block<'_>>> {
    let tenant = || TenantId::parse(number).ok();
    Some(match kind {
        TENANT => Record::Tenant(
            tenant()?,
            Block {
                tenant: tenant()?,
                bytes,
                unpacked,
            },
        ),
        UNREADABLE => Record::Unreadable(tenant()?),
        REMOVED => Record::Removed(tenant()?),
        AS_OF => Record::AsOf(DateTime::from_timestamp_micros(number)?),
        _ => return None,
    })
}
