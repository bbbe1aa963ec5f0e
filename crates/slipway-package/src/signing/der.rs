//! DER, as far as certificates and PKCS #7 need it.

use crate::error::Flaw;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// Context-specific, constructed, number 0.
pub(super) const CONTEXT_0: u8 = 0xa0;

/// Element of a DER structure.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// All bytes, with tag and length.
    pub(super) bytes: &'a [u8],
}

/// Unread elements.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Result<Element<'a>, Flaw> {
        let (tag, after_tag) = self.0.split_first().ok_or(Flaw::CUT_OFF)?;
        let (length, header_length) = read_length(after_tag)?;
        let end = length.checked_add(header_length + 1).ok_or(Flaw::CUT_OFF)?;
        let (bytes, rest) = self.0.split_at_checked(end).ok_or(Flaw::CUT_OFF)?;
        self.0 = rest;
        Ok(Element {
            tag: *tag,
            content: bytes.get(header_length + 1..).unwrap_or_default(),
            bytes,
        })
    }

    /// Takes the next element, which has the tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Flaw> {
        let element = self.next()?;
        if element.tag != tag {
            return Err("a certificate has an unexpected structure".into());
        }
        Ok(element)
    }

    /// Takes the next element if it has the tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Flaw> {
        if self.0.first() == Some(&tag) {
            return self.next().map(Some);
        }
        Ok(None)
    }
}

impl<'a> Element<'a> {
    pub(super) fn elements(&self) -> Elements<'a> {
        Elements(self.content)
    }
}

/// Reads a length of up to four bytes; returns it and the number of bytes that encode it.
fn read_length(bytes: &[u8]) -> Result<(usize, usize), Flaw> {
    let (first, rest) = bytes.split_first().ok_or(Flaw::CUT_OFF)?;
    if first & 0x80 == 0 {
        return Ok((usize::from(*first), 1));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err("a certificate is not DER".into());
    }
    let digits = rest.get(..count).ok_or(Flaw::CUT_OFF)?;
    let length = digits
        .iter()
        .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
    Ok((length, count + 1))
}
