//! Devices that hold a credential of their own: how they get it, and how they prove it.

use super::{Context, ServiceError, checks};
use crate::access::{DeviceScope, enter_device};
use crate::catalog::text::DeviceId;
use crate::live::Lookup;
use crate::secrets::PresentedDeviceToken;
use crate::storage::device_tokens::{self, DeviceToken, TokenState};

const NOT_GOOD: ServiceError = ServiceError::Unauthenticated(
    "the device's token was replaced or revoked; enrol the device again by POST /v1/devices",
);
const NO_TOKEN: ServiceError = ServiceError::Unauthenticated(
    "send the device's own token as Authorization: Bearer slipway_devicetoken_…",
);

/// Lets a device in to what is its own: with its newest token alone. A tenant's device key and another device's token
/// are told that nothing is there.
pub async fn authenticate_device(
    ctx: &Context,
    bearer: Option<&str>,
    device_id: &DeviceId,
) -> Result<DeviceScope, ServiceError> {
    let Some(token) = bearer.and_then(PresentedDeviceToken::parse) else {
        return Err(match checks::authenticate(ctx, bearer) {
            Ok(_) => ServiceError::NotFound("device"),
            Err(ServiceError::NoCatalog) => ServiceError::NoCatalog,
            Err(_) => NO_TOKEN,
        });
    };
    if !token.is_of(&ctx.keyring, device_id.as_str()) {
        return Err(ServiceError::NotFound("device"));
    }
    match ctx.live.tenant(token.tenant) {
        Lookup::Found(tenant) if tenant.tenant.enabled => {}
        Lookup::Unknown => return Err(ServiceError::NoCatalog),
        Lookup::Found(_) | Lookup::Absent => return Err(tenant_is_disabled()),
    }
    let scope = enter_device(token.tenant, device_id.clone());
    let stored = device_tokens::find(&ctx.db, scope.tenant(), device_id).await?;
    if is_newest(&token, stored.as_ref()) {
        Ok(scope)
    } else {
        Err(NOT_GOOD)
    }
}

fn is_newest(presented: &PresentedDeviceToken, stored: Option<&DeviceToken>) -> bool {
    matches!(stored, Some(DeviceToken { state: TokenState::Valid(hash), .. }) if presented.matches(hash))
}

fn tenant_is_disabled() -> ServiceError {
    ServiceError::PermissionDenied("the tenant is disabled".to_owned())
}
