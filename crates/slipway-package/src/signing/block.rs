//! APK Signing Block, which lies between the entries and the central directory.

use std::io::{Read, Seek};

use crate::cursor::Cursor;
use crate::error::{Flaw, InspectionError, Part, invalid};
use crate::source::Source;
use crate::zip::Archive;

const MAGIC: &[u8; 16] = b"APK Sig Block 42";
/// Length of the size and the magic with which the block ends.
const FOOTER_LENGTH: u64 = 24;

const V2: u32 = 0x7109_871a;
const V3: u32 = 0xf053_68c0;
const V31: u32 = 0x1b93_ad61;

/// Number of pairs that a block may have. Packagers add a few: padding, dependencies, channel names.
const MAX_PAIRS: usize = 1024;

/// Values of the signature schemes, and the place of the block.
#[derive(Default)]
pub(super) struct SigningBlock {
    /// End of the entries: the beginning of the block, or of the central directory without a block.
    pub(super) start: u64,
    pub(super) v2: Option<Vec<u8>>,
    pub(super) v3: Option<Vec<u8>>,
    pub(super) v31: Option<Vec<u8>>,
}

impl SigningBlock {
    /// Finds the block and reads the signatures, each of at most `limit` bytes.
    pub(super) fn find<R: Read + Seek>(
        source: &mut Source<R>,
        archive: &Archive,
        limit: u64,
    ) -> Result<Self, InspectionError> {
        let end = archive.directory_offset;
        let Some(size) = read_size(source, end)? else {
            return Ok(Self {
                start: end,
                ..Self::default()
            });
        };
        // The first eight bytes repeat the size, which does not count them.
        let start = size.checked_add(8).and_then(|length| end.checked_sub(length));
        let Some(start) = start.filter(|start| *start >= archive.content_end && size >= FOOTER_LENGTH) else {
            return Err(damaged());
        };
        let mut block = Self {
            start,
            ..Self::default()
        };
        if read_u64(source, start)? != size {
            return Err(damaged());
        }
        block.read_pairs(source, end - FOOTER_LENGTH, limit)?;
        Ok(block)
    }

    fn read_pairs<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        end: u64,
        limit: u64,
    ) -> Result<(), InspectionError> {
        let mut position = self.start + 8;
        for _ in 0..MAX_PAIRS {
            if position == end {
                return Ok(());
            }
            let length = read_u64(source, position)?;
            let next = length
                .checked_add(8)
                .and_then(|length| position.checked_add(length));
            let Some(next) = next.filter(|next| *next <= end && length >= 4) else {
                return Err(damaged());
            };
            let id = read_u32(source, position + 8)?;
            if let Some(value) = self.value_mut(id) {
                if value.is_some() {
                    return Err(invalid(Part::Signature, "a signature scheme is there twice"));
                }
                if length > limit {
                    let reason = format!("{length} bytes exceed the limit of {limit}");
                    return Err(invalid(Part::Signature, reason));
                }
                *value = Some(source.read_range(position + 12, length - 4)?);
            }
            position = next;
        }
        Err(invalid(Part::Signature, "the signing block has too many values"))
    }

    fn value_mut(&mut self, id: u32) -> Option<&mut Option<Vec<u8>>> {
        match id {
            V2 => Some(&mut self.v2),
            V3 => Some(&mut self.v3),
            V31 => Some(&mut self.v31),
            _ => None,
        }
    }
}

/// Reads the size of the signing block from its footer. Returns `None` if the file has no signing block.
fn read_size<R: Read + Seek>(source: &mut Source<R>, end: u64) -> Result<Option<u64>, InspectionError> {
    let Some(footer) = end.checked_sub(FOOTER_LENGTH) else {
        return Ok(None);
    };
    let bytes = source.read_range(footer, FOOTER_LENGTH)?;
    let mut rest = Cursor::new(&bytes);
    let size = rest.u64().map_err(|flaw| flaw.of(Part::Signature))?;
    Ok((rest.rest() == MAGIC).then_some(size))
}

fn read_u64<R: Read + Seek>(source: &mut Source<R>, offset: u64) -> Result<u64, InspectionError> {
    let mut bytes = [0; 8];
    source.read_at(offset, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_u32<R: Read + Seek>(source: &mut Source<R>, offset: u64) -> Result<u32, InspectionError> {
    let mut bytes = [0; 4];
    source.read_at(offset, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn damaged() -> InspectionError {
    invalid(Part::Signature, Flaw::from("the signing block is damaged"))
}
