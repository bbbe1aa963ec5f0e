//! Compilation of loaded rows.

use std::sync::Arc;

use super::published::LoadedApp;
use crate::storage::StorageError;
use crate::storage::catalog_states::AppRows;
use slipway_domain::catalog::ids::AppId;
use slipway_resolver::{LayoutError, OfferEncoders, PublishedApp};

pub(super) fn load_app(rows: AppRows, encoders: &OfferEncoders) -> Result<LoadedApp, StorageError> {
    Ok(LoadedApp {
        id: rows.app.id,
        revision: rows.revision.clone(),
        app: Arc::new(compile_app(rows, encoders)?),
    })
}

/// Compiles the rows of an app. Rows that cannot be compiled are reported like unreadable ones.
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
