//! States and details of audited actions that do not change a whole object. The order of fields is that of the stored
//! text.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use slipway_domain::catalog::org::OrgNode;
use slipway_domain::catalog::text::{DeviceId, ProjectId};
use uuid::Uuid;

#[derive(Serialize)]
pub(in crate::services) struct LoginFailureDetails<'a> {
    pub(in crate::services) username: &'a str,
    pub(in crate::services) address: Option<&'a str>,
    pub(in crate::services) reason: &'static str,
    /// Failures since the last audited one.
    pub(in crate::services) left_out_before: u64,
}

/// Nodes of an org directory that the other state lacks or has with other values.
#[derive(Serialize)]
pub(in crate::services) struct OrgDirectoryDifference<'a> {
    pub(in crate::services) node_count: usize,
    pub(in crate::services) differing_count: usize,
    pub(in crate::services) differing: Vec<&'a OrgNode>,
}

#[derive(Serialize)]
pub(in crate::services) struct WithdrawalDetails {
    /// Number of targets.
    pub(in crate::services) withdrawn: usize,
}

#[derive(Serialize)]
pub(in crate::services) struct EnrolmentState {
    pub(in crate::services) enrolled: bool,
}

#[derive(Serialize)]
pub(in crate::services) struct DeviceProject<'a> {
    pub(in crate::services) project_id: Option<&'a ProjectId>,
}

#[derive(Serialize)]
pub(in crate::services) struct EnrolmentDetails<'a> {
    pub(in crate::services) project_id: &'a ProjectId,
    pub(in crate::services) by: &'static str,
    pub(in crate::services) address: Option<IpAddr>,
}

#[derive(Serialize)]
pub(in crate::services) struct EnrolmentRefusalDetails<'a> {
    pub(in crate::services) reason: &'static str,
    pub(in crate::services) project_id: &'a ProjectId,
    pub(in crate::services) address: Option<IpAddr>,
}

#[derive(Serialize)]
pub(in crate::services) struct EnrolmentCodeDetails<'a> {
    pub(in crate::services) id: Uuid,
    pub(in crate::services) device_id: &'a DeviceId,
    pub(in crate::services) expires_at: DateTime<Utc>,
}

#[derive(Serialize)]
pub(in crate::services) struct ImportDetails {
    pub(in crate::services) created: usize,
    pub(in crate::services) updated: usize,
}

#[derive(Serialize)]
pub(in crate::services) struct RestoreDetails {
    pub(in crate::services) sessions: u64,
    pub(in crate::services) enrolment_codes: u64,
    pub(in crate::services) device_tokens: u64,
}

#[derive(Serialize)]
pub(in crate::services) struct RekeyDetails {
    pub(in crate::services) app_keys: u64,
}

#[derive(Serialize)]
pub(in crate::services) struct TokenRevocationDetails {
    pub(in crate::services) device_tokens: u64,
}
