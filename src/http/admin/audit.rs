//! Handlers for the audit log.

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::call::Call;
use crate::http::openapi::ReadProblems;
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::{list_audit as list, list_platform_audit as list_platform};
use slipway_domain::catalog::audit::AuditEvent;
use slipway_domain::catalog::json::JsonText;

#[derive(Serialize, ToSchema)]
struct AuditEventResponse {
    #[schema(format = "uuid")]
    id: String,
    at: DateTime<Utc>,
    /// Key of the caller: `user:…`, `token:…` or `command_line`. A device is `device_key:…` with a device key, and
    /// `device:…` with its own token.
    actor: String,
    /// Name of the user, token or key at the time of the event, or the device id.
    actor_name: String,
    #[schema(example = "release.publish")]
    action: String,
    #[schema(example = "release")]
    object_type: String,
    object_id: String,
    /// Object before the change; absent if it was created.
    #[schema(value_type = Option<Object>)]
    before: Option<JsonText>,
    /// Object after the change; absent if it was deleted.
    #[schema(value_type = Option<Object>)]
    after: Option<JsonText>,
    /// `X-Request-Id` of the request.
    request_id: Option<String>,
}

impl From<AuditEvent> for AuditEventResponse {
    fn from(event: AuditEvent) -> Self {
        Self {
            id: event.id.to_string(),
            at: event.at,
            actor: event.actor_key,
            actor_name: event.actor_name,
            action: event.action,
            object_type: event.object_type,
            object_id: event.object_id,
            before: event.before,
            after: event.after,
            request_id: event.request_id,
        }
    }
}

/// List a tenant's audit events
///
/// Each event names the caller, the time, and the object before and after the change.
#[utoipa::path(tag = "audit", operation_id = "list_audit", params(TenantPath, PageQuery),
    responses((status = 200, description = "Audit events, newest first", body = PageResponse<AuditEventResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/audit")]
pub(super) async fn list_audit(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let tenant = call.path.tenant_id;
    let body = call
        .run_heavy(async move |ctx, caller| {
            let found = list(&ctx, &caller, tenant, &page).await?;
            Ok(respond::text_of(&PageResponse::new(
                found,
                AuditEventResponse::from,
            )))
        })
        .await?;
    Ok(respond::text(body))
}

/// List the platform's audit events
///
/// Covers administrators, platform tokens, tenants, maintenance by the command line, and failed logins of unknown
/// accounts.
#[utoipa::path(tag = "audit", operation_id = "list_platform_audit", params(PageQuery),
    responses((status = 200, description = "Audit events, newest first", body = PageResponse<AuditEventResponse>), ReadProblems))]
#[get("/audit")]
pub(super) async fn list_platform_audit(call: Call) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let body = call
        .run_heavy(async move |ctx, caller| {
            let found = list_platform(&ctx, &caller, &page).await?;
            Ok(respond::text_of(&PageResponse::new(
                found,
                AuditEventResponse::from,
            )))
        })
        .await?;
    Ok(respond::text(body))
}
