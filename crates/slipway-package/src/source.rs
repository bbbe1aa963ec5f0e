//! Seekable file of known length.

use std::io::{Read, Seek, SeekFrom, Take};

use crate::error::{Flaw, InspectionError, Part, invalid};

/// Reader whose accesses are checked against the length of the file.
pub(crate) struct Source<R> {
    reader: R,
    length: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(crate) fn new(mut reader: R) -> Result<Self, InspectionError> {
        let length = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, length })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Fills the buffer from an offset.
    pub(crate) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), InspectionError> {
        let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        Ok(self.section(offset, length)?.read_exact(buffer)?)
    }

    /// Reads a range into memory. The caller has compared the length with a limit.
    pub(crate) fn read_range(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, InspectionError> {
        let mut section = self.section(offset, length)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| cut_off())?];
        section.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns a reader of a range, which lies within the file.
    pub(crate) fn section(&mut self, offset: u64, length: u64) -> Result<Take<&mut R>, InspectionError> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(cut_off());
        }
        self.reader.seek(SeekFrom::Start(offset))?;
        Ok((&mut self.reader).take(length))
    }
}

fn cut_off() -> InspectionError {
    invalid(Part::Container, Flaw::CUT_OFF)
}
