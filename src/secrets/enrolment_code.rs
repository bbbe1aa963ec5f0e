//! One-time codes that enrol a device, and can be typed on it: `slipway_code_` and four groups of six characters of
//! Crockford's base32, 120 random bits.

use sha2::{Digest, Sha256};

use super::token::{hash_matches, random_bytes};

const PREFIX: &str = "slipway_code_";
/// Excludes letters that resemble digits, and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 24;
const GROUP: usize = 6;

/// New code.
pub struct NewEnrolmentCode {
    /// Shown once, to its recipient.
    pub text: String,
    /// Hash to be stored.
    pub hash: String,
}

impl NewEnrolmentCode {
    pub fn generate() -> Self {
        // 256 is a multiple of 32, so all characters are equally likely.
        let bytes = random_bytes::<CHARACTERS>();
        let characters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        let groups: Vec<String> = characters
            .chunks(GROUP)
            .map(|group| group.iter().collect())
            .collect();
        Self {
            text: format!("{PREFIX}{}", groups.join("-")),
            hash: hex::encode(hash(&characters)),
        }
    }
}

/// Code as typed, not verified yet.
pub struct PresentedEnrolmentCode([u8; 32]);

impl PresentedEnrolmentCode {
    /// Parses a code in either case, with or without prefix, hyphens and blanks. Letters are accepted in place of the
    /// digits that they resemble.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let prefix = text.get(..PREFIX.len());
        let is_prefixed = prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
        let code = if is_prefixed { &text[PREFIX.len()..] } else { text };
        let characters: Vec<char> = code
            .chars()
            .filter(|character| !matches!(character, '-' | ' '))
            .map(normalize_character)
            .collect::<Option<_>>()?;
        let characters: [char; CHARACTERS] = characters.try_into().ok()?;
        Some(Self(hash(&characters)))
    }

    /// Compares the code with the stored hash, in constant time.
    pub fn matches(&self, stored_hash: &str) -> bool {
        hash_matches(&self.0, stored_hash)
    }
}

fn normalize_character(typed: char) -> Option<char> {
    let character = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        character => character,
    };
    let is_known = ALPHABET.iter().any(|known| char::from(*known) == character);
    is_known.then_some(character)
}

fn hash(characters: &[char; CHARACTERS]) -> [u8; 32] {
    let text: String = characters.iter().collect();
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_may_be_typed() {
        let code = NewEnrolmentCode::generate();
        let bare = code.text.strip_prefix(PREFIX).unwrap();
        for typed in [
            code.text.clone(),
            code.text.to_uppercase(),
            bare.to_lowercase(),
            bare.replace('-', ""),
            format!(" {} ", bare.replace('-', " ")),
            bare.replace('0', "o").replace('1', "L"),
        ] {
            let presented = PresentedEnrolmentCode::parse(&typed).unwrap();
            assert!(presented.matches(&code.hash), "{typed}");
        }
        let other = PresentedEnrolmentCode::parse(&NewEnrolmentCode::generate().text).unwrap();
        assert!(!other.matches(&code.hash) && !other.matches(""));
    }

    #[test]
    fn other_texts_are_no_codes() {
        let code = NewEnrolmentCode::generate().text;
        let wrong = [
            String::new(),
            PREFIX.to_owned(),
            format!("{code}0"),
            code[..code.len() - 1].to_owned(),
            format!("{}U", &code[..code.len() - 1]),
            "店".repeat(CHARACTERS),
            format!("slipway_店{code}"),
        ];
        for text in wrong {
            assert!(PresentedEnrolmentCode::parse(&text).is_none(), "{text}");
        }
    }
}
