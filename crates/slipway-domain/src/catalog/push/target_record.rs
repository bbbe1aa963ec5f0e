//! States of a push on its devices.

use chrono::{DateTime, Utc};

use super::{Channel, TargetState};
use crate::catalog::ids::{PushId, TenantId};
use crate::catalog::text::{DeviceId, ProjectId, PushDetail};

/// Key of a target. The sequence counts the pushes to a device, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub sequence: i64,
}

/// State of a push on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRecord {
    pub key: TargetKey,
    pub push: PushId,
    /// Project of the device at the time when the push was accepted.
    pub project: ProjectId,
    pub state: TargetState,
    /// Time of expiry; `None` once the delivery has ended.
    pub open_until: Option<DateTime<Utc>>,
    /// Channel of the last delivery.
    pub channel: Option<Channel>,
    pub deliveries: i64,
    /// Time of the last write to the row.
    pub changed_at: DateTime<Utc>,
    /// Time of the last delivery.
    pub delivered_at: Option<DateTime<Utc>>,
    pub received_at: Option<DateTime<Utc>>,
    pub opened_at: Option<DateTime<Utc>>,
    /// Time at which it was applied, failed, expired or was withdrawn.
    pub ended_at: Option<DateTime<Utc>>,
    pub detail: Option<PushDetail>,
}
