//! One tenant's catalog, whole and unchanging.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::AppKeyRole;
use crate::catalog::ids::{AppId, KeyId};
use crate::catalog::org::OrgDirectory;
use crate::catalog::tenant::Tenant;
use crate::resolve::PublishedApp;
use crate::storage::CatalogPair;
use crate::storage::feed::TenantRows;

pub struct PublishedTenant {
    /// The state of the database that this was loaded from.
    pub pair: CatalogPair,
    /// The pair as every answer names it.
    pub revision: String,
    pub tenant: Tenant,
    pub directory: OrgDirectory,
    /// The hash of each device key's secret, by the key's id.
    device_keys: HashMap<KeyId, String>,
    /// By what a client sends to name the key.
    app_keys: HashMap<String, LiveAppKey>,
    apps: HashMap<AppId, LoadedApp>,
    /// Current and old package names.
    by_name: HashMap<String, Arc<PublishedApp>>,
    release_count: usize,
}

/// A gateway key with its secrets opened.
#[derive(Clone)]
pub struct LiveAppKey {
    pub role: AppKeyRole,
    /// The current one first.
    pub secrets: Vec<String>,
}

#[derive(Clone)]
pub(super) struct LoadedApp {
    pub(super) pair: CatalogPair,
    pub(super) app: Arc<PublishedApp>,
}

impl PublishedTenant {
    pub(super) fn new(
        row: TenantRows,
        apps: HashMap<AppId, LoadedApp>,
        app_keys: HashMap<String, LiveAppKey>,
    ) -> Self {
        let mut by_name = HashMap::new();
        for loaded in apps.values() {
            for name in loaded.app.every_name() {
                by_name.insert(name.as_str().to_owned(), loaded.app.clone());
            }
        }
        let directory = OrgDirectory::of_nodes(&row.directory);
        Self {
            revision: row.pair.to_string(),
            pair: row.pair,
            tenant: row.tenant,
            directory,
            app_keys,
            device_keys: row.device_keys.into_iter().collect(),
            release_count: apps.values().map(|loaded| loaded.app.release_count()).sum(),
            apps,
            by_name,
        }
    }

    /// The app that has this name, now or formerly.
    pub fn app(&self, name: &str) -> Option<&PublishedApp> {
        self.by_name.get(name).map(AsRef::as_ref)
    }

    pub fn device_key_hash(&self, key: KeyId) -> Option<&str> {
        self.device_keys.get(&key).map(String::as_str)
    }

    pub fn app_key(&self, app_key: &str) -> Option<&LiveAppKey> {
        self.app_keys.get(app_key)
    }

    pub(super) fn app_key_names(&self) -> impl Iterator<Item = &String> {
        self.app_keys.keys()
    }

    pub(super) fn loaded_app(&self, id: AppId) -> Option<&LoadedApp> {
        self.apps.get(&id)
    }

    pub(super) fn app_count(&self) -> usize {
        self.apps.len()
    }

    pub(super) fn release_count(&self) -> usize {
        self.release_count
    }
}
