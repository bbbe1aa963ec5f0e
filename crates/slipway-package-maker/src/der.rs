//! DER.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// Encodes an element.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let header = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&header, content].concat()
}

/// Encodes a sequence.
pub(crate) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &elements.concat())
}

/// Splits the content of an element into its elements.
pub(crate) fn children(element: &[u8]) -> Vec<&[u8]> {
    let mut rest = &element[header_length(element)..];
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (child, after) = rest.split_at(total_length(rest));
        children.push(child);
        rest = after;
    }
    children
}

fn header_length(element: &[u8]) -> usize {
    match element[1] {
        0x81 => 3,
        0x82 => 4,
        _ => 2,
    }
}

fn total_length(element: &[u8]) -> usize {
    let content = match element[1] {
        0x81 => usize::from(element[2]),
        0x82 => usize::from(u16::from_be_bytes([element[2], element[3]])),
        short => usize::from(short),
    };
    header_length(element) + content
}
