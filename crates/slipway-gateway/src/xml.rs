//! Text in XML 1.0.

use std::borrow::Cow;

use quick_xml::escape::partial_escape;

/// Writes an element that contains a text.
pub fn write_element(out: &mut Vec<u8>, name: &str, text: &str) {
    for piece in ["<", name, ">", &escape(text), "</", name, ">"] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Escapes a text. Characters that XML 1.0 forbids (section 2.2, Char) are dropped. Carriage returns are written as
/// references, because a parser would turn them into line feeds (section 2.11).
pub fn escape(text: &str) -> Cow<'_, str> {
    let allowed = if text.chars().all(is_char) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|c| is_char(*c)).collect())
    };
    let needs_escaping = allowed.contains(['&', '<', '>', '\r']);
    if needs_escaping {
        Cow::Owned(partial_escape(allowed.as_ref()).replace('\r', "&#13;"))
    } else {
        allowed
    }
}

const fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_are_dropped_and_carriage_returns_kept() {
        assert_eq!(escape("plain 杭🚀\t\n"), "plain 杭🚀\t\n");
        assert_eq!(
            escape("<a> & 'b'\u{0}\u{b}\r\n\u{fffe}"),
            "&lt;a&gt; &amp; 'b'&#13;\n"
        );
    }
}
