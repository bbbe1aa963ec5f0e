//! A push as the API's description shows it. What devices get is written in one place for every channel.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct PushesResponse {
    /// By sequence.
    items: Vec<DeliveredPushResponse>,
}

/// A push for this device. One that comes again has the same `push_id` and `sequence`.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveredPush)]
pub(super) struct DeliveredPushResponse {
    push_id: String,
    /// Counts the pushes to the device, from 1.
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
