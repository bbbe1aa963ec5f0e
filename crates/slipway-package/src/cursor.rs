//! Bounds-checked reading of little-endian structures.

use crate::error::Flaw;

/// Unread rest of a byte string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Begins at an offset of a byte string.
    pub(crate) fn at(bytes: &'a [u8], offset: usize) -> Result<Self, Flaw> {
        bytes.get(offset..).map(Self).ok_or(Flaw::CUT_OFF)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Flaw::CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Flaw::CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Flaw> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Flaw> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Flaw> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Flaw> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads 32 bits that count or index bytes in memory.
    pub(crate) fn size(&mut self) -> Result<usize, Flaw> {
        self.u32().map(to_usize)
    }

    /// Reads a byte string that its 32-bit length precedes.
    pub(crate) fn prefixed(&mut self) -> Result<Self, Flaw> {
        let length = self.size()?;
        self.take(length).map(Self)
    }
}

/// Converts a 32-bit number. Where it does not fit, no buffer is that long, and the bounds check refuses it.
pub(crate) fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
