//! Links to artifacts: the download, and the page for people.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::Artifacts;
use slipway_domain::catalog::artifact::{Artifact, DownloadKey};

/// Characters that stand for themselves in a segment of a path (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// URL that links begin with, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkBase(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL without a query, e.g. https://files.example")]
pub struct LinkBaseError;

impl FromStr for LinkBase {
    type Err = LinkBaseError;

    fn from_str(text: &str) -> Result<Self, LinkBaseError> {
        let url = Url::parse(text).map_err(|_| LinkBaseError)?;
        let is_base = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        is_base
            .then(|| Self(url.as_str().trim_end_matches('/').to_owned()))
            .ok_or(LinkBaseError)
    }
}

impl LinkBase {
    /// Returns the URL of a download. The name in it is only for people and browsers.
    pub fn download_url(&self, artifact: &Artifact) -> String {
        let name = utf8_percent_encode(artifact.filename.as_str(), SEGMENT);
        format!("{}/dl/{}/{name}", self.0, artifact.link.key)
    }

    /// Returns the URL of the page for people.
    pub fn page_url(&self, key: &DownloadKey) -> String {
        format!("{}/get/{key}", self.0)
    }
}

impl Artifacts {
    /// Returns the URL of a download; `None` if no public URL is configured.
    pub fn download_url(&self, artifact: &Artifact) -> Option<String> {
        Some(self.settings.link_base.as_ref()?.download_url(artifact))
    }

    /// Returns the URL of the page for people; `None` if no public URL is configured.
    pub fn page_url(&self, key: &DownloadKey) -> Option<String> {
        Some(self.settings.link_base.as_ref()?.page_url(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_plain_url() {
        for (text, base) in [
            ("https://files.example", Some("https://files.example")),
            (
                "http://10.0.0.1:8080/slipway/",
                Some("http://10.0.0.1:8080/slipway"),
            ),
            ("files.example", None),
            ("ftp://files.example", None),
            ("https://user@files.example", None),
            ("https://files.example/?a", None),
            ("", None),
        ] {
            let parsed = text.parse::<LinkBase>().ok().map(|base| base.0);
            assert_eq!(parsed.as_deref(), base, "{text}");
        }
    }
}
