//! Links to artifacts: the download, and the page for people.

use super::Artifacts;
use slipway_domain::catalog::artifact::{Artifact, DownloadKey};
use slipway_domain::catalog::text::Url;

impl Artifacts {
    /// Returns the URL of a download; `None` if no public URL is configured.
    pub fn download_url(&self, artifact: &Artifact) -> Option<String> {
        let url = self.settings.download_urls.file(&artifact.link.key, &artifact.filename);
        url.map(Url::into_string)
    }

    /// Returns the URL of the page for people; `None` if no public URL is configured.
    pub fn page_url(&self, key: &DownloadKey) -> Option<String> {
        self.settings.download_urls.page(key).map(Url::into_string)
    }
}
