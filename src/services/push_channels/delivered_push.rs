//! The representation of a push that every channel sends to a device.

use chrono::{DateTime, Utc};
use serde::Serialize;

use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Push, TargetRecord};
use slipway_domain::catalog::text::{PushUrl, TraceId};

/// A push with its target device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredPush {
    pub(super) target: TargetRecord,
    pub(super) push: Push,
}

#[derive(Serialize)]
struct PushPayload<'a> {
    push_id: PushId,
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    action: &'a str,
    app_id: &'a str,
    app_type: &'a str,
    pack_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_url: Option<&'a str>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl DeliveredPush {
    /// Sequence number of the push among those to the device, from 1.
    pub fn sequence(&self) -> i64 {
        self.target.key.sequence
    }

    /// Serializes the push as one line of JSON.
    pub fn json(&self) -> String {
        let content = &self.push.content;
        let payload = PushPayload {
            push_id: self.push.id,
            sequence: self.sequence(),
            trace_id: content.trace_id.as_ref().map(TraceId::as_str),
            action: content.action.as_str(),
            app_id: content.app_id.as_str(),
            app_type: content.app_type.as_str(),
            pack_url: content.pack_url.as_str(),
            source_url: content.source_url.as_ref().map(PushUrl::as_str),
            created_at: self.push.created_at,
            expires_at: self.push.expires_at,
        };
        // Strings, numbers and timestamps always serialize.
        serde_json::to_string(&payload).unwrap_or_default()
    }
}
