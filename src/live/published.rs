//! Immutable catalog of one tenant.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::secrets::{Keyring, SealedSecret, sealed_for_app_key};
use crate::storage::credentials::device_keys::DeviceKeyHash;
use slipway_domain::access::AppKeyRole;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{AppId, KeyId, TenantId};
use slipway_domain::catalog::org::OrgDirectory;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::tenant::Tenant;
use slipway_resolver::PublishedApp;

pub struct PublishedTenant {
    /// Revision that this catalog was loaded from.
    pub revision: CatalogRevision,
    /// Text form of the revision, which every answer contains.
    pub revision_text: String,
    pub tenant: Tenant,
    /// Addresses of the artifacts in the offers.
    pub(super) download_urls: DownloadUrls,
    pub directory: Arc<OrgDirectory>,
    /// Version of the org directory; `None` if there is no directory.
    pub directory_etag: Option<String>,
    /// Hash of each device key's secret, by key id.
    pub(super) device_keys: HashMap<KeyId, DeviceKeyHash>,
    /// Gateway keys by the `app_key` that clients send.
    pub(super) app_keys: HashMap<String, Arc<LiveAppKey>>,
    apps: HashMap<AppId, LoadedApp>,
    /// Apps by their current and old package names.
    by_name: HashMap<Box<str>, Arc<PublishedApp>>,
    release_count: usize,
    prepared_byte_count: usize,
}

/// Parts of a tenant's catalog.
pub(super) struct TenantParts {
    pub(super) revision: CatalogRevision,
    pub(super) tenant: Tenant,
    pub(super) download_urls: DownloadUrls,
    pub(super) directory_etag: Option<String>,
    pub(super) directory: Arc<OrgDirectory>,
    pub(super) device_keys: HashMap<KeyId, DeviceKeyHash>,
    pub(super) app_keys: HashMap<String, Arc<LiveAppKey>>,
    pub(super) apps: Vec<LoadedApp>,
}

/// Gateway key with its secrets decrypted.
pub struct LiveAppKey {
    pub id: KeyId,
    pub role: AppKeyRole,
    /// Time from which the key is invalid.
    pub expires_at: Option<DateTime<Utc>>,
    /// Decrypted secrets, the current one first.
    pub secrets: Box<[Box<str>]>,
    /// The same secrets as stored in the database, encrypted. Only this form may be written to disk.
    pub(super) sealed: Box<[SealedSecret]>,
}

impl LiveAppKey {
    /// Decrypts the secrets of a key. A secret that cannot be decrypted is skipped, which affects only this key.
    pub(super) fn open(
        keyring: &Keyring,
        tenant: TenantId,
        id: KeyId,
        role: AppKeyRole,
        expires_at: Option<DateTime<Utc>>,
        sealed: Vec<SealedSecret>,
    ) -> Self {
        let owner = sealed_for_app_key(id);
        let secrets = sealed
            .iter()
            .filter_map(|secret| {
                let opened = keyring.open(secret, &owner);
                if let Err(error) = &opened {
                    tracing::error!(tenant.id = %tenant, key.id = %id, %error, "an app secret cannot be decrypted");
                }
                opened.ok().map(Box::from)
            })
            .collect();
        Self {
            id,
            role,
            expires_at,
            secrets,
            sealed: sealed.into(),
        }
    }
}

#[derive(Clone)]
pub(super) struct LoadedApp {
    pub(super) id: AppId,
    pub(super) revision: CatalogRevision,
    pub(super) app: Arc<PublishedApp>,
}

impl PublishedTenant {
    pub(super) fn new(parts: TenantParts) -> Self {
        let mut by_name = HashMap::with_capacity(parts.apps.len());
        for loaded in &parts.apps {
            for name in loaded.app.every_name() {
                by_name.insert(name.as_str().into(), loaded.app.clone());
            }
        }
        Self {
            revision_text: parts.revision.to_string(),
            revision: parts.revision,
            tenant: parts.tenant,
            download_urls: parts.download_urls,
            directory: parts.directory,
            directory_etag: parts.directory_etag,
            app_keys: parts.app_keys,
            device_keys: parts.device_keys,
            prepared_byte_count: parts
                .apps
                .iter()
                .map(|loaded| loaded.app.prepared_byte_count())
                .sum(),
            release_count: parts.apps.iter().map(|loaded| loaded.app.release_count()).sum(),
            apps: parts.apps.into_iter().map(|loaded| (loaded.id, loaded)).collect(),
            by_name,
        }
    }

    /// Returns the app with this current or old name.
    pub fn app(&self, name: &str) -> Option<&PublishedApp> {
        self.by_name.get(name).map(AsRef::as_ref)
    }

    pub fn device_key(&self, key: KeyId) -> Option<&DeviceKeyHash> {
        self.device_keys.get(&key)
    }

    pub fn app_key(&self, app_key: &str) -> Option<&Arc<LiveAppKey>> {
        self.app_keys.get(app_key)
    }

    pub(super) fn app_key_names(&self) -> impl Iterator<Item = &String> {
        self.app_keys.keys()
    }

    pub(super) fn loaded_app(&self, id: AppId) -> Option<&LoadedApp> {
        self.apps.get(&id)
    }

    pub(super) fn loaded_apps(&self) -> impl Iterator<Item = &LoadedApp> {
        self.apps.values()
    }

    pub(super) fn app_count(&self) -> usize {
        self.apps.len()
    }

    /// Returns the number of apps and of effective releases.
    pub(super) fn row_count(&self) -> u64 {
        self.apps.len() as u64 + self.release_count as u64
    }

    pub(super) fn release_count(&self) -> usize {
        self.release_count
    }

    pub(super) fn prepared_byte_count(&self) -> usize {
        self.prepared_byte_count
    }
}
