//! Handlers for the credentials that devices hold themselves.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::openapi::{IdempotencyKey, WriteProblems};
use crate::http::path::DevicePath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::RequiredPermission;
use crate::services::devices;
use crate::services::enrolment::{self, IssuedEnrolmentCode};
use slipway_domain::access::Action;

/// Empty request body.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEnrolmentCodeRequest {}

#[derive(Serialize, ToSchema)]
struct CreatedEnrolmentCodeResponse {
    #[schema(format = "uuid")]
    id: String,
    /// Code for one `POST /v1/devices` of this device; shown only in this response. Case is ignored; hyphens and the
    /// prefix may be omitted.
    #[schema(example = "slipway_code_…")]
    enrolment_code: String,
    /// Expiry, 24 hours after creation.
    expires_at: DateTime<Utc>,
}

/// Create an enrolment code
///
/// The code is valid once, for this device, for 24 hours, and replaces the previous code. It is shown only in this
/// response. The device must be known: import it first.
#[utoipa::path(tag = "devices", operation_id = "create_enrolment_code", params(DevicePath, IdempotencyKey),
    request_body = CreateEnrolmentCodeRequest,
    responses((status = 201, description = "Created", body = CreatedEnrolmentCodeResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/devices/{device_id}/enrolment-codes")]
pub(super) async fn create_enrolment_code(
    call: Call<DevicePath, Json<CreateEnrolmentCodeRequest>>,
) -> Result<HttpResponse, Problem> {
    let render = |made: &IssuedEnrolmentCode| {
        let body = CreatedEnrolmentCodeResponse {
            id: made.id.to_string(),
            enrolment_code: made.enrolment_code.clone(),
            expires_at: made.expires_at,
        };
        respond::answer_without_etag(StatusCode::CREATED, &body)
    };
    let permission = RequiredPermission::in_tenant(call.path.tenant_id, Action::WriteDevices);
    respond::create(&call, permission, render, async |reservation| {
        let once = reservation.once_with_secret(render, |made| made.id.to_string());
        let DevicePath { tenant_id, device_id } = &call.path;
        enrolment::create_code(&call.ctx, &call.caller, *tenant_id, device_id, once).await
    })
    .await
}

/// Revoke a device's token
///
/// Use this for a lost device. Its device id can then be enrolled only with an enrolment code. The tenant's device key
/// alone is refused.
#[utoipa::path(tag = "devices", operation_id = "revoke_device_token", params(DevicePath),
    responses((status = 204, description = "Revoked; the token is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/devices/{device_id}/token")]
pub(super) async fn revoke_device_token(call: Call<DevicePath, UrgentBody>) -> Result<HttpResponse, Problem> {
    let DevicePath { tenant_id, device_id } = &call.path;
    devices::revoke_token(&call.ctx, &call.caller, *tenant_id, device_id).await?;
    Ok(respond::respond_deleted(None))
}
