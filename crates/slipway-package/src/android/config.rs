//! Configurations for which a resource has a value.

use crate::cursor::Cursor;
use crate::error::Flaw;

/// Density of resources that fit every density, such as vector images.
const ANY_DENSITY: u16 = 0xfffe;
const NO_DENSITY: u16 = 0xffff;

/// Longest structure that is read. Android's has 64 bytes.
const LONGEST: usize = 256;

/// Places of the fields, counted after the size. Older tables end before some of them.
const LANGUAGE: usize = 4;
const COUNTRY: usize = 6;
const DENSITY: usize = 10;
const SCRIPT: std::ops::Range<usize> = 32..36;

/// Language and density of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResourceConfig {
    /// Language tag; empty for the default language.
    pub(super) language: String,
    /// Density in dots per inch; 0 if there is none.
    pub(super) density: u16,
    /// `true` if nothing but the language restricts the configuration.
    pub(super) is_general: bool,
}

impl ResourceConfig {
    /// Reads `ResTable_config`.
    pub(super) fn read(mut rest: Cursor<'_>) -> Result<Self, Flaw> {
        let length = rest.size()?;
        if length > LONGEST {
            return Err("a configuration is too long".into());
        }
        let fields = rest.take(length.checked_sub(4).ok_or(Flaw::CUT_OFF)?)?;
        let density = Cursor::at(fields, DENSITY)
            .and_then(|mut field| field.u16())
            .unwrap_or(0);
        let is_locale = |place: usize| (LANGUAGE..COUNTRY + 2).contains(&place) || SCRIPT.contains(&place);
        let mut others = fields.iter().enumerate().filter(|(place, _)| !is_locale(*place));
        Ok(Self {
            language: language_tag(fields),
            density: if matches!(density, ANY_DENSITY | NO_DENSITY) {
                0
            } else {
                density
            },
            is_general: others.all(|(_, byte)| *byte == 0),
        })
    }
}

fn language_tag(fields: &[u8]) -> String {
    let code = |start: usize| fields.get(start..).and_then(<[u8]>::first_chunk::<2>);
    let language = code(LANGUAGE).map(|code| unpack(*code, b'a')).unwrap_or_default();
    let country = code(COUNTRY).map(|code| unpack(*code, b'0')).unwrap_or_default();
    let script: String = fields
        .get(SCRIPT)
        .unwrap_or_default()
        .iter()
        .map(|&letter| char::from(letter))
        .collect();
    let subtags = [language, script, country];
    let used = subtags.iter().filter(|subtag| is_subtag(subtag));
    used.map(String::as_str).collect::<Vec<_>>().join("-")
}

fn is_subtag(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// Decodes a language or a country: two letters, or three of five bits each.
fn unpack([first, second]: [u8; 2], base: u8) -> String {
    if first & 0x80 == 0 {
        return [first, second]
            .into_iter()
            .filter(|&letter| letter != 0)
            .map(char::from)
            .collect();
    }
    let letters = [
        second & 0x1f,
        (second & 0xe0) >> 5 | (first & 0x03) << 3,
        (first & 0x7c) >> 2,
    ];
    letters
        .into_iter()
        .map(|letter| char::from(base + letter))
        .collect()
}
