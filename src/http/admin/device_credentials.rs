//! What the tenant's people do about the credentials that devices hold for themselves.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Action;
use crate::http::body::{Json, Urgent};
use crate::http::call::Call;
use crate::http::openapi::WriteProblems;
use crate::http::path::DevicePath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::devices;
use crate::services::enrolment::{self, MadeEnrolmentCode};

/// Has no members.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEnrolmentCodeRequest {}

#[derive(Serialize, ToSchema)]
struct CreatedEnrolmentCodeResponse {
    id: String,
    /// For one `POST /v1/devices` of this device; shown only here. Read in either case, with or without its hyphens
    /// and its prefix.
    #[schema(example = "slipway_code_…")]
    enrolment_code: String,
    /// 24 hours after it was made.
    expires_at: DateTime<Utc>,
}

/// Make an enrolment code
///
/// Good once, for this device, for 24 hours; the one made before it is good no more. The code is shown only in this
/// answer. A device must be known to have a code: import it first.
#[utoipa::path(tag = "devices", operation_id = "create_enrolment_code", params(DevicePath),
    request_body = CreateEnrolmentCodeRequest,
    responses((status = 201, description = "Made", body = CreatedEnrolmentCodeResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/devices/{device_id}/enrolment-codes")]
pub(super) async fn create_enrolment_code(
    call: Call<DevicePath, Json<CreateEnrolmentCodeRequest>>,
) -> Result<HttpResponse, Problem> {
    let render = |made: &MadeEnrolmentCode| {
        let body = CreatedEnrolmentCodeResponse {
            id: made.id.to_string(),
            enrolment_code: made.enrolment_code.clone(),
            expires_at: made.expires_at,
        };
        respond::untagged(StatusCode::CREATED, &body)
    };
    let permission = (Some(call.path.tenant_id), Action::WriteDevices);
    respond::create(&call, permission, render, async |ticket| {
        let once = ticket.once_with_secret(render, |made| made.id.to_string());
        let DevicePath { tenant_id, device_id } = &call.path;
        enrolment::create_code(&call.ctx, &call.caller, *tenant_id, device_id, once).await
    })
    .await
}

/// Revoke a device's token
///
/// For a device that was lost: with the tenant's device key alone nobody enrols its id again, only with a code.
#[utoipa::path(tag = "devices", operation_id = "revoke_device_token", params(DevicePath),
    responses((status = 204, description = "It is good for nothing any more"), WriteProblems))]
#[delete("/tenants/{tenant_id}/devices/{device_id}/token")]
pub(super) async fn revoke_device_token(call: Call<DevicePath, Urgent>) -> Result<HttpResponse, Problem> {
    let DevicePath { tenant_id, device_id } = &call.path;
    devices::revoke_token(&call.ctx, &call.caller, *tenant_id, device_id).await?;
    Ok(respond::deleted(None))
}
