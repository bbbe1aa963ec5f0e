//! Authentication: verifies what callers present.
//!
//! | caller | presents | verified in |
//! | --- | --- | --- |
//! | person | username and password | `login` |
//! | person | access token of a session | `sessions` |
//! | person | refresh token of a session | `refresh` |
//! | person | cookie of a console session | `console` |
//! | pipeline | API token | `api_tokens` |
//! | device | device key of its tenant | `devices` |
//! | device | its own token | `devices`, `device_tokens` |
//! | gateway client | app key and signature | `app_keys` |
//!
//! Credentials are managed elsewhere: in [`super::credentials`], [`super::users`] and [`super::enrolment`].

mod api_tokens;
mod app_keys;
mod console;
mod device_tokens;
mod devices;
mod failed_login_audit;
mod login;
mod login_limits;
mod principals;
mod refresh;
mod sessions;

pub use self::app_keys::{GatewayKey, find_app_key};
pub use self::console::{ConsolePrincipal, authenticate_cookie, open_console};
pub use self::device_tokens::{DevicePrincipal, authenticate_acknowledging, authenticate_device};
pub(super) use self::device_tokens::{INVALID_TOKEN, is_newest};
pub use self::devices::{DeviceCaller, identify_device_caller};
pub(super) use self::devices::{DeviceCredential, TokenSigningKey, WRONG_TOKEN};
pub use self::login::{SESSION_LIFETIME, login};
pub(super) use self::login_limits::count_login_attempt;
pub use self::principals::authenticate_principal;
pub use self::refresh::{Client, refresh};
pub use self::sessions::{TokenPair, logout};

use super::ServiceError;
use crate::storage::{Db, tenants};
use slipway_domain::catalog::ids::TenantId;

const WRONG_CREDENTIAL: ServiceError = ServiceError::Unauthenticated(
    "send a valid access token or API token as Authorization: Bearer …; an access token that expired can be refreshed",
);

/// Fails if a caller's tenant is disabled.
async fn require_enabled_tenant(db: &Db, tenant: Option<TenantId>) -> Result<(), ServiceError> {
    let Some(tenant) = tenant else {
        return Ok(());
    };
    match tenants::find(db, tenant).await? {
        Some(found) if found.value.enabled => Ok(()),
        _ => Err(ServiceError::tenant_disabled()),
    }
}
