//! Authentication of gateway calls: finds the app key that a call names, from memory alone. The gateway verifies the
//! call's signature with the secrets of the key.

use std::sync::Arc;

use crate::live::{LiveAppKey, Lookup, PublishedTenant};
use crate::services::ServiceError;
use crate::services::check_path::CheckPath;
use crate::storage::credentials::last_use::KeyRef;
use slipway_domain::access::{AppKeyRole, has_expired};
use slipway_domain::catalog::ids::{KeyId, TenantId};

/// A gateway key with its tenant. The caller is authenticated only once a signature is verified with one of its
/// secrets.
pub struct GatewayKey {
    tenant: Arc<PublishedTenant>,
    app_key: String,
    key: Arc<LiveAppKey>,
}

/// Finds a valid key by name. Fails if the node has no catalog yet.
pub fn find_app_key(checks: &CheckPath, app_key: &str) -> Result<Option<GatewayKey>, ServiceError> {
    let tenant = match checks.catalog.tenant_of_app_key(app_key) {
        Lookup::Found(tenant) => tenant,
        Lookup::Absent => return Ok(None),
        Lookup::Unknown => return Err(ServiceError::NoCatalog),
    };
    let key = tenant
        .app_key(app_key)
        .filter(|key| !has_expired(key.expires_at, checks.now()))
        .cloned();
    Ok(key.map(|key| GatewayKey {
        tenant,
        app_key: app_key.to_owned(),
        key,
    }))
}

impl GatewayKey {
    /// Returns the valid secrets: the current one, and the one before the last rotation.
    pub fn secrets(&self) -> impl Iterator<Item = &str> + Clone {
        self.key.secrets.iter().map(AsRef::as_ref)
    }

    pub fn role(&self) -> AppKeyRole {
        self.key.role
    }

    pub fn id(&self) -> KeyId {
        self.key.id
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant.tenant.id
    }

    /// Returns `true` if the tenant of the key is enabled.
    pub fn is_enabled(&self) -> bool {
        self.tenant.tenant.enabled
    }

    /// Records that a caller authenticated with the key.
    pub fn record_use(&self, checks: &CheckPath) {
        let key = KeyRef::AppKey(self.tenant(), self.key.id);
        checks.key_uses.record(key, checks.now());
    }

    pub fn app_key(&self) -> &str {
        &self.app_key
    }

    pub(in crate::services) fn published_tenant(&self) -> &PublishedTenant {
        &self.tenant
    }
}
