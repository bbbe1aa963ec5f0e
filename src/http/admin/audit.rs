//! The audit.

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::json::JsonText;
use crate::http::call::Call;
use crate::http::openapi::ReadProblems;
use crate::http::pagination::{PageQuery, PageResponse, page_request};
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::{list_audit as list, list_platform_audit as list_platform};
use crate::storage::audit::AuditEvent;

#[derive(Serialize, ToSchema)]
struct AuditEventResponse {
    id: String,
    at: DateTime<Utc>,
    /// `user:…` or `token:…`; `command_line`; a device is `device_key:…` with a key, `device:…` with a token of its own.
    actor: String,
    /// The name of the user, token or key as it was then, or the device's id.
    actor_name: String,
    #[schema(example = "release.publish")]
    action: String,
    #[schema(example = "release")]
    object_type: String,
    object_id: String,
    /// The object before; absent when it was made.
    #[schema(value_type = Option<Object>)]
    before: Option<JsonText>,
    /// The object after; absent when it is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<JsonText>,
    /// The `X-Request-Id` of the call.
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

/// Who changed what, when, before and after
#[utoipa::path(tag = "audit", operation_id = "list_audit", params(TenantPath, PageQuery),
    responses((status = 200, description = "Newest first", body = PageResponse<AuditEventResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/audit")]
pub(super) async fn list_audit(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let query: PageQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
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

/// Who changed what belongs to no tenant
///
/// Administrators, platform tokens, tenants, maintenance by the command line, and failed logins of unknown accounts.
#[utoipa::path(tag = "audit", operation_id = "list_platform_audit", params(PageQuery),
    responses((status = 200, description = "Newest first", body = PageResponse<AuditEventResponse>), ReadProblems))]
#[get("/audit")]
pub(super) async fn list_platform_audit(call: Call) -> Result<HttpResponse, Problem> {
    let query: PageQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
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
