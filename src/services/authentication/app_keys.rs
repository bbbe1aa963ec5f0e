//! Authentication of gateway calls: finds the app key that a call names, from memory alone. The gateway verifies the
//! call's signature with the secrets of the key.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::live::{Lookup, PublishedTenant, ServedAppKey};
use crate::services::ServiceError;
use crate::services::check_path::CheckPath;
use crate::storage::credentials::last_use::KeyRef;
use slipway_domain::access::{AppKeyRole, has_expired};
use slipway_domain::catalog::ids::{KeyId, TenantId};

/// A gateway key with its tenant. The caller is authenticated only once a signature is verified with one of its
/// secrets.
pub struct GatewayKey {
    served: Arc<ServedAppKey>,
    called_at: DateTime<Utc>,
}

/// Finds a valid key by name. Fails if the node has no catalog yet.
pub fn find_app_key(checks: &CheckPath, app_key: &str) -> Result<Option<GatewayKey>, ServiceError> {
    let called_at = checks.now();
    match checks.catalog.app_key(app_key) {
        Lookup::Found(served) if has_expired(served.key.expires_at, called_at) => Ok(None),
        Lookup::Found(served) => Ok(Some(GatewayKey { served, called_at })),
        Lookup::Absent => Ok(None),
        Lookup::Unknown => Err(ServiceError::NoCatalog),
    }
}

impl GatewayKey {
    /// Returns the valid secrets: the current one, and the one before the last rotation.
    pub fn secrets(&self) -> impl Iterator<Item = &str> + Clone {
        self.served.key.secrets()
    }

    /// Returns the time at which the key was found, for all steps of its call.
    pub fn called_at(&self) -> DateTime<Utc> {
        self.called_at
    }

    pub fn role(&self) -> AppKeyRole {
        self.served.key.role
    }

    pub fn id(&self) -> KeyId {
        self.served.key.id
    }

    pub fn tenant(&self) -> TenantId {
        self.served.tenant.tenant.id
    }

    /// Returns `true` if the tenant of the key is enabled.
    pub fn is_enabled(&self) -> bool {
        self.served.tenant.tenant.enabled
    }

    /// Records that a caller authenticated with the key.
    pub fn record_use(&self, checks: &CheckPath) {
        let key = KeyRef::AppKey(self.tenant(), self.id());
        let day = &self.served.recorded_day;
        checks.key_uses.record_of_catalog(key, day, self.called_at);
    }

    pub fn app_key(&self) -> &str {
        self.served.key.app_key()
    }

    pub(in crate::services) fn published_tenant(&self) -> &PublishedTenant {
        &self.served.tenant
    }
}
