//! Compilation of loaded rows.

use std::sync::Arc;

use super::published::LoadedApp;
use crate::storage::StorageError;
use crate::storage::catalog_states::AppRows;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::AppId;
use slipway_resolver::{LayoutError, OfferEncoders, PublishedApp};

/// Compiles an app with the addresses of this node in its offers.
pub(super) fn load_app(
    mut rows: AppRows,
    encoders: &OfferEncoders,
    download_urls: &DownloadUrls,
) -> Result<LoadedApp, StorageError> {
    for release in &mut rows.releases {
        release.set_offer_addresses(download_urls);
    }
    Ok(LoadedApp {
        id: rows.app.id,
        revision: rows.revision.clone(),
        app: Arc::new(compile_app(rows, encoders)?),
    })
}

/// Compiles the rows of an app. Releases from artifacts must have their addresses. Rows that cannot be compiled are reported like unreadable ones.
pub fn compile_app(rows: AppRows, encoders: &OfferEncoders) -> Result<PublishedApp, StorageError> {
    let app = &rows.app;
    PublishedApp::compile(app, rows.resources, rows.releases, rows.pins, encoders)
        .map_err(|error| cannot_be_compiled(app.id, &error))
}

pub(super) fn cannot_be_compiled(app: AppId, error: &LayoutError) -> StorageError {
    StorageError::CorruptRow {
        table: "apps",
        column: "releases",
        id: app.to_string(),
        reason: error.to_string(),
    }
}
