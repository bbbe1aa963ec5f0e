//! Authentication of devices, from memory alone: by the device key of their tenant, or by their own token.
//!
//! A device's own token is verified in two steps. It names its tenant, but its verification needs the device's id, which
//! the body or the path of a request contains. [`device_tokens`](super::device_tokens) also requires that the token is
//! the newest one.

use std::sync::Arc;

use crate::live::{Lookup, PublishedTenant};
use crate::secrets::{PresentedDeviceToken, PresentedToken, TokenKind};
use crate::services::ServiceError;
use crate::services::check_path::CheckPath;
use crate::storage::credentials::last_use::KeyRef;
use slipway_domain::access::has_expired;
use slipway_domain::catalog::ids::{KeyId, TenantId};

const WRONG_KEY: ServiceError = ServiceError::Unauthenticated(
    "send the tenant's device key as Authorization: Bearer slipway_device_…, or the device's own token",
);
const EXPIRED_KEY: ServiceError =
    ServiceError::Unauthenticated("this device key has expired; ask a tenant administrator for a new one");
pub(in crate::services) const WRONG_TOKEN: ServiceError = ServiceError::Unauthenticated(
    "the token belongs to another device_id, or was replaced or revoked; enrol the device again with POST /v1/devices",
);

/// A caller that presents a device credential of a tenant. Its own token is not verified yet.
pub struct DeviceCaller {
    tenant: Arc<PublishedTenant>,
    pub(in crate::services) credential: DeviceCredential,
}

/// Credential that a device presents.
pub(in crate::services) enum DeviceCredential {
    /// The tenant's shared device key, verified.
    Key(KeyId),
    /// A token of one device, not verified yet. Verification needs the device's id.
    Token(PresentedDeviceToken),
}

/// Secret key that the device's own token was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum TokenSigningKey {
    Primary,
    /// Another than the first, so that the token is due for renewal.
    Retired,
}

/// Verifies a device key. A device's own token is only read: `verify_own_token` verifies it once the
/// device's id is known.
pub fn identify_device_caller(
    checks: &CheckPath,
    bearer: Option<&str>,
) -> Result<DeviceCaller, ServiceError> {
    let Some(presented) = bearer.and_then(PresentedToken::parse) else {
        let token = bearer.and_then(PresentedDeviceToken::parse).ok_or(WRONG_KEY)?;
        return Ok(DeviceCaller {
            tenant: find_tenant(checks, token.tenant)?,
            credential: DeviceCredential::Token(token),
        });
    };
    let TokenKind::DeviceKey(tenant) = presented.kind else {
        return Err(WRONG_KEY);
    };
    let tenant = find_tenant(checks, tenant)?;
    let key = KeyId::from_uuid(presented.id);
    let now = checks.now();
    let stored = tenant.device_key(key).ok_or(WRONG_KEY)?;
    if !stored.hash.matches(&presented) {
        return Err(WRONG_KEY);
    }
    if has_expired(stored.expires_at, now) {
        return Err(EXPIRED_KEY);
    }
    let key_ref = KeyRef::DeviceKey(tenant.tenant.id, key);
    checks
        .key_uses
        .record_of_catalog(key_ref, &stored.recorded_day, now);
    let credential = DeviceCredential::Key(key);
    Ok(DeviceCaller { tenant, credential })
}

fn find_tenant(checks: &CheckPath, tenant: TenantId) -> Result<Arc<PublishedTenant>, ServiceError> {
    match checks.catalog.tenant(tenant) {
        Lookup::Found(tenant) => Ok(tenant),
        Lookup::Absent => Err(WRONG_KEY),
        // The tenant is not loaded, so the validity of its keys is unknown.
        Lookup::Unknown => Err(ServiceError::NoCatalog),
    }
}

impl DeviceCaller {
    pub(in crate::services) fn published_tenant(&self) -> &PublishedTenant {
        &self.tenant
    }

    pub fn tenant_id(&self) -> TenantId {
        self.tenant.tenant.id
    }

    /// Returns the tenant if the credential is verified: anybody can name a tenant in a token of their own making.
    pub fn verified_tenant(&self) -> Option<TenantId> {
        matches!(self.credential, DeviceCredential::Key(_)).then(|| self.tenant_id())
    }

    pub(super) fn tenant_is_enabled(&self) -> bool {
        self.tenant.tenant.enabled
    }

    /// Returns the secret key of the device's own token, or `None` for a device key.
    ///
    /// Fails if the token belongs to another device or if this node knows that it was replaced.
    pub(in crate::services) fn verify_own_token(
        &self,
        checks: &CheckPath,
        device: &str,
    ) -> Result<Option<TokenSigningKey>, ServiceError> {
        let DeviceCredential::Token(token) = &self.credential else {
            return Ok(None);
        };
        let was_replaced = || {
            checks
                .revoked_tokens
                .is_revoked(token.tenant, device, token.generation)
        };
        match token.key_id(&checks.keyring, device) {
            Some(key_id) if !was_replaced() => Ok(Some(if key_id == checks.keyring.primary_key_id() {
                TokenSigningKey::Primary
            } else {
                TokenSigningKey::Retired
            })),
            _ => Err(WRONG_TOKEN),
        }
    }
}
