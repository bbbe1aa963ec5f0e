//! A merchant that owns apps, devices and keys.

use serde::{Deserialize, Serialize};

use super::enrolment::Enrolment;
use super::ids::TenantId;
use super::push::UrlSchemes;
use super::text::Name;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    pub name: Name,
    /// `false` disables the tenant: its keys and people get the permission error.
    pub enabled: bool,
    /// `false` is the off switch: checks are answered with an empty list.
    pub offers_enabled: bool,
    /// Which addresses a push may hold.
    pub push_url_schemes: UrlSchemes,
    /// What the first enrolment of a device takes.
    pub enrolment: Enrolment,
}
