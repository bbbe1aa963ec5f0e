//! Writing of little-endian structures.

/// Byte string under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    pub(crate) fn u16(mut self, number: u16) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends a byte string after its 32-bit length.
    pub(crate) fn prefixed(self, bytes: &[u8]) -> Self {
        self.u32(length(bytes)).bytes(bytes)
    }
}

/// Length of a byte string as 32 bits.
pub(crate) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

/// Concatenates byte strings, each after its length.
pub(crate) fn sequence<T: AsRef<[u8]>>(elements: &[T]) -> Vec<u8> {
    let bytes = elements.iter().fold(Bytes::default(), |bytes, element| {
        bytes.prefixed(element.as_ref())
    });
    bytes.0
}

/// Builds a chunk: its kind, the rest of its header, and its body.
pub(crate) fn chunk(kind: u16, header: &[u8], body: &[u8]) -> Vec<u8> {
    let header_length = u16::try_from(header.len() + 8).unwrap();
    let bytes = Bytes::default()
        .u16(kind)
        .u16(header_length)
        .u32(u32::from(header_length) + length(body));
    bytes.bytes(header).bytes(body).0
}
