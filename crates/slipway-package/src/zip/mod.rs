//! ZIP containers, read strictly.
//!
//! A container has one meaning here or none: the central directory lies directly before its end record, names are
//! unique, entries do not overlap, and each local header agrees with the central one. Readers differ in what they do
//! with other files, so that a device could install something else than what the facts say.

mod content;
mod directory;
mod end_record;
mod layout;
mod names;
mod zip64;

use std::io::{Read, Seek};

use crate::error::{InspectionError, Part, invalid};
use crate::facts::ZipFacts;
use crate::limits::Limits;
use crate::source::Source;

pub(crate) use content::{read_beginning, read_entry};
pub(crate) use directory::Entry;

/// Signature of a local header, with which a container that is not empty begins.
const LOCAL_HEADER: u32 = 0x0403_4b50;
/// Signature of the end record, with which an empty container begins.
const END_RECORD: u32 = 0x0605_4b50;

/// Container whose structure has been checked.
pub(crate) struct Archive {
    entries: Vec<Entry>,
    /// The central directory, which contains the names.
    directory: Vec<u8>,
    pub(crate) directory_offset: u64,
    pub(crate) end_record_offset: u64,
    /// End of the last entry's content.
    pub(crate) content_end: u64,
    pub(crate) is_zip64: bool,
    unpacked_bytes: u64,
}

impl Archive {
    /// Reads the structure of a container; `None` if the file does not begin as one.
    pub(crate) fn open<R: Read + Seek>(
        source: &mut Source<R>,
        limits: &Limits,
    ) -> Result<Option<Self>, InspectionError> {
        if !begins_as_container(source)? {
            return Ok(None);
        }
        let end = end_record::find(source)?;
        require_at_most("entries", end.entries, limits.entries)?;
        require_at_most(
            "bytes in the central directory",
            end.directory_size,
            limits.directory_bytes,
        )?;
        let directory = source.read_range(end.directory_offset, end.directory_size)?;
        let mut entries =
            directory::parse(&directory, end.entries).map_err(|flaw| flaw.of(Part::Container))?;
        let unpacked_bytes = unpacked_bytes(&entries);
        require_at_most("unpacked bytes", unpacked_bytes, limits.unpacked_bytes)?;
        let content_end = layout::check(source, &mut entries, &directory, end.directory_offset)?;
        Ok(Some(Self {
            entries,
            directory,
            directory_offset: end.directory_offset,
            end_record_offset: end.offset,
            content_end,
            is_zip64: end.is_zip64,
            unpacked_bytes,
        }))
    }

    pub(crate) fn facts(&self) -> ZipFacts {
        ZipFacts {
            entries: u64::try_from(self.entries.len()).unwrap_or(u64::MAX),
            unpacked_bytes: self.unpacked_bytes,
        }
    }

    /// Iterates over the entries and their names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.name(&self.directory), entry))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        let mut entries = self.entries();
        entries.find_map(|(other, entry)| (other == name.as_bytes()).then_some(entry))
    }
}

fn begins_as_container<R: Read + Seek>(source: &mut Source<R>) -> Result<bool, InspectionError> {
    let mut magic = [0; 4];
    if source.length() < 4 {
        return Ok(false);
    }
    source.read_at(0, &mut magic)?;
    Ok(matches!(u32::from_le_bytes(magic), LOCAL_HEADER | END_RECORD))
}

fn unpacked_bytes(entries: &[Entry]) -> u64 {
    let sizes = entries.iter().map(|entry| entry.size);
    sizes.fold(0, u64::saturating_add)
}

fn require_at_most(what: &str, count: u64, limit: u64) -> Result<(), InspectionError> {
    if count > limit {
        return Err(invalid(
            Part::Container,
            format!("{count} {what} exceed the limit of {limit}"),
        ));
    }
    Ok(())
}
