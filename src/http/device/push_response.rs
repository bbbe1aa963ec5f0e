//! Types that describe a push in the API description. The push itself is serialized in one place for all channels.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct PushesResponse {
    /// Pushes, by sequence.
    items: Vec<DeliveredPushResponse>,
}

/// Push for this device. A redelivery has the same `push_id` and `sequence`.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveredPush)]
pub(super) struct DeliveredPushResponse {
    #[schema(format = "uuid")]
    push_id: String,
    /// Sequence number among the pushes to the device, from 1.
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[schema(example = "preview")]
    action: String,
    app_id: String,
    app_type: String,
    pack_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_url: Option<String>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}
