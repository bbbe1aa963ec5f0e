//! `application/x-www-form-urlencoded`, in queries and bodies: names and values borrowed where nothing is encoded.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// A name and its value, decoded.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormError {
    /// A name or a value is no UTF-8 once it is decoded.
    NotUtf8,
}

/// The pairs in their order. A space arrives as `+` or as `%20`; a name alone has an empty value.
pub(super) fn read_form(text: &[u8]) -> Result<Vec<Pair<'_>>, FormError> {
    let pieces = text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    let mut pairs = Vec::with_capacity(16);
    for piece in pieces {
        let middle = piece.iter().position(|byte| *byte == b'=');
        let (name, value) = match middle {
            Some(index) => (&piece[..index], &piece[index + 1..]),
            None => (piece, &b""[..]),
        };
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn decode(text: &[u8]) -> Result<Cow<'_, str>, FormError> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return std::str::from_utf8(text)
            .map(Cow::Borrowed)
            .map_err(|_| FormError::NotUtf8);
    }
    // Decoding comes second: a `+` that was encoded is one.
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let decoded = Cow::from(percent_decode(&spaced)).into_owned();
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| FormError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_in_their_order() {
        let pairs = read_form(b"a=x+y&&b=%E6%9D%AD%20&c&d=1=2&=e").unwrap();
        let expected = [("a", "x y"), ("b", "杭 "), ("c", ""), ("d", "1=2"), ("", "e")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
        assert!(matches!(pairs[3].1, Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(read_form(b"a=%FF"), Err(FormError::NotUtf8));
        assert_eq!(read_form(b"\xff=1"), Err(FormError::NotUtf8));
    }
}
