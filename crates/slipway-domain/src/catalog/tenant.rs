//! Tenant: a merchant that owns apps, devices and keys.

use serde::{Deserialize, Serialize};

use super::artifact::ArtifactQuota;
use super::enrolment::EnrolmentPolicy;
use super::ids::TenantId;
use super::push::UrlSchemes;
use super::text::Name;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    pub name: Name,
    /// `false` disables the tenant: its keys and users get the permission error.
    pub enabled: bool,
    /// Off switch: with `false`, checks are answered with an empty list.
    pub offers_enabled: bool,
    /// URL schemes that a push may contain.
    pub push_url_schemes: UrlSchemes,
    /// Credential required for the first enrolment of a device.
    pub enrolment: EnrolmentPolicy,
    /// Limit on the artifacts together.
    pub artifact_quota: ArtifactQuota,
}
