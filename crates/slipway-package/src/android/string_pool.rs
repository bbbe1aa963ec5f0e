//! String pools.

use super::chunk::Chunk;
use crate::cursor::{Cursor, to_usize};
use crate::error::Flaw;

const UTF8: u32 = 1 << 8;

/// Longest string that is decoded, in bytes or UTF-16 units. Longer ones are valid, but no name or label.
const LONGEST: usize = 4096;

/// Strings of a manifest or a resource table, decoded on demand.
#[derive(Clone, Copy)]
pub(super) struct StringPool<'a> {
    offsets: &'a [u8],
    data: &'a [u8],
    is_utf8: bool,
}

impl<'a> StringPool<'a> {
    pub(super) fn parse(chunk: &Chunk<'a>) -> Result<Self, Flaw> {
        let mut header = chunk.header()?;
        let count = header.size()?;
        let _styles = header.u32()?;
        let flags = header.u32()?;
        let data_offset = header.size()?;
        let length = count.checked_mul(4).ok_or(Flaw::CUT_OFF)?;
        Ok(Self {
            offsets: chunk.body()?.take(length)?,
            data: if count == 0 {
                &[]
            } else {
                Cursor::at(chunk.bytes, data_offset)?.rest()
            },
            is_utf8: flags & UTF8 != 0,
        })
    }

    /// Decodes a string. Invalid sequences become U+FFFD.
    pub(super) fn get(&self, index: u32) -> Result<String, Flaw> {
        let position = to_usize(index).checked_mul(4).ok_or(Flaw::CUT_OFF)?;
        let offset = Cursor::at(self.offsets, position)?.size()?;
        let mut rest = Cursor::at(self.data, offset)?;
        if self.is_utf8 {
            decode_utf8(&mut rest)
        } else {
            decode_utf16(&mut rest)
        }
    }
}

fn decode_utf8(rest: &mut Cursor<'_>) -> Result<String, Flaw> {
    let _utf16_length = utf8_length(rest)?;
    let length = utf8_length(rest)?;
    require_short(length)?;
    let bytes = rest.take(length)?;
    require_end(rest.u8()?.into())?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn utf8_length(rest: &mut Cursor<'_>) -> Result<usize, Flaw> {
    let first = usize::from(rest.u8()?);
    if first & 0x80 == 0 {
        return Ok(first);
    }
    Ok((first & 0x7f) << 8 | usize::from(rest.u8()?))
}

fn decode_utf16(rest: &mut Cursor<'_>) -> Result<String, Flaw> {
    let first = usize::from(rest.u16()?);
    let length = if first & 0x8000 == 0 {
        first
    } else {
        (first & 0x7fff) << 16 | usize::from(rest.u16()?)
    };
    require_short(length)?;
    let bytes = rest.take(2 * length)?;
    require_end(rest.u16()?)?;
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    Ok(String::from_utf16_lossy(&units))
}

fn require_short(length: usize) -> Result<(), Flaw> {
    if length > LONGEST {
        return Err(format!("a string is longer than {LONGEST}").into());
    }
    Ok(())
}

/// Android refuses a string whose length does not lead to its terminator.
fn require_end(terminator: u16) -> Result<(), Flaw> {
    if terminator != 0 {
        return Err("a string has a false length".into());
    }
    Ok(())
}
