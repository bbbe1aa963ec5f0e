//! ZIP containers, of which each header can be falsified.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use crate::little_endian::{Bytes, length};

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

/// Date of all entries: 1 January 1981, so that the same content gives the same bytes.
const MODIFIED: u32 = 0x0221_0000;

/// Fields that the local and the central header share.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u32,
    pub(crate) size: u32,
    pub(crate) extra: Vec<u8>,
}

/// Entry of a container.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) local: Header,
    pub(crate) central: Header,
    pub(crate) data: Vec<u8>,
    /// Offset of the local header, instead of the true one.
    pub(crate) offset: Option<u32>,
}

impl Entry {
    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self::packed(name, content, STORED, content.to_vec())
    }

    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        Self::packed(name, content, DEFLATED, encoder.finish().unwrap())
    }

    fn packed(name: &str, content: &[u8], method: u16, data: Vec<u8>) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        let header = Header {
            name: name.as_bytes().to_vec(),
            flags: 0,
            method,
            crc32: crc.sum(),
            compressed_size: length(&data),
            size: length(content),
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            central: header,
            data,
            offset: None,
        }
    }

    /// Changes both headers.
    pub(crate) fn change(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }
}

/// Parts of a container, between which a signing block fits.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) content: Vec<u8>,
    pub(crate) directory: Vec<u8>,
    pub(crate) count: u16,
}

impl Parts {
    /// Writes entries. Stored content is aligned to four bytes, as Android maps it into memory.
    pub(crate) fn new(entries: &[Entry]) -> Self {
        let mut content = Vec::new();
        let mut directory = Vec::new();
        for entry in entries {
            let offset = entry.offset.unwrap_or(length(&content));
            let mut local = entry.local.clone();
            if local.method == STORED && local.extra.is_empty() {
                let end = content.len() + 30 + local.name.len();
                local.extra = vec![0; end.next_multiple_of(4) - end];
            }
            content.extend(local_header(&local));
            content.extend_from_slice(&entry.data);
            directory.extend(central_header(&entry.central, offset));
        }
        Self {
            content,
            directory,
            count: u16::try_from(entries.len()).unwrap_or(u16::MAX),
        }
    }

    /// Joins the parts, with a signing block or other bytes before the central directory.
    pub(crate) fn join(&self, block: &[u8]) -> Vec<u8> {
        let offset = length(&self.content) + length(block);
        [&self.content, block, &self.directory, &self.end_record(offset)].concat()
    }

    pub(crate) fn end_record(&self, directory_offset: u32) -> Vec<u8> {
        let directory = Place::new(directory_offset, length(&self.directory));
        end_record(self.count, directory, &[])
    }
}

/// Writes a container.
pub(crate) fn write(entries: &[Entry]) -> Vec<u8> {
    Parts::new(entries).join(&[])
}

/// Place of the central directory in a container, as an end record states it.
#[derive(Clone, Copy)]
pub(crate) struct Place<N> {
    pub(crate) offset: N,
    pub(crate) size: N,
}

impl<N> Place<N> {
    pub(crate) fn new(offset: N, size: N) -> Self {
        Self { offset, size }
    }
}

/// Builds an end record with a comment.
pub(crate) fn end_record(count: u16, directory: Place<u32>, comment: &[u8]) -> Vec<u8> {
    Bytes::default()
        .u32(0x0605_4b50)
        .u32(0)
        .u16(count)
        .u16(count)
        .u32(directory.size)
        .u32(directory.offset)
        .u16(u16::try_from(comment.len()).unwrap())
        .bytes(comment)
        .0
}

/// Builds a ZIP64 record and its locator.
pub(crate) fn zip64_end(count: u64, directory: Place<u64>, record_offset: u64) -> Vec<u8> {
    let record = Bytes::default()
        .u32(0x0606_4b50)
        .u64(44)
        .u16(45)
        .u16(45)
        .u64(0)
        .u64(count)
        .u64(count)
        .u64(directory.size)
        .u64(directory.offset);
    let locator = Bytes::default().u32(0x0706_4b50).u32(0).u64(record_offset).u32(1);
    [record.0, locator.0].concat()
}

fn local_header(header: &Header) -> Vec<u8> {
    let bytes = Bytes::default().u32(0x0403_4b50).u16(20);
    let bytes = numbers(bytes, header).u16(u16::try_from(header.name.len()).unwrap());
    let bytes = bytes.u16(u16::try_from(header.extra.len()).unwrap());
    bytes.bytes(&header.name).bytes(&header.extra).0
}

fn central_header(header: &Header, offset: u32) -> Vec<u8> {
    let bytes = Bytes::default().u32(0x0201_4b50).u16(20).u16(20);
    let bytes = numbers(bytes, header).u16(u16::try_from(header.name.len()).unwrap());
    let bytes = bytes.u16(u16::try_from(header.extra.len()).unwrap());
    let bytes = bytes.u16(0).u16(0).u16(0).u32(0).u32(offset);
    bytes.bytes(&header.name).bytes(&header.extra).0
}

fn numbers(bytes: Bytes, header: &Header) -> Bytes {
    bytes
        .u16(header.flags)
        .u16(header.method)
        .u32(MODIFIED)
        .u32(header.crc32)
        .u32(header.compressed_size)
        .u32(header.size)
}
