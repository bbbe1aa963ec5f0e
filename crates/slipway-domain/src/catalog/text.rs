//! Text types of the catalog, each with its grammar and length. Lengths count Unicode scalar values.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::field::Invalid;
use super::json::{JsonText, compact_length};

macro_rules! text_type {
    ($($(#[$doc:meta])* $name:ident, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                let check: fn(&str) -> Result<(), Invalid> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_type! {
    /// Name of an app's host package, e.g. `com.hema.wms`.
    PackageName, identifier_grammar;
    /// Name of a resource, e.g. `com.hema.wms.chuku`.
    Identifier, identifier_grammar;
    /// Display name of a tenant, an app, a resource or a key.
    Name, |text| one_line(text, 1, 128);
    /// Display version, e.g. `1.1.10`.
    VersionName, |text| one_line(text, 1, 64);
    /// Description of the changes, for the users of the device.
    UpdateDescription, |text| several_lines(text, 0, 4_000);
    /// Reason for an action of a user, kept in the audit log.
    Reason, |text| several_lines(text, 1, 500);
    /// Absolute URL of any scheme.
    Url, url_grammar;
    /// Id of a device, unique in its tenant.
    DeviceId, device_id_grammar;
    /// Project that a device belongs to.
    ProjectId, |text| one_line(text, 1, 128);
    /// Id that the sender of a push chooses, to find the push again.
    TraceId, |text| one_line(text, 1, 128);
    /// Purpose of a push, e.g. `preview`.
    PushAction, |text| one_line(text, 1, 128);
    /// Id of the mini-app in a push; unrelated to [`PackageName`].
    MiniAppId, |text| one_line(text, 1, 128);
    /// Type of the mini-app in a push, e.g. `tinyApp`.
    MiniAppType, |text| one_line(text, 1, 128);
    /// URL in a push, opened by the device. The tenant determines the allowed schemes.
    PushUrl, |text| one_line(text, 1, 2_048);
    /// Text of a device about a push, e.g. the reason for a failure.
    PushDetail, |text| several_lines(text, 1, 500);
    /// Type of a device, e.g. `10013`.
    DeviceType, |text| one_line(text, 1, 128);
    /// Key shared by the rollouts of releases that have the same early devices.
    RolloutKey, |text| one_line(text, 1, 128);
    /// Name of an uploaded file, without a path.
    FileName, file_name_grammar;
    /// Login name of a user, in lower case.
    Username, username_grammar;
}

fn identifier_grammar(text: &str) -> Result<(), Invalid> {
    let mut bytes = text.bytes();
    let accepted = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
        && text.len() <= 128;
    if accepted {
        Ok(())
    } else {
        Err(Invalid::new(
            "must be 1 to 128 ASCII letters, digits, '.', '_', ':' or '-', beginning with a letter or digit",
        ))
    }
}

fn username_grammar(text: &str) -> Result<(), Invalid> {
    let mut bytes = text.bytes();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let accepted = bytes.next().is_some_and(plain)
        && bytes.all(|byte| plain(byte) || b"._@+-".contains(&byte))
        && text.len() <= 128;
    if accepted {
        Ok(())
    } else {
        Err(Invalid::new(
            "must be 1 to 128 lower-case ASCII letters, digits, '.', '_', '@', '+' or '-', beginning with a letter \
             or digit",
        ))
    }
}

fn length_within(text: &str, min: usize, max: usize) -> Result<(), Invalid> {
    let length = text.chars().count();
    if length < min || length > max {
        return Err(Invalid::new(format!(
            "must be {min} to {max} characters long, not {length}"
        )));
    }
    if min > 0 && text.trim().is_empty() {
        return Err(Invalid::new("must not be blank"));
    }
    Ok(())
}

fn one_line(text: &str, min: usize, max: usize) -> Result<(), Invalid> {
    length_within(text, min, max)?;
    if text.chars().any(char::is_control) {
        return Err(Invalid::new("must not contain control characters"));
    }
    Ok(())
}

fn several_lines(text: &str, min: usize, max: usize) -> Result<(), Invalid> {
    length_within(text, min, max)?;
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(Invalid::new(
            "must not contain control characters other than line breaks and tabs",
        ));
    }
    Ok(())
}

fn file_name_grammar(text: &str) -> Result<(), Invalid> {
    one_line(text, 1, 200)?;
    if text.contains(['/', '\\']) || matches!(text, "." | "..") {
        return Err(Invalid::new("must be the name of a file, without a path"));
    }
    // Such characters can disguise the extension of a name.
    if text
        .chars()
        .any(|c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    {
        return Err(Invalid::new(
            "must not contain characters that change the direction of text",
        ));
    }
    Ok(())
}

fn device_id_grammar(text: &str) -> Result<(), Invalid> {
    one_line(text, 1, 128)
}

/// Checks a URL by RFC 3986, section 3: a scheme, a colon, and something after it, without blanks or control
/// characters.
fn url_grammar(text: &str) -> Result<(), Invalid> {
    one_line(text, 1, 2_048)?;
    let accepted = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
            && !rest.is_empty()
    });
    if accepted && !text.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(Invalid::new(
            "must be an absolute URL without blanks, e.g. https://files.example/a.bin",
        ))
    }
}

macro_rules! digest_type {
    ($($(#[$doc:meta])* $name:ident, $digits:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts hexadecimal digits of any case and stores them in lower case.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                if text.len() == $digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    Ok(Self(text.to_ascii_lowercase()))
                } else {
                    Err(Invalid::new(concat!("must be ", $digits, " hexadecimal digits")))
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(&text)
            }
        }
    )*};
}

digest_type! {
    /// MD5 of an artifact: 32 lower-case hexadecimal digits.
    Md5, 32;
    /// SHA-256 of an artifact: 64 lower-case hexadecimal digits.
    Sha256, 64;
}

impl UpdateDescription {
    /// Returns the description of a release without one.
    pub fn empty() -> Self {
        Self(String::new())
    }
}

/// Configuration of a release: a JSON object as compact text, at most 64 KiB. Numbers keep the text that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigJson(JsonText);

impl ConfigJson {
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Returns the configuration of a release without one.
    pub fn empty() -> Self {
        Self(JsonText::of(&serde_json::Map::new()))
    }

    pub fn parse(sent: &RawValue) -> Result<Self, Invalid> {
        if !sent.get().starts_with('{') {
            return Err(Invalid::new("must be a JSON object, e.g. {\"beep\": true}"));
        }
        let length = compact_length(sent);
        if length > Self::MAX_BYTES {
            return Err(Invalid::new(format!(
                "must be at most {} bytes as compact JSON, not {length}",
                Self::MAX_BYTES,
            )));
        }
        JsonText::compacted(sent).map(Self)
    }

    /// Accepts text that [`ConfigJson::as_str`] returned.
    pub fn from_stored(text: String) -> Result<Self, Invalid> {
        JsonText::checked(text)
            .ok()
            .filter(JsonText::is_object)
            .map(Self)
            .ok_or_else(|| Invalid::new("is not a JSON object"))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns `true` if both are equal except for the order of members.
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        self.0.is_equivalent_to(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_their_grammar() {
        for good in ["a", "com.hema.wms", "A:1_b-c", &"x".repeat(128)] {
            assert!(Identifier::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
            assert!(Identifier::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert!(Name::parse("店".repeat(128)).is_ok());
        assert!(Name::parse("店".repeat(129)).is_err());
        assert!(Name::parse("  ").is_err());
        assert!(Name::parse("a\0b").is_err());
    }

    #[test]
    fn urls_need_a_scheme() {
        for good in [
            "https://a.example/x?y=1&z=2",
            "ftp://h/p",
            "scheme://pkg",
            "urn:x:y",
        ] {
            assert!(Url::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.bin",
            "https:",
            "://x",
            "http://a b",
            "1http://x",
            "http://a\nb",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn file_names_are_no_paths() {
        for good in ["a.apk", "收银台 1.0.apk", "a..b", &"店".repeat(200)] {
            assert!(FileName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a\nb",
            "a\u{202e}kpa.exe",
            &"x".repeat(201),
        ] {
            assert!(FileName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_are_kept_in_lower_case() {
        let md5 = Md5::parse("0CC175B9C0F1B6A831C399E269772661");
        assert_eq!(md5.unwrap().as_str(), "0cc175b9c0f1b6a831c399e269772661");
        assert!(Md5::parse("0cc175b9c0f1b6a831c399e26977266").is_err());
        assert!(Md5::parse("zcc175b9c0f1b6a831c399e269772661").is_err());
    }

    #[test]
    fn texts_are_deserialized_by_their_parsers() {
        fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
            serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
        }
        assert_eq!(
            read("com.hema.wms"),
            Ok(PackageName::parse("com.hema.wms").unwrap())
        );
        assert!(
            read::<PackageName>("com hema")
                .unwrap_err()
                .contains("ASCII letters")
        );
        assert!(read::<Name>("").is_err());
        assert_eq!(read(&"A".repeat(32)), Ok(Md5::parse(&"a".repeat(32)).unwrap()));
        assert!(read::<Md5>("a").is_err());
    }
}
