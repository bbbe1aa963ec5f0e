//! Authorization: principals, roles, and the single table of what a role permits.
//!
//! This module is pure: no HTTP, SQL, async, clock or environment. A [`TenantScope`] can only be created here, and
//! storage requires one for every access to a tenant's data.

mod account;
mod policy;
mod principal;
mod scope;

pub use account::{
    ApiToken, AppKey, AppKeyRole, ClientCredential, DeviceKey, KeyFacts, PlatformToken, User, has_expired,
};
pub use policy::{
    Action, Refusal, authorize_platform, authorize_push, authorize_tenant, device_scope, is_permitted,
    key_scope, may_push,
};
pub use principal::{Credential, Principal, Role};
pub use scope::{DeviceScope, Platform, TenantScope};
