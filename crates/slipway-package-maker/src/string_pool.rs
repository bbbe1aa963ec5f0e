//! String pools.

use crate::little_endian::{Bytes, chunk, length};

const KIND: u16 = 0x0001;
const UTF8: u32 = 1 << 8;
/// Length of the chunk's header.
const HEADER_LENGTH: u32 = 28;

/// Strings in the order of their indices.
#[derive(Clone, Debug, Default)]
pub(crate) struct StringPool(Vec<String>);

impl StringPool {
    /// Returns the index of a string, which is added if it is new.
    pub(crate) fn index(&mut self, text: &str) -> u32 {
        let found = self.0.iter().position(|other| other == text);
        let index = found.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        u32::try_from(index).unwrap()
    }

    pub(crate) fn encode(&self, is_utf8: bool) -> Vec<u8> {
        let mut offsets = Bytes::default();
        let mut data = Vec::new();
        for text in &self.0 {
            offsets = offsets.u32(length(&data));
            data.extend(if is_utf8 { utf8(text) } else { utf16(text) });
        }
        data.resize(data.len().next_multiple_of(4), 0);
        let count = u32::try_from(self.0.len()).unwrap();
        let header = Bytes::default()
            .u32(count)
            .u32(0)
            .u32(if is_utf8 { UTF8 } else { 0 })
            .u32(HEADER_LENGTH + 4 * count)
            .u32(0);
        chunk(KIND, &header.0, &offsets.bytes(&data).0)
    }
}

fn utf8(text: &str) -> Vec<u8> {
    let bytes = utf8_length(Bytes::default(), text.encode_utf16().count());
    utf8_length(bytes, text.len()).bytes(text.as_bytes()).u8(0).0
}

fn utf8_length(bytes: Bytes, length: usize) -> Bytes {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    if length < 0x80 {
        bytes.u8(low)
    } else {
        bytes.u8(0x80 | high).u8(low)
    }
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16();
    let bytes = Bytes::default().u16(u16::try_from(text.encode_utf16().count()).unwrap());
    units.fold(bytes, Bytes::u16).u16(0).0
}
