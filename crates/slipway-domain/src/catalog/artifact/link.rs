//! Download link of an artifact.

use std::fmt;

use super::super::field::Invalid;

/// Alphabet of base32 (RFC 4648, section 6) in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Download link: its number, which is never reused within the tenant, and the key made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadLink {
    pub number: i64,
    pub key: DownloadKey,
}

/// Secret part of a download URL: 128 bits as 26 characters of lower-case base32.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DownloadKey(String);

impl DownloadKey {
    /// Number of characters.
    pub const LENGTH: usize = 26;

    pub fn new(bits: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bits);
        // Two zero bits fill the last of 26 groups of five bits.
        let group = |index: usize| {
            let shift = 5 * (Self::LENGTH - 1 - index);
            let group = if shift >= 2 {
                bits >> (shift - 2)
            } else {
                bits << (2 - shift)
            };
            char::from(ALPHABET[usize::try_from(group & 31).unwrap_or_default()])
        };
        Self((0..Self::LENGTH).map(group).collect())
    }

    /// Accepts only the spelling of [`DownloadKey::new`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_key = text.len() == Self::LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
        if is_key {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 26 characters of lower-case base32"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DownloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_base32_of_rfc_4648() {
        let key = |text: &[u8; 16]| DownloadKey::new(*text).to_string();
        assert_eq!(key(b"foobarfoobarfoob"), "mzxw6ytbojtg633cmfzgm33pmi");
        assert_eq!(key(&[0xff; 16]), "7777777777777777777777777".to_owned() + "4");
        assert!(DownloadKey::parse(&key(&[7; 16])).is_ok());
        for bad in ["", "mzxw6ytboi", &"A".repeat(26), &"1".repeat(26)] {
            assert!(DownloadKey::parse(bad).is_err(), "{bad}");
        }
    }
}
