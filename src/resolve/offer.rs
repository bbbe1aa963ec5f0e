//! One release given to one device.

use crate::catalog::app::{App, Resource};
use crate::catalog::release::Release;

#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub status: OfferStatus,
    /// The release is older than the installed one, which was recalled.
    pub is_rollback: bool,
    pub auto_install: bool,
    /// The old name of the app that the answer tells, `""` when it has none.
    pub old_package_name: &'a str,
    pub app: &'a App,
    pub resource: &'a Resource,
    pub release: &'a Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferStatus {
    /// Install this release.
    Install,
    /// Remove this release, which was recalled.
    Removal,
}

impl<'a> Offer<'a> {
    /// The seed's `status`: 1, or 0 for a removal.
    pub const fn status_code(&self) -> u8 {
        match self.status {
            OfferStatus::Install => 1,
            OfferStatus::Removal => 0,
        }
    }

    /// Where to download; empty when there is nothing to install.
    pub fn download_url(&self) -> &'a str {
        match self.status {
            OfferStatus::Install => self.release.content.file.download_url.as_str(),
            OfferStatus::Removal => "",
        }
    }

    /// The release's icon, else the app's, else `""`.
    pub fn icon_url(&self) -> &'a str {
        let own = self.release.content.icon_url.as_ref();
        own.or(self.app.icon_url.as_ref()).map_or("", |url| url.as_str())
    }

    pub fn qrcode(&self) -> &'a str {
        self.release
            .content
            .qrcode
            .as_ref()
            .map_or("", |url| url.as_str())
    }
}
