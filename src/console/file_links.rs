//! Links of a stored file.

use super::format::segment;
use crate::services::Context;
use slipway_domain::catalog::artifact::DownloadKey;
use slipway_domain::catalog::text::{FileName, Url};

/// Links of a stored file. The paths are those of this node, so that a page leads to no other host.
pub(super) struct FileLinks {
    pub(super) download: String,
    pub(super) page: String,
    pub(super) qr: String,
    /// Address for devices; `None` if the server has no public URL.
    pub(super) url: Option<String>,
    /// Address of the page for people, which is in the QR code.
    pub(super) page_url: Option<String>,
}

impl FileLinks {
    pub(super) fn of(ctx: &Context, key: &DownloadKey, filename: &FileName) -> Self {
        let urls = ctx.download_urls();
        Self {
            download: format!("/dl/{key}/{}", segment(filename.as_str())),
            page: format!("/get/{key}"),
            qr: format!("/get/{key}/qr.svg"),
            url: urls.file(key, filename).map(Url::into_string),
            page_url: urls.page(key).map(Url::into_string),
        }
    }
}
