//! Content of a tenant's record: the whole tenant except unchanged apps, unchanged parts of apps, and an unchanged
//! directory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::SnapshotError;
use super::super::content::{AppKeyRecord, AppKeyRecordRef, Packer, content_error, unpack_value};
use super::super::frames::{Block, PackedBlock};
use crate::live::PublishedTenant;
use crate::live::published::{LoadedApp, TenantParts};
use crate::secrets::Keyring;
use crate::storage::credentials::device_keys::DeviceKeyHash;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{AppId, KeyId, TenantId};
use slipway_domain::catalog::org::OrgDirectory;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::tenant::Tenant;
use slipway_resolver::{AppChange, AppChangeRef};

/// Serialized form of a tenant's change; [`TenantChange`] has the same fields in the same order.
#[derive(Serialize)]
struct TenantChangeRef<'a> {
    revision: &'a CatalogRevision,
    tenant: &'a Tenant,
    download_urls: &'a DownloadUrls,
    directory_etag: Option<&'a str>,
    /// `None` if unchanged.
    directory: Option<&'a OrgDirectory>,
    device_keys: &'a [(KeyId, DeviceKeyHash)],
    app_keys: Vec<AppKeyRecordRef<'a>>,
    /// All apps; the content is `None` if unchanged.
    apps: Vec<(AppId, &'a CatalogRevision, Option<AppChangeRef<'a>>)>,
}

#[derive(Deserialize)]
struct TenantChange {
    revision: CatalogRevision,
    tenant: Tenant,
    download_urls: DownloadUrls,
    directory_etag: Option<String>,
    directory: Option<OrgDirectory>,
    device_keys: Vec<(KeyId, DeviceKeyHash)>,
    app_keys: Vec<AppKeyRecord>,
    apps: Vec<(AppId, CatalogRevision, Option<AppChange>)>,
}

/// Packs the current state of a tenant, relative to its state in the journal.
pub(super) fn pack(
    packer: &mut Packer<'_>,
    id: TenantId,
    before: Option<&PublishedTenant>,
    now: &PublishedTenant,
) -> Result<PackedBlock, SnapshotError> {
    let has_directory = before.is_some_and(|before| Arc::ptr_eq(&before.directory, &now.directory));
    // With other addresses, the same revision has other offers.
    let has_addresses = before.is_some_and(|before| before.download_urls == now.download_urls);
    let apps = now.loaded_apps().map(|loaded| {
        let before = before.and_then(|before| before.loaded_app(loaded.id));
        let is_new = !has_addresses || before.is_none_or(|before| before.revision != loaded.revision);
        let change = is_new.then(|| loaded.app.change_since(before.map(|before| &*before.app)));
        (loaded.id, &loaded.revision, change)
    });
    let change = TenantChangeRef {
        revision: &now.revision,
        tenant: &now.tenant,
        download_urls: &now.download_urls,
        directory_etag: now.directory_etag.as_deref(),
        directory: (!has_directory).then_some(&*now.directory),
        device_keys: &now.device_keys,
        app_keys: AppKeyRecordRef::all_of(now).collect(),
        apps: apps.collect(),
    };
    packer.pack_value(id, &change)
}

/// Returns the tenant after a change.
pub(super) fn apply(
    block: &Block<'_>,
    before: Option<&PublishedTenant>,
    keyring: &Keyring,
) -> Result<PublishedTenant, SnapshotError> {
    let change: TenantChange = unpack_value(block)?;
    if change.tenant.id != block.tenant {
        return Err(content_error(block, "it belongs to another tenant"));
    }
    let directory = match change.directory {
        Some(directory) => Arc::new(directory),
        None => before
            .filter(|before| before.directory_etag == change.directory_etag)
            .map(|before| before.directory.clone())
            .ok_or_else(|| content_error(block, "the previous org directory is a different one"))?,
    };
    let apps = change.apps.into_iter().map(|(id, revision, app)| match app {
        Some(change) => {
            let before = before.and_then(|before| before.loaded_app(id));
            let app = change.apply(before.map(|before| &*before.app));
            Ok(LoadedApp {
                id,
                revision,
                app: Arc::new(app.map_err(|why| content_error(block, why))?),
            })
        }
        None => before
            .and_then(|before| before.loaded_app(id))
            .filter(|before| before.revision == revision)
            .cloned()
            .ok_or_else(|| content_error(block, "a previous app is a different one")),
    });
    Ok(PublishedTenant::new(TenantParts {
        revision: change.revision,
        tenant: change.tenant,
        download_urls: change.download_urls,
        directory_etag: change.directory_etag,
        directory,
        device_keys: change.device_keys,
        app_keys: change
            .app_keys
            .into_iter()
            .map(|key| key.open(keyring, block.tenant))
            .collect(),
        apps: apps.collect::<Result<_, _>>()?,
    }))
}
