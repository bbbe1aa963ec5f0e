//! Handlers for pushes to named devices.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::push_fields::{CreatePushRequest, ParsedPush, explain};
use crate::http::body::{Json, MAX_BULK_BODY_BYTES, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageResponse, page_request};
use crate::http::path::{PushPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::value_schemas::{PushChannelValue, PushStateValue};
use crate::services::pushes::{self, AcceptedPush, PushWithCounts, PushWithTargets};
use crate::services::{Answer, RequiredPermission, WriteResult};
use slipway_domain::access::Action;
use slipway_domain::catalog::push::{Channel, Push, TargetRecord, TargetState};
use slipway_domain::catalog::text::TraceId;

#[derive(Serialize, ToSchema)]
struct PushResponse {
    #[schema(format = "uuid")]
    id: String,
    trace_id: Option<String>,
    action: String,
    app_id: String,
    app_type: String,
    pack_url: String,
    source_url: Option<String>,
    /// Key and id of the sender: `app_key:…`, `user:…` or `token:…`.
    origin: String,
    /// Name of the user, token or key when it sent the push. Null for pushes of versions that did not record it.
    sender_name: Option<String>,
    /// `alipay_context` of a push sent over the gateway.
    alipay_context: Option<String>,
    created_at: DateTime<Utc>,
    /// Time until which the push is offered to devices that have not acknowledged it.
    expires_at: DateTime<Utc>,
}

/// Push with the state of each target.
#[derive(Serialize, ToSchema)]
struct PushWithTargetsResponse {
    #[serde(flatten)]
    push: PushResponse,
    /// Targets, by device id.
    targets: Vec<TargetResponse>,
}

/// Push with the number of targets in each state.
#[derive(Serialize, ToSchema)]
struct PushWithCountsResponse {
    #[serde(flatten)]
    push: PushResponse,
    target_counts: TargetCounts,
}

/// State of a push on one device.
#[derive(Serialize, ToSchema)]
#[schema(as = Target)]
struct TargetResponse {
    device_id: String,
    /// Project of the device when the push was accepted.
    project_id: String,
    /// State: `queued`, `delivered`, `received`, `opened`, `applied`, `failed`, `expired` or `withdrawn`.
    #[schema(value_type = PushStateValue, example = "received")]
    state: &'static str,
    /// Sequence number of the push among the pushes to the device.
    sequence: i64,
    /// Channel of the last delivery: `events`, `poll` or `mqtt`.
    #[schema(value_type = Option<PushChannelValue>)]
    channel: Option<&'static str>,
    /// Number of deliveries.
    deliveries: i64,
    /// Time of the last delivery.
    delivered_at: Option<DateTime<Utc>>,
    /// Time of the first acknowledgement.
    received_at: Option<DateTime<Utc>>,
    opened_at: Option<DateTime<Utc>>,
    /// Time at which the push was applied, failed, expired or was withdrawn.
    ended_at: Option<DateTime<Utc>>,
    /// Detail reported by the device.
    detail: Option<String>,
    /// Time of the last change.
    changed_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
struct TargetCounts {
    queued: u64,
    delivered: u64,
    received: u64,
    opened: u64,
    applied: u64,
    failed: u64,
    expired: u64,
    withdrawn: u64,
}

/// Pagination and filters of a push list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PushesQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// Only pushes with this trace id.
    #[param(min_length = 1, max_length = 128)]
    trace_id: Option<String>,
}

impl From<&Push> for PushResponse {
    fn from(push: &Push) -> Self {
        let content = &push.content;
        Self {
            id: push.id.to_string(),
            trace_id: content.trace_id.as_ref().map(ToString::to_string),
            action: content.action.to_string(),
            app_id: content.app_id.to_string(),
            app_type: content.app_type.to_string(),
            pack_url: content.pack_url.to_string(),
            source_url: content.source_url.as_ref().map(ToString::to_string),
            origin: push.origin.clone(),
            sender_name: push.sender_name.clone(),
            alipay_context: push.context.clone(),
            created_at: push.created_at,
            expires_at: push.expires_at,
        }
    }
}

impl From<&PushWithTargets> for PushWithTargetsResponse {
    fn from(found: &PushWithTargets) -> Self {
        Self {
            push: PushResponse::from(&found.push),
            targets: found.targets.iter().map(TargetResponse::from).collect(),
        }
    }
}

impl From<&PushWithCounts> for PushWithCountsResponse {
    fn from(found: &PushWithCounts) -> Self {
        Self {
            push: PushResponse::from(&found.push),
            target_counts: TargetCounts::from(&found.targets),
        }
    }
}

impl From<&TargetRecord> for TargetResponse {
    fn from(target: &TargetRecord) -> Self {
        Self {
            device_id: target.key.device.to_string(),
            project_id: target.project.to_string(),
            state: target.state.as_str(),
            sequence: target.key.sequence,
            channel: target.channel.map(Channel::as_str),
            deliveries: target.deliveries,
            delivered_at: target.delivered_at,
            received_at: target.received_at,
            opened_at: target.opened_at,
            ended_at: target.ended_at,
            detail: target.detail.as_ref().map(ToString::to_string),
            changed_at: target.changed_at,
        }
    }
}

impl From<&BTreeMap<TargetState, u64>> for TargetCounts {
    fn from(counts: &BTreeMap<TargetState, u64>) -> Self {
        let of = |state| counts.get(&state).copied().unwrap_or_default();
        Self {
            queued: of(TargetState::Queued),
            delivered: of(TargetState::Delivered),
            received: of(TargetState::Received),
            opened: of(TargetState::Opened),
            applied: of(TargetState::Applied),
            failed: of(TargetState::Failed),
            expired: of(TargetState::Expired),
            withdrawn: of(TargetState::Withdrawn),
        }
    }
}

/// Create a push
///
/// Sends a package to devices. The push is accepted as a whole or refused. Every device must be known in the given
/// project, and the URL schemes must be allowed. The push is stored before the response is sent. It is offered to each
/// device until the device acknowledges it or the push expires. Slipway does not fetch the addresses.
#[utoipa::path(tag = "pushes", operation_id = "create_push", params(TenantPath, IdempotencyKey), request_body = CreatePushRequest,
    responses((status = 201, description = "Accepted", body = PushWithTargetsResponse),
        (status = 200, description = "Repeat of a push with the same `trace_id` and content, accepted within the last ten minutes",
            body = PushWithTargetsResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/pushes")]
pub(super) async fn create_push(
    mut call: Call<TenantPath, Json<CreatePushRequest, MAX_BULK_BODY_BYTES>>,
) -> Result<HttpResponse, Problem> {
    let ParsedPush { request, listed } = call.body.take().read()?;
    let tenant = call.path.tenant_id;
    let permission = RequiredPermission::in_tenant(tenant, Action::Push);
    respond::create(&call, permission, render_accepted, async |reservation| {
        let once = reservation.once(render_accepted);
        let accepted = pushes::create(&call.ctx, &call.caller, tenant, request, once).await;
        accepted
            .map(WriteResult::without_revision)
            .map_err(|refusal| explain(refusal, &listed))
    })
    .await
}

fn render_accepted(accepted: &AcceptedPush) -> Answer {
    let status = if accepted.is_repeat {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let body = PushWithTargetsResponse::from(&accepted.push);
    respond::answer(status, &body, &accepted.push.etag())
}

/// List pushes
///
/// Returns the pushes, newest first, with the number of targets in each state.
#[utoipa::path(tag = "pushes", operation_id = "list_pushes", params(TenantPath, PushesQuery),
    responses((status = 200, description = "Pushes, newest first", body = PageResponse<PushWithCountsResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/pushes")]
pub(super) async fn list_pushes(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let query: PushesQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let mut fields = FieldReader::default();
    let trace_id = fields.query_param("trace_id", query.trace_id, TraceId::parse);
    fields.finish()?;
    let tenant = call.path.tenant_id;
    let found = pushes::list(&call.ctx, &call.caller, tenant, trace_id.as_ref(), &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |push| {
        PushWithCountsResponse::from(&push)
    })))
}

/// Get a push
///
/// The response includes the state of each target. Only an acknowledgement by the device proves that the push arrived.
#[utoipa::path(tag = "pushes", operation_id = "get_push", params(PushPath),
    responses((status = 200, description = "The push", body = PushWithTargetsResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/pushes/{push_id}")]
pub(super) async fn get_push(call: Call<PushPath>) -> Result<HttpResponse, Problem> {
    let found = pushes::get(&call.ctx, &call.caller, call.path.tenant_id, call.path.push_id).await?;
    Ok(respond::respond_object(
        &PushWithTargetsResponse::from(&found),
        &found.etag(),
    ))
}

/// Withdraw a push
///
/// Withdraws the push from devices to which it has not been delivered yet. A delivery cannot be undone. Repeating the
/// call changes nothing.
#[utoipa::path(tag = "pushes", operation_id = "withdraw_push", params(PushPath, IfMatch),
    responses((status = 200, description = "The push after the withdrawal", body = PushWithTargetsResponse), WriteProblems))]
#[delete("/tenants/{tenant_id}/pushes/{push_id}")]
pub(super) async fn withdraw_push(call: Call<PushPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let PushPath { tenant_id, push_id } = call.path;
    let now = pushes::withdraw(&call.ctx, &call.caller, tenant_id, push_id, &precondition).await?;
    Ok(respond::respond_object(
        &PushWithTargetsResponse::from(&now),
        &now.etag(),
    ))
}
