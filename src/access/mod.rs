//! Who may do what: principals, roles and the one table of what a role allows.
//!
//! Pure: knows no HTTP, SQL, async, clock or environment. A [`TenantScope`] can only be had here, and storage asks
//! for one wherever it touches a tenant's data.

mod account;
mod policy;
mod principal;
mod scope;

pub use account::{ApiToken, AppKey, AppKeyRole, DeviceKey, KeyFacts, User, has_expired};
pub use policy::{
    Action, Refusal, enter_by_key, enter_device, enter_platform, enter_tenant, enter_to_push, granted,
    may_push,
};
pub use principal::{Credential, Principal, Role};
pub use scope::{DeviceScope, TenantScope};
