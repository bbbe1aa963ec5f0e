//! Central directory.

use std::ops::Range;

use super::names::UniqueNames;
use super::zip64::ExtraField;
use crate::cursor::Cursor;
use crate::error::{Flaw, quote};

const HEADER: u32 = 0x0201_4b50;
const HEADER_LENGTH: usize = 46;

/// Largest ratio that DEFLATE reaches, and an allowance for tiny entries.
const LARGEST_RATIO: u64 = 1032;
const RATIO_ALLOWANCE: u64 = 1032;

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

/// Flags that change the meaning of the content.
pub(super) const ENCRYPTED: u16 = 1 << 0;
pub(super) const DATA_DESCRIPTOR: u16 = 1 << 3;

/// Entry of the central directory.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Place of the name in the directory.
    name: Range<usize>,
    pub(super) flags: u16,
    pub(crate) method: u16,
    pub(super) crc32: u32,
    pub(crate) compressed_size: u64,
    pub(crate) size: u64,
    pub(super) header_offset: u64,
    /// Offset of the content. Known when the local header has been read.
    pub(super) data_offset: u64,
}

impl Entry {
    pub(super) fn name<'a>(&self, directory: &'a [u8]) -> &'a [u8] {
        directory.get(self.name.clone()).unwrap_or_default()
    }

    /// Returns `true` if the content is neither encrypted nor packed by an unusual method.
    pub(crate) fn is_readable(&self) -> bool {
        !self.is_encrypted() && matches!(self.method, STORED | DEFLATED)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & ENCRYPTED != 0
    }
}

/// Parses the directory, which consists of exactly that many entries.
pub(super) fn parse(directory: &[u8], count: u64) -> Result<Vec<Entry>, Flaw> {
    // The count is a claim: memory is reserved for what the bytes can hold.
    let possible = directory.len() / HEADER_LENGTH;
    let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(usize::MAX).min(possible));
    let mut names = UniqueNames::default();
    let mut rest = Cursor::new(directory);
    for _ in 0..count {
        let entry = parse_entry(&mut rest, directory.len())?;
        names.add(entry.name(directory))?;
        require_possible_size(&entry, directory)?;
        entries.push(entry);
    }
    if !rest.is_empty() {
        return Err("the central directory has more entries than it states".into());
    }
    Ok(entries)
}

fn parse_entry(rest: &mut Cursor<'_>, directory_length: usize) -> Result<Entry, Flaw> {
    if rest.u32()? != HEADER {
        return Err("the central directory is damaged, or has fewer entries than it states".into());
    }
    let _versions = rest.u32()?;
    let (flags, method) = (rest.u16()?, rest.u16()?);
    let _modified = rest.u32()?;
    let (crc32, compressed_size, size) = (rest.u32()?, rest.u32()?, rest.u32()?);
    let (name_length, extra_length, comment_length) = (rest.u16()?, rest.u16()?, rest.u16()?);
    let disk = rest.u16()?;
    let _attributes = (rest.u16()?, rest.u32()?);
    let header_offset = rest.u32()?;
    let name_start = directory_length - rest.rest().len();
    let name = rest.take(name_length.into())?;
    let extra = rest.take(extra_length.into())?;
    rest.take(comment_length.into())?;
    if disk != 0 {
        return Err("the archive has several volumes".into());
    }
    let mut zip64 = ExtraField::find(extra);
    let size = zip64.resolve(size)?;
    let compressed_size = zip64.resolve(compressed_size)?;
    Ok(Entry {
        name: name_start..name_start + name.len(),
        flags,
        method,
        crc32,
        compressed_size,
        size,
        header_offset: zip64.resolve(header_offset)?,
        data_offset: 0,
    })
}

/// Refuses a size that the packed bytes cannot have.
fn require_possible_size(entry: &Entry, directory: &[u8]) -> Result<(), Flaw> {
    let is_possible = match entry.method {
        STORED if !entry.is_encrypted() => entry.size == entry.compressed_size,
        DEFLATED => {
            let most = entry.compressed_size.saturating_mul(LARGEST_RATIO);
            entry.size <= most.saturating_add(RATIO_ALLOWANCE)
        }
        _ => true,
    };
    if !is_possible {
        let name = quote(entry.name(directory));
        return Err(format!("the unpacked size of {name} is impossible").into());
    }
    Ok(())
}
