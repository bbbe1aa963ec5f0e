//! What a record of a tenant holds: everything of the tenant but the apps and the directory that did not change.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::SnapshotError;
use super::super::content::{Packer, ReadAppKey, WrittenAppKey, refuse, unpack_value};
use super::super::frames::{Block, Packed};
use crate::catalog::ids::{AppId, KeyId, TenantId};
use crate::catalog::org::OrgDirectory;
use crate::catalog::tenant::Tenant;
use crate::live::PublishedTenant;
use crate::live::published::{LoadedApp, TenantParts};
use crate::resolve::PublishedApp;
use crate::secrets::Keyring;
use crate::storage::CatalogPair;
use crate::storage::device_keys::DeviceKeyHash;

/// A tenant's change on its way out; [`Change`] has the same fields in the same order.
#[derive(Serialize)]
struct WrittenChange<'a> {
    pair: &'a CatalogPair,
    tenant: &'a Tenant,
    directory_etag: Option<&'a str>,
    /// `None` if it is the one before.
    directory: Option<&'a OrgDirectory>,
    device_keys: &'a HashMap<KeyId, DeviceKeyHash>,
    app_keys: Vec<WrittenAppKey<'a>>,
    /// Each app; `None` if it is the one before.
    apps: Vec<(AppId, &'a CatalogPair, Option<&'a PublishedApp>)>,
    row_count: i64,
}

#[derive(Deserialize)]
struct Change {
    pair: CatalogPair,
    tenant: Tenant,
    directory_etag: Option<String>,
    directory: Option<OrgDirectory>,
    device_keys: HashMap<KeyId, DeviceKeyHash>,
    app_keys: Vec<ReadAppKey>,
    apps: Vec<(AppId, CatalogPair, Option<PublishedApp>)>,
    row_count: i64,
}

/// Packs what a tenant has now beside what the journal has of it.
pub(super) fn pack(
    packer: &mut Packer<'_>,
    id: TenantId,
    before: Option<&PublishedTenant>,
    now: &PublishedTenant,
) -> Result<Packed, SnapshotError> {
    let has_directory = before.is_some_and(|before| Arc::ptr_eq(&before.directory, &now.directory));
    let is_new = |loaded: &LoadedApp| {
        let before = before.and_then(|before| before.loaded_app(loaded.id));
        before.is_none_or(|before| before.pair != loaded.pair)
    };
    let apps = now
        .loaded_apps()
        .map(|loaded| (loaded.id, &loaded.pair, is_new(loaded).then_some(&*loaded.app)));
    let change = WrittenChange {
        pair: &now.pair,
        tenant: &now.tenant,
        directory_etag: now.directory_etag.as_deref(),
        directory: (!has_directory).then_some(&*now.directory),
        device_keys: &now.device_keys,
        app_keys: WrittenAppKey::all_of(now).collect(),
        apps: apps.collect(),
        row_count: now.row_count,
    };
    packer.pack_value(id, &change)
}

/// The tenant after a change.
pub(super) fn apply(
    block: &Block<'_>,
    before: Option<&PublishedTenant>,
    keyring: &Keyring,
) -> Result<PublishedTenant, SnapshotError> {
    let change: Change = unpack_value(block)?;
    if change.tenant.id != block.tenant {
        return Err(refuse(block, "it is another tenant's"));
    }
    let directory = match change.directory {
        Some(directory) => Arc::new(directory),
        None => before
            .filter(|before| before.directory_etag == change.directory_etag)
            .map(|before| before.directory.clone())
            .ok_or_else(|| refuse(block, "the org directory before it is another"))?,
    };
    let apps = change.apps.into_iter().map(|(id, pair, app)| match app {
        Some(app) => Ok(LoadedApp {
            id,
            pair,
            app: Arc::new(app),
        }),
        None => before
            .and_then(|before| before.loaded_app(id))
            .filter(|before| before.pair == pair)
            .cloned()
            .ok_or_else(|| refuse(block, "an app before it is another")),
    });
    Ok(PublishedTenant::new(TenantParts {
        pair: change.pair,
        tenant: change.tenant,
        directory_etag: change.directory_etag,
        directory,
        device_keys: change.device_keys,
        app_keys: change
            .app_keys
            .into_iter()
            .map(|key| key.open(keyring, block.tenant))
            .collect(),
        apps: apps.collect::<Result<_, _>>()?,
        row_count: change.row_count,
    }))
}
