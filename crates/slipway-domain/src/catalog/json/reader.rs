//! Parser of text into nodes, and the length of the compact form.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::value::RawValue;

use super::{Members, Node, not_json};

/// Returns the size in bytes of a value's compact form, without building it.
pub fn compact_length(raw: &RawValue) -> usize {
    let mut reader = Reader::new(raw, 0);
    let mut length = 0;
    while let Some(byte) = reader.peek() {
        if byte == b'"' {
            length += match reader.text() {
                Ok(Cow::Borrowed(text)) => text.len() + 2,
                Ok(Cow::Owned(text)) => serde_json::to_string(&text).map_or(usize::MAX, |text| text.len()),
                Err(_) => return usize::MAX,
            };
        } else {
            length += 1;
            reader.position += 1;
        }
    }
    length
}

/// Cursor in a text whose grammar `serde_json` has checked.
pub(super) struct Reader<'a> {
    text: &'a str,
    position: usize,
    max_depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(raw: &'a RawValue, max_depth: usize) -> Self {
        Self {
            text: raw.get(),
            position: 0,
            max_depth,
        }
    }

    /// Reads the value that is nested in `depth` arrays and objects.
    pub(super) fn read(&mut self, depth: usize) -> Result<Node<'a>, String> {
        match self.peek() {
            Some(b'"') => self.text().map(Node::Text),
            Some(b'{') => self.members(self.inside(depth)?).map(Node::Object),
            Some(b'[') => self.items(self.inside(depth)?).map(Node::Array),
            Some(b't') => Ok(self.literal(4, Node::Bool(true))),
            Some(b'f') => Ok(self.literal(5, Node::Bool(false))),
            Some(b'n') => Ok(self.literal(4, Node::Null)),
            Some(_) => Ok(Node::Number(Cow::Borrowed(self.number()))),
            None => Err("is not valid JSON".to_owned()),
        }
    }

    fn inside(&self, depth: usize) -> Result<usize, String> {
        if depth == self.max_depth {
            return Err(format!("is nested deeper than {}", self.max_depth));
        }
        Ok(depth + 1)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node<'a>>, String> {
        self.position += 1;
        let mut items = Vec::new();
        while self.is_inside(b']') {
            items.push(self.read(depth)?);
        }
        Ok(items)
    }

    fn members(&mut self, depth: usize) -> Result<Members<'a>, String> {
        self.position += 1;
        let mut members = Vec::new();
        while self.is_inside(b'}') {
            let key = self.text()?;
            self.skip(b':');
            members.push((key, self.read(depth)?));
        }
        Ok(members)
    }

    /// Skips a comma and, if it comes next, the end of the list. Returns `true` if another item follows.
    fn is_inside(&mut self, end: u8) -> bool {
        self.skip(b',');
        match self.peek() {
            None => false,
            Some(byte) if byte == end => {
                self.position += 1;
                false
            }
            Some(_) => true,
        }
    }

    /// Reads a text, borrowed if nothing in it is escaped.
    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        self.peek();
        let start = self.position;
        let mut end = start + 1;
        let mut is_escaped = false;
        let bytes = self.text.as_bytes();
        loop {
            let found = bytes.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest));
            end += found.ok_or_else(|| "is not valid JSON".to_owned())?;
            if bytes[end] == b'"' {
                break;
            }
            is_escaped = true;
            end += 2;
        }
        self.position = end + 1;
        if is_escaped {
            // The grammar alone permits unpaired surrogates.
            let text = serde_json::from_str(&self.text[start..=end]).map_err(|error| not_json(&error))?;
            Ok(Cow::Owned(text))
        } else {
            Ok(Cow::Borrowed(&self.text[start + 1..end]))
        }
    }

    fn number(&mut self) -> &'a str {
        let rest = &self.text[self.position..];
        let ends = |byte: u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
        let length = rest.bytes().take_while(|byte| !ends(*byte)).count();
        let number = &rest[..length];
        self.position += number.len();
        number
    }

    fn literal(&mut self, length: usize, value: Node<'a>) -> Node<'a> {
        self.position += length;
        value
    }

    fn skip(&mut self, expected: u8) {
        if self.peek() == Some(expected) {
            self.position += 1;
        }
    }

    /// Skips white space and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.position..)?;
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
            .count();
        self.position += blanks;
        rest.get(blanks).copied()
    }
}
