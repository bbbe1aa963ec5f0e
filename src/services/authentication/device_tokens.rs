//! Authentication of single devices by their newest own token, which the database confirms.

use super::devices::{DeviceCredential, identify_device_caller};
use crate::live::{DeviceRef, Lookup};
use crate::secrets::PresentedDeviceToken;
use crate::services::{Context, ServiceError};
use crate::storage::Authority;
use crate::storage::device_tokens::{self, DeviceToken, TokenState};
use slipway_domain::access::{DeviceScope, device_scope};
use slipway_domain::catalog::text::DeviceId;

pub(in crate::services) const INVALID_TOKEN: ServiceError = ServiceError::Unauthenticated(
    "the device's token was replaced or revoked; enrol the device again with POST /v1/devices",
);
const NO_TOKEN: ServiceError = ServiceError::Unauthenticated(
    "send the device's own token as Authorization: Bearer slipway_devicetoken_…",
);

/// A device that was authenticated with its own token.
pub struct DevicePrincipal {
    pub scope: DeviceScope,
    /// Generation of the presented token.
    generation: i64,
}

impl DevicePrincipal {
    pub(in crate::services) fn device_ref(&self) -> DeviceRef {
        DeviceRef::of(self.scope.tenant().tenant(), self.scope.device())
    }

    /// Returns the authority that the device's writes are checked against.
    pub fn authority(&self) -> Authority {
        Authority::Device {
            device: self.scope.clone(),
            generation: self.generation,
        }
    }

    /// Checks from memory alone whether the device is still authorized, as far as this node knows.
    pub(in crate::services) fn confirm(&self, ctx: &Context) -> Result<(), ServiceError> {
        let (tenant, device) = (self.scope.tenant().tenant(), self.scope.device().as_str());
        let tenant_is_enabled = match ctx.catalog().tenant(tenant) {
            Lookup::Found(tenant) => tenant.tenant.enabled,
            Lookup::Absent => false,
            // The tenant is not loaded, so its state is unchanged as far as this node knows.
            Lookup::Unknown => true,
        };
        if !tenant_is_enabled {
            return Err(ServiceError::no_tenant_access());
        }
        if ctx
            .device_admission()
            .revoked_tokens
            .is_revoked(tenant, device, self.generation)
        {
            return Err(INVALID_TOKEN);
        }
        Ok(())
    }
}

/// Authenticates a device by its newest token.
///
/// A tenant's device key and another device's token get `NotFound`.
pub async fn authenticate_device(
    ctx: &Context,
    bearer: Option<&str>,
    device_id: &DeviceId,
) -> Result<DevicePrincipal, ServiceError> {
    authenticate_admitted(ctx, bearer, device_id, |_| Ok(())).await
}

/// Authenticates a device that acknowledges a push. A device over its limit is refused without a database query.
pub async fn authenticate_acknowledging(
    ctx: &Context,
    bearer: Option<&str>,
    device_id: &DeviceId,
) -> Result<DevicePrincipal, ServiceError> {
    let admit = |scope: &DeviceScope| ctx.device_admission().limits.admit_acknowledgement(scope);
    authenticate_admitted(ctx, bearer, device_id, admit).await
}

async fn authenticate_admitted(
    ctx: &Context,
    bearer: Option<&str>,
    device_id: &DeviceId,
    admit: impl FnOnce(&DeviceScope) -> Result<(), ServiceError>,
) -> Result<DevicePrincipal, ServiceError> {
    let caller = identify_device_caller(ctx.checks(), bearer).map_err(|error| match error {
        ServiceError::Unauthenticated(_) => NO_TOKEN,
        other => other,
    })?;
    let token = match &caller.credential {
        DeviceCredential::Token(token) if token.is_valid_for(ctx.keyring(), device_id.as_str()) => token,
        DeviceCredential::Token(_) | DeviceCredential::Key(_) => {
            return Err(ServiceError::NotFound("device"));
        }
    };
    if !caller.tenant_is_enabled() {
        return Err(ServiceError::no_tenant_access());
    }
    let scope = device_scope(token.tenant, device_id.clone());
    let was_ended = || {
        ctx.device_admission()
            .revoked_tokens
            .is_revoked(token.tenant, device_id.as_str(), token.generation)
    };
    if was_ended() {
        return Err(INVALID_TOKEN);
    }
    admit(&scope)?;
    let stored = device_tokens::find(ctx.db(), scope.tenant(), device_id).await?;
    if is_newest(token, stored.as_ref()) && !was_ended() {
        Ok(DevicePrincipal {
            scope,
            generation: token.generation,
        })
    } else {
        Err(INVALID_TOKEN)
    }
}

/// Returns `true` if a presented token is the newest one of its device.
pub(in crate::services) fn is_newest(presented: &PresentedDeviceToken, stored: Option<&DeviceToken>) -> bool {
    matches!(stored, Some(DeviceToken { state: TokenState::Valid { hash, .. }, .. }) if presented.matches(hash))
}
