//! Digests of files, which checks compare with what a device sends.

use serde::{Deserialize, Serialize};

/// Number of hexadecimal digits of an MD5.
const MD5_DIGITS: usize = 32;

/// MD5 of a file: half as large as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Md5Digest([u8; 16]);

impl Md5Digest {
    /// Parses hexadecimal digits of either case; `None` for any other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_digest = text.len() == MD5_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_digest)?;
        Some(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_equal_in_either_case_and_other_texts_are_none() {
        let digest = Md5Digest::parse("0cc175b9c0f1b6a831c399e269772661");
        assert!(digest.is_some());
        assert_eq!(digest, Md5Digest::parse("0CC175B9C0F1B6A831C399E269772661"));
        assert_ne!(digest, Md5Digest::parse("0cc175b9c0f1b6a831c399e269772660"));
        for other in [
            "",
            "0cc1",
            "+cc175b9c0f1b6a831c399e269772661",
            "zcc175b9c0f1b6a831c399e269772661",
        ] {
            assert_eq!(Md5Digest::parse(other), None, "{other}");
        }
        assert_eq!(Md5Digest::parse(&"0".repeat(33)), None);
    }
}
