//! Handlers for polling and acknowledging pushes.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, ContentType, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body_owner;
use super::push_response::PushesResponse;
use crate::http::body::{MAX_BODY_BYTES, parse_json, read_body};
use crate::http::fields::FieldReader;
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::path::{FromPath, OwnDevicePath, OwnPushPath};
use crate::http::problem::Problem;
use crate::http::request::{acquire, bearer, context, read_query};
use crate::http::request_fields::request;
use crate::http::telemetry::is_head;
use crate::http::value_schemas::{AcknowledgementValue, PushStateValue};
use crate::services::PermitClass;
use crate::services::authentication::{
    authenticate_acknowledging, authenticate_device, identify_device_caller,
};
use crate::services::push_channels::{
    DeliveredPush, MAX_POLL_WAIT_S, PushAck, acknowledge_within_limit, poll,
};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Acknowledgement, TargetRecord};
use slipway_domain::catalog::text::PushDetail;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PollQuery {
    /// Maximum time to wait for a push, in seconds. 0 returns all open pushes immediately.
    #[param(default = 0, minimum = 0, maximum = 60, value_type = Option<u32>)]
    wait_s: Option<String>,
}

impl PollQuery {
    fn wait(self) -> Result<Duration, Problem> {
        let mut fields = FieldReader::default();
        let wait = fields.query_param("wait_s", self.wait_s, read_wait);
        fields.finish()?;
        Ok(wait.unwrap_or_default())
    }
}

request! {
    /// State of a push on this device.
    struct AcknowledgePushRequest {
        /// State: `received`, `opened`, `applied` or `failed`.
        #[schema(example = "received")]
        state: Required<String> as AcknowledgementValue,
        /// Explanation for people, such as the reason for a failure.
        #[schema(min_length = 1, max_length = 500)]
        detail: Nullable<String>,
    }
}

#[derive(Serialize, ToSchema)]
struct AcknowledgedPushResponse {
    #[schema(format = "uuid")]
    push_id: String,
    sequence: i64,
    /// Current state of the push. Late or repeated acknowledgements do not change it.
    #[schema(value_type = PushStateValue, example = "received")]
    state: &'static str,
    received_at: Option<DateTime<Utc>>,
    opened_at: Option<DateTime<Utc>>,
    /// Time at which the push was applied or failed.
    ended_at: Option<DateTime<Utc>>,
}

impl From<&TargetRecord> for AcknowledgedPushResponse {
    fn from(target: &TargetRecord) -> Self {
        Self {
            push_id: target.push.to_string(),
            sequence: target.key.sequence,
            state: target.state.as_str(),
            received_at: target.received_at,
            opened_at: target.opened_at,
            ended_at: target.ended_at,
        }
    }
}

/// Poll for pushes
///
/// Returns the open pushes by sequence, at most 200. A call with `wait_s` returns as soon as a push is available, and early,
/// possibly with no push, if the node is about to stop. A
/// recently delivered push without an acknowledgement is returned again after a delay.
#[utoipa::path(tag = "device", operation_id = "poll_pushes", params(OwnDevicePath, PollQuery),
    security(("device_token" = [])),
    responses((status = 200, description = "Open pushes, possibly none", body = PushesResponse), ReadProblems))]
#[get("/devices/{device_id}/pushes")]
pub(super) async fn poll_pushes(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    let path = OwnDevicePath::from_path(&request)?;
    let principal = authenticate_device(&ctx, bearer(request.headers()), &path.device_id).await?;
    let wait = read_query::<PollQuery>(&request)?.wait()?;
    let pushes = if is_head(&request) {
        // A HEAD response has no body.
        Vec::new()
    } else {
        poll(&ctx, &principal, wait).await?
    };
    Ok(respond_pushes(&pushes))
}

fn respond_pushes(pushes: &[DeliveredPush]) -> HttpResponse {
    let items: Vec<_> = pushes.iter().map(DeliveredPush::json).collect();
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .content_type(ContentType::json())
        .body(format!("{{\"items\":[{}]}}", items.join(",")))
}

/// Acknowledge a push
///
/// Any acknowledgement stops further deliveries. Later acknowledgements advance the state. Repeating the same or an
/// earlier state is a success.
#[utoipa::path(tag = "device", operation_id = "acknowledge_push", params(OwnPushPath),
    security(("device_token" = [])), request_body = AcknowledgePushRequest,
    responses((status = 200, description = "State of the push", body = AcknowledgedPushResponse), WriteProblems))]
#[post("/devices/{device_id}/pushes/{push_id}/ack")]
pub(super) async fn acknowledge_push(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    let path = OwnPushPath::from_path(&request)?;
    // The handler reports a wrong credential once it has read the body.
    let caller = identify_device_caller(ctx.checks(), bearer(request.headers())).ok();
    let owner = body_owner(&request, caller.as_ref());
    let body = read_body(&request, &mut payload.into_inner(), owner, MAX_BODY_BYTES).await?;
    // Authenticated after the body, because the token may have been revoked while it arrived.
    let principal = authenticate_acknowledging(&ctx, bearer(request.headers()), &path.device_id).await?;
    let _permit = acquire(&ctx, PermitClass::Device(principal.scope.tenant().tenant()))?;
    let body: AcknowledgePushRequest = parse_json(&body.bytes)?;
    let ack = body.read(path.push_id)?;
    let target = acknowledge_within_limit(&ctx, &principal.scope, principal.authority(), ack).await?;
    Ok(HttpResponse::Ok().json(AcknowledgedPushResponse::from(&target)))
}

impl AcknowledgePushRequest {
    fn read(self, push: PushId) -> Result<PushAck, Problem> {
        let mut fields = FieldReader::default();
        let state = fields.required("state", self.state, |text| Acknowledgement::parse(&text));
        let detail = fields.optional("detail", self.detail, PushDetail::parse);
        fields.complete(state.map(|state| PushAck { push, state, detail }))
    }
}

fn read_wait(text: String) -> Result<Duration, Invalid> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: Option<u32> = text
        .parse()
        .ok()
        .filter(|seconds| is_number && *seconds <= MAX_POLL_WAIT_S);
    let seconds = seconds.ok_or_else(|| {
        Invalid::new(format!(
            "must be an integer from 0 to {MAX_POLL_WAIT_S} (seconds)"
        ))
    })?;
    Ok(Duration::from_secs(seconds.into()))
}
