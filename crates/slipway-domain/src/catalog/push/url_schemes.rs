//! URL schemes that a tenant allows in pushes.

use serde::{Deserialize, Serialize};

use crate::catalog::field::Invalid;
use crate::catalog::text::PushUrl;

/// URL scheme in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UrlScheme(String);

/// Schemes that a tenant allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UrlSchemes {
    /// All schemes except those that run code in the opening program, or reach into the device or other programs.
    #[default]
    AnySafe,
    /// Only these schemes; at least one, each once.
    Only(Vec<UrlScheme>),
}

/// Schemes that are not allowed by default.
const UNSAFE_SCHEMES: [&str; 24] = [
    // Code, or documents that contain it.
    "javascript",
    "vbscript",
    "livescript",
    "mocha",
    "data",
    "blob",
    "about",
    "mhtml",
    // Files and records on the device.
    "file",
    "filesystem",
    "content",
    "jar",
    "res",
    "resource",
    "android.resource",
    "view-source",
    "wyciwyg",
    // Other programs, with arguments chosen by the sender.
    "intent",
    "android-app",
    "ms-msdt",
    "search-ms",
    // The browser itself.
    "chrome",
    "chrome-extension",
    "moz-extension",
];
/// Maximum length of a scheme; longer than any registered one.
const MAX_SCHEME_LENGTH: usize = 64;
/// Maximum number of schemes that a tenant may list.
pub const MAX_URL_SCHEMES: usize = 100;

impl UrlScheme {
    /// Accepts letters of any case and stores them in lower case.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_scheme(text) && text.len() <= MAX_SCHEME_LENGTH {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid::new(format!(
                "must be a URL's scheme without its colon, such as https: 1 to {MAX_SCHEME_LENGTH} ASCII letters, \
                 digits, '+', '-' or '.', beginning with a letter"
            )))
        }
    }

    /// Returns the scheme of a URL; `None` if it has none. Nothing may precede the scheme, because programs that open
    /// URLs skip leading blanks. They would find a scheme that this check misses.
    pub fn of(url: &PushUrl) -> Option<Self> {
        let (scheme, _) = url.as_str().split_once(':')?;
        is_scheme(scheme).then(|| Self(scheme.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UrlScheme {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl UrlSchemes {
    /// Validates a tenant's list, and removes duplicates.
    pub fn only(schemes: Vec<UrlScheme>) -> Result<Self, Invalid> {
        if schemes.is_empty() || schemes.len() > MAX_URL_SCHEMES {
            return Err(Invalid::new(format!(
                "must list 1 to {MAX_URL_SCHEMES} schemes; null allows any but harmful ones such as javascript and file"
            )));
        }
        let mut listed = schemes;
        listed.sort_unstable();
        listed.dedup();
        Ok(Self::Only(listed))
    }

    /// Returns the list if the tenant has one.
    pub fn listed(&self) -> Option<&[UrlScheme]> {
        match self {
            Self::AnySafe => None,
            Self::Only(schemes) => Some(schemes),
        }
    }

    /// Returns `true` if a push may contain this URL. A URL without a scheme is refused.
    pub fn allow(&self, url: &PushUrl) -> bool {
        let Some(scheme) = UrlScheme::of(url) else {
            return false;
        };
        match self {
            Self::AnySafe => !UNSAFE_SCHEMES.contains(&scheme.as_str()),
            Self::Only(schemes) => schemes.contains(&scheme),
        }
    }
}

/// Returns `true` for a scheme by RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn allows(schemes: &UrlSchemes, text: &str) -> bool {
        PushUrl::parse(text).is_ok_and(|url| schemes.allow(&url))
    }

    fn only(schemes: &[&str]) -> UrlSchemes {
        let schemes = schemes.iter().map(|scheme| UrlScheme::parse(scheme).unwrap());
        UrlSchemes::only(schemes.collect()).unwrap()
    }

    #[test]
    fn any_scheme_but_the_harmful_ones_is_allowed_unless_the_tenant_lists_some() {
        let default = UrlSchemes::default();
        for good in [
            "scheme://pkg",
            "https://a.example/x",
            "http://",
            "alipays:platformapi/x y",
            "a:b",
        ] {
            assert!(allows(&default, good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "FILE:///etc/passwd",
            "vbscript:x",
            "Intent://scan/#Intent;scheme=zxing;end",
            "jar:https://a.example/x.jar!/",
            "content://settings/secure",
            "blob:https://a.example/1",
            "filesystem:https://a.example/temporary/x",
            "view-source:https://a.example",
            "no-scheme",
            "//host/path",
            "/path:with-colon",
            "1x:y",
            ":x",
            "",
        ] {
            assert!(!allows(&default, bad), "{bad:?}");
        }
        let listed = only(&["HTTPS", "file", "https"]);
        assert_eq!(listed.listed().unwrap().len(), 2);
        assert!(allows(&listed, "Https://a"));
        assert!(allows(&listed, "file:///x"));
        assert!(!allows(&listed, "http://a"));
    }

    #[test]
    fn a_list_holds_some_schemes_and_nothing_else() {
        assert!(UrlSchemes::only(Vec::new()).is_err());
        for bad in ["", "https:", "https://", "1a", "a b", "é", &"a".repeat(65)] {
            assert!(UrlScheme::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// Normalizes a URL like the WHATWG URL parser of browsers, before it looks for the scheme. Leading and trailing C0
    /// controls and spaces are removed, and tabs and line breaks everywhere.
    fn as_a_browser_reads_it(text: &str) -> String {
        text.trim_matches(|c: char| c <= ' ')
            .chars()
            .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
            .collect::<String>()
            .to_lowercase()
    }

    proptest! {
        #[test]
        fn no_harmful_scheme_is_smuggled_in(
            scheme in select(UNSAFE_SCHEMES.as_slice()),
            upper in any::<u16>(),
            place in 0_usize..12,
            noise in "[\u{0}-\u{20}\u{7f}\u{85}\u{a0}\u{200b}\u{2028}\u{feff}]{0,3}",
            rest in "[:/a-z]{0,6}",
        ) {
            let mut written: String = scheme
                .chars()
                .enumerate()
                .map(|(index, c)| if upper >> index & 1 == 1 { c.to_ascii_uppercase() } else { c })
                .collect();
            written.insert_str(place.min(written.len()), &noise);
            let text = format!("{written}:{rest}");
            let is_harmful = UNSAFE_SCHEMES
                .iter()
                .any(|scheme| as_a_browser_reads_it(&text).starts_with(&format!("{scheme}:")));
            prop_assert!(!is_harmful || !allows(&UrlSchemes::default(), &text), "{text:?}");
            prop_assert!(!allows(&only(&["https"]), &text), "{text:?}");
        }
    }
}
