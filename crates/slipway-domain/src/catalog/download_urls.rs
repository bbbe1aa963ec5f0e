//! Addresses under which artifacts are downloaded.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::artifact::DownloadKey;
use super::field::Invalid;
use super::text::{FileName, Url};

/// Base of the addresses of downloads; without one, artifacts have no addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadUrls {
    /// Without a slash at the end.
    base: Option<String>,
}

impl DownloadUrls {
    /// Maximum length of a base, which leaves room for a key and a file name.
    const MAX_BASE: usize = 200;

    /// Maximum length of an encoded file name in an address.
    const MAX_NAME: usize = 1_500;

    /// Accepts an absolute `http` or `https` URL without credentials, a query and a fragment.
    pub fn new(base: Option<&str>) -> Result<Self, Invalid> {
        let Some(base) = base else {
            return Ok(Self::default());
        };
        let base = base.trim_end_matches('/');
        let rest = base
            .strip_prefix("https://")
            .or_else(|| base.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let has_host = !host.is_empty() && !host.contains('@');
        if Url::parse(base).is_err() || !has_host || base.contains(['?', '#']) || base.len() > Self::MAX_BASE
        {
            return Err(Invalid::new(format!(
                "must be an absolute http or https URL of at most {} characters, without a user, a query and a fragment",
                Self::MAX_BASE
            )));
        }
        Ok(Self {
            base: Some(base.to_owned()),
        })
    }

    pub fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Returns the address of the file.
    pub fn file(&self, key: &DownloadKey, filename: &FileName) -> Option<Url> {
        let name = PathSegment(filename.as_str()).to_string();
        if name.len() > Self::MAX_NAME {
            // The key alone finds the file.
            return self.url(format_args!("dl/{key}/file"));
        }
        self.url(format_args!("dl/{key}/{name}"))
    }

    /// Returns the key in the address of a file, on any host.
    pub fn key_in(url: &Url) -> Option<DownloadKey> {
        url.as_str()
            .split("/dl/")
            .skip(1)
            .find_map(|rest| DownloadKey::parse(rest.split(['/', '?', '#']).next()?).ok())
    }

    /// Returns the address of the page for people.
    pub fn page(&self, key: &DownloadKey) -> Option<Url> {
        self.url(format_args!("get/{key}"))
    }

    /// Returns the address of the QR code of that page.
    pub fn qr_code(&self, key: &DownloadKey) -> Option<Url> {
        self.url(format_args!("get/{key}/qr.png"))
    }

    fn url(&self, path: std::fmt::Arguments<'_>) -> Option<Url> {
        let base = self.base.as_ref()?;
        Url::parse(format!("{base}/{path}")).ok()
    }
}

/// Text as a segment of a path: every byte that is not unreserved (RFC 3986, section 2.3) is percent-encoded.
struct PathSegment<'a>(&'a str);

impl std::fmt::Display for PathSegment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_begin_with_the_base() {
        let urls = DownloadUrls::new(Some("https://cdn.example/slipway/")).unwrap();
        let key = DownloadKey::new([0; 16]);
        let name = FileName::parse("收银 1.apk").unwrap();
        let text = |url: Option<Url>| url.unwrap().into_string();
        assert_eq!(
            text(urls.file(&key, &name)),
            format!("https://cdn.example/slipway/dl/{key}/%E6%94%B6%E9%93%B6%201.apk")
        );
        assert_eq!(
            text(urls.page(&key)),
            format!("https://cdn.example/slipway/get/{key}")
        );
        assert_eq!(
            text(urls.qr_code(&key)),
            format!("https://cdn.example/slipway/get/{key}/qr.png")
        );
        assert_eq!(DownloadUrls::default().file(&key, &name), None);
    }

    #[test]
    fn addresses_of_files_are_recognized_on_any_host() {
        let key = DownloadKey::new([7; 16]);
        for base in ["https://cdn.example", "http://10.0.0.1:8080/dl/x"] {
            let urls = DownloadUrls::new(Some(base)).unwrap();
            let file = urls.file(&key, &FileName::parse("a.apk").unwrap()).unwrap();
            assert_eq!(DownloadUrls::key_in(&file), Some(key.clone()), "{base}");
        }
        let bare = Url::parse(format!("https://a.example/dl/{key}?a=1")).unwrap();
        assert_eq!(DownloadUrls::key_in(&bare), Some(key));
        for other in ["https://cdn.example/dl/a/b.apk", "https://files.example/a.apk"] {
            assert_eq!(DownloadUrls::key_in(&Url::parse(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn the_longest_name_has_an_address() {
        let base = format!("https://{}", "a".repeat(DownloadUrls::MAX_BASE - 8));
        let urls = DownloadUrls::new(Some(&base)).unwrap();
        let name = FileName::parse("📦".repeat(200)).unwrap();
        assert!(urls.file(&DownloadKey::new([255; 16]), &name).is_some());
    }

    #[test]
    fn a_base_is_a_web_address() {
        for invalid in [
            "",
            "files.example",
            "ftp://files.example",
            "https://a?b",
            "https://a#b",
            "https://",
            "https://user@a",
            "https:///a",
        ] {
            assert!(DownloadUrls::new(Some(invalid)).is_err(), "{invalid}");
        }
    }
}
