//! Chunks, of which binary XML and resource tables consist.

use crate::cursor::Cursor;
use crate::error::Flaw;

pub(super) const STRING_POOL: u16 = 0x0001;
pub(super) const RESOURCE_TABLE: u16 = 0x0002;
pub(super) const XML: u16 = 0x0003;

/// Length of the header that all chunks have.
pub(super) const HEADER_LENGTH: usize = 8;

/// Chunk with its header.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: u16,
    pub(super) header_length: usize,
    /// All bytes, with the header.
    pub(super) bytes: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Takes the next chunk. It contains at least its header, so that every call makes progress.
    pub(super) fn next(rest: &mut Cursor<'a>) -> Result<Self, Flaw> {
        let mut header = *rest;
        let kind = header.u16()?;
        let header_length = usize::from(header.u16()?);
        let length = header.size()?;
        if header_length < HEADER_LENGTH || length < header_length {
            return Err("a chunk is shorter than its header".into());
        }
        Ok(Self {
            kind,
            header_length,
            bytes: rest.take(length)?,
        })
    }

    /// Returns the header after its common part.
    pub(super) fn header(&self) -> Result<Cursor<'a>, Flaw> {
        let header = self.bytes.get(HEADER_LENGTH..self.header_length);
        header.map(Cursor::new).ok_or(Flaw::CUT_OFF)
    }

    pub(super) fn body(&self) -> Result<Cursor<'a>, Flaw> {
        Cursor::at(self.bytes, self.header_length)
    }
}
