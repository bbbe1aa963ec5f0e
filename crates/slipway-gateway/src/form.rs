//! Reader for `application/x-www-form-urlencoded` queries and bodies. Names and values without escapes are borrowed.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

/// Decoded name and value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Reason for rejecting a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    /// A decoded name or value is not valid UTF-8.
    NotUtf8,
}

/// Parses the pairs in order. A space is encoded as `+` or `%20`. A name without `=` has an empty value.
pub fn read_form(text: &[u8]) -> Result<Vec<Pair<'_>>, FormError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut pairs = Vec::with_capacity(16);
    let mut start = 0;
    for end in memchr_iter(b'&', text).chain([text.len()]) {
        let piece = &text[start..end];
        start = end + 1;
        if piece.is_empty() {
            continue;
        }
        // Names are short, so a byte-by-byte search is fastest.
        let (name, value) = match piece.iter().position(|byte| *byte == b'=') {
            Some(middle) => (&piece[..middle], &piece[middle + 1..]),
            None => (piece, &b""[..]),
        };
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn decode(text: &[u8]) -> Result<Cow<'_, str>, FormError> {
    let Some(first) = memchr2(b'+', b'%', text) else {
        return std::str::from_utf8(text)
            .map(Cow::Borrowed)
            .map_err(|_| FormError::NotUtf8);
    };
    // JSON is encoded as a sequence of escapes, for which the libraries' iterators take three times as long.
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut next = Some(first);
    while let Some(special) = next {
        decoded.extend_from_slice(&rest[..special]);
        let (byte, length) = unescape(&rest[special..]);
        decoded.push(byte);
        rest = &rest[special + length..];
        next = rest.iter().position(|byte| matches!(byte, b'+' | b'%'));
    }
    decoded.extend_from_slice(rest);
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| FormError::NotUtf8)
}

/// Decodes the escape at the beginning of a text, and returns the byte and the length of the escape. A `%` without two
/// hexadecimal digits stands for itself.
fn unescape(text: &[u8]) -> (u8, usize) {
    match text {
        [b'+', ..] => (b' ', 1),
        [_, high, low, ..] => match (HEX_DIGITS[usize::from(*high)], HEX_DIGITS[usize::from(*low)]) {
            (high @ 0..16, low @ 0..16) => (high << 4 | low, 3),
            _ => (b'%', 1),
        },
        _ => (b'%', 1),
    }
}

/// Values of the hexadecimal digits; 255 for other bytes.
const HEX_DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut number: u8 = 0;
    while number < 16 {
        digits[b"0123456789abcdef"[number as usize] as usize] = number;
        digits[b"0123456789ABCDEF"[number as usize] as usize] = number;
        number += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_in_their_order() {
        let pairs = read_form(b"a=x+y&&b=%E6%9D%aD%20%2B&c&d=1=2&=e").unwrap();
        let expected = [("a", "x y"), ("b", "杭 +"), ("c", ""), ("d", "1=2"), ("", "e")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
        assert!(matches!(pairs[3].1, Cow::Borrowed(_)));
    }

    /// Invalid escapes are kept unchanged, as in the URL standard.
    #[test]
    fn broken_escapes_are_texts() {
        let pairs = read_form(b"a=%&b=%2&c=%zz%4&d=%%41").unwrap();
        let expected = [("a", "%"), ("b", "%2"), ("c", "%zz%4"), ("d", "%A")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(read_form(b"a=%FF"), Err(FormError::NotUtf8));
        assert_eq!(read_form(b"\xff=1"), Err(FormError::NotUtf8));
    }
}
