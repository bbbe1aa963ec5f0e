//! Immutable catalog of one tenant.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use chrono::{DateTime, Utc};
use smallvec::SmallVec;

use crate::secrets::{Keyring, SealedSecret, SecretHash, sealed_for_app_key};
use crate::storage::credentials::device_keys::DeviceKeyHash;
use slipway_domain::access::AppKeyRole;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{AppId, KeyId, TenantId};
use slipway_domain::catalog::org::OrgDirectory;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::short_text::ShortText;
use slipway_domain::catalog::tenant::Tenant;
use slipway_resolver::PublishedApp;

pub struct PublishedTenant {
    /// Revision that this catalog was loaded from.
    pub revision: CatalogRevision,
    /// Text form of the revision, which every answer contains.
    pub revision_text: ShortText,
    pub tenant: Tenant,
    /// Addresses of the artifacts in the offers.
    pub(super) download_urls: DownloadUrls,
    pub directory: Arc<OrgDirectory>,
    /// Version of the org directory; `None` if there is no directory.
    pub directory_etag: Option<String>,
    /// Stored form of the device keys.
    pub(super) device_keys: Box<[(KeyId, DeviceKeyHash)]>,
    /// The same keys as a check verifies them. Most tenants have one.
    live_device_keys: SmallVec<[LiveDeviceKey; 1]>,
    pub(super) app_keys: Box<[LiveAppKey]>,
    apps: HashMap<AppId, LoadedApp>,
    /// Apps by their current and old package names, sorted by name. Those of most tenants are in place.
    names: SmallVec<[NamedApp; 2]>,
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
    pub(super) device_keys: Vec<(KeyId, DeviceKeyHash)>,
    pub(super) app_keys: Vec<LiveAppKey>,
    pub(super) apps: Vec<LoadedApp>,
}

/// Device key as a check verifies it.
pub struct LiveDeviceKey {
    id: KeyId,
    pub hash: SecretHash,
    pub expires_at: Option<DateTime<Utc>>,
    /// Day of the last recorded use of the key, in days since 1970.
    pub recorded_day: AtomicI64,
}

impl LiveDeviceKey {
    /// Returns `None` if the stored hash cannot be read. No secret matches such a key.
    fn new(id: KeyId, stored: &DeviceKeyHash) -> Option<Self> {
        Some(Self {
            id,
            hash: SecretHash::decode(&stored.hash)?,
            expires_at: stored.expires_at,
            recorded_day: AtomicI64::new(i64::MIN),
        })
    }
}

/// App with one of its names.
struct NamedApp {
    name: ShortText,
    app: Arc<PublishedApp>,
}

/// Gateway key with its secrets decrypted.
#[derive(Clone)]
pub struct LiveAppKey {
    /// Text that clients send.
    pub(super) app_key: ShortText,
    pub id: KeyId,
    pub role: AppKeyRole,
    /// Time from which the key is invalid.
    pub expires_at: Option<DateTime<Utc>>,
    /// Decrypted secrets, the current one first.
    pub(super) secrets: SmallVec<[ShortText; 1]>,
    /// The same secrets as stored in the database, encrypted. Only this form may be written to disk.
    pub(super) sealed: Arc<[SealedSecret]>,
}

impl LiveAppKey {
    /// Decrypts the secrets of a key. A secret that cannot be decrypted is skipped, which affects only this key.
    pub(super) fn open(
        keyring: &Keyring,
        tenant: TenantId,
        app_key: &str,
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
                opened.ok().map(|text| ShortText::from(text.as_str()))
            })
            .collect();
        Self {
            app_key: app_key.into(),
            id,
            role,
            expires_at,
            secrets,
            sealed: sealed.into(),
        }
    }

    /// Returns the text that clients send.
    pub fn app_key(&self) -> &str {
        self.app_key.as_str()
    }

    /// Returns the decrypted secrets, the current one first.
    pub fn secrets(&self) -> impl Iterator<Item = &str> + Clone {
        self.secrets.iter().map(ShortText::as_str)
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
        Self {
            revision_text: parts.revision.to_string().as_str().into(),
            live_device_keys: parts
                .device_keys
                .iter()
                .filter_map(|(id, stored)| LiveDeviceKey::new(*id, stored))
                .collect(),
            names: sorted_names(&parts.apps),
            revision: parts.revision,
            tenant: parts.tenant,
            download_urls: parts.download_urls,
            directory: parts.directory,
            directory_etag: parts.directory_etag,
            app_keys: parts.app_keys.into(),
            device_keys: parts.device_keys.into(),
            prepared_byte_count: parts
                .apps
                .iter()
                .map(|loaded| loaded.app.prepared_byte_count())
                .sum(),
            release_count: parts.apps.iter().map(|loaded| loaded.app.release_count()).sum(),
            apps: parts.apps.into_iter().map(|loaded| (loaded.id, loaded)).collect(),
        }
    }

    /// Returns the app with this current or old name.
    pub fn app(&self, name: &str) -> Option<&PublishedApp> {
        let found = self.names.binary_search_by(|named| named.name.as_str().cmp(name));
        found.ok().map(|index| &*self.names[index].app)
    }

    pub fn apps(&self) -> impl Iterator<Item = &PublishedApp> {
        self.apps.values().map(|loaded| loaded.app.as_ref())
    }

    pub fn device_key(&self, key: KeyId) -> Option<&LiveDeviceKey> {
        self.live_device_keys.iter().find(|own| own.id == key)
    }

    pub(super) fn has_app_key(&self, app_key: &str) -> bool {
        self.app_keys.iter().any(|key| key.app_key() == app_key)
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

fn sorted_names(apps: &[LoadedApp]) -> SmallVec<[NamedApp; 2]> {
    let mut names: SmallVec<[NamedApp; 2]> = apps
        .iter()
        .flat_map(|loaded| loaded.app.every_name().map(|name| (name, &loaded.app)))
        .map(|(name, app)| NamedApp {
            name: name.as_str().into(),
            app: app.clone(),
        })
        .collect();
    names.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    names.shrink_to_fit();
    names
}
