//! Handlers for the audit log.

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::call::Call;
use crate::http::fields::{FieldReader, parse_instant};
use crate::http::openapi::ReadProblems;
use crate::http::pagination::{PageResponse, page_request};
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::{list_audit as list, list_platform_audit as list_platform};
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::page::PageRequest;

#[derive(Serialize, ToSchema)]
pub(super) struct AuditEventResponse {
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
    /// Targeting of a release before the change, in words. Absent for other objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "HM except HM-BJ, type 10013, 5% of stores")]
    targeting_before: Option<String>,
    /// Targeting of a release after the change, in words. Absent for other objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "HM except HM-BJ, type 10013, 20% of stores")]
    targeting_after: Option<String>,
    /// `X-Request-Id` of the request.
    request_id: Option<String>,
}

impl From<AuditEvent> for AuditEventResponse {
    fn from(event: AuditEvent) -> Self {
        let targeting = event.targeting_in_words(Language::English);
        Self {
            targeting_before: targeting.before,
            targeting_after: targeting.after,
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

/// Pagination and filters of a list of audit events.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    pub(crate) limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1)]
    pub(crate) cursor: Option<String>,
    /// Only events of this caller: for example `user:…` or `token:…`.
    #[param(min_length = 1, max_length = 512)]
    pub(crate) actor: Option<String>,
    /// Only events of callers with this name.
    #[param(min_length = 1, max_length = 512)]
    pub(crate) actor_name: Option<String>,
    /// Only this action.
    #[param(min_length = 1, max_length = 512, example = "release.publish")]
    pub(crate) action: Option<String>,
    /// Only objects of this type.
    #[param(min_length = 1, max_length = 512, example = "release")]
    pub(crate) object_type: Option<String>,
    /// Only the object with this id.
    #[param(min_length = 1, max_length = 512)]
    pub(crate) object_id: Option<String>,
    /// Only events from this time on.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<String>,
    /// Only events before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) until: Option<String>,
}

impl AuditQuery {
    fn read(self) -> Result<(AuditFilter, PageRequest), Problem> {
        let page = page_request(self.limit.as_deref(), self.cursor.as_deref())?;
        Ok((self.read_filter()?, page))
    }

    /// Parses the parameters of the filter.
    pub(super) fn read_filter(self) -> Result<AuditFilter, Problem> {
        let mut fields = FieldReader::default();
        let filter = AuditFilter {
            actor: fields.query_param("actor", self.actor, read_word),
            actor_name: fields.query_param("actor_name", self.actor_name, read_word),
            action: fields.query_param("action", self.action, read_word),
            object_type: fields.query_param("object_type", self.object_type, read_word),
            object_id: fields.query_param("object_id", self.object_id, read_word),
            from: fields.query_param("from", self.from, parse_instant),
            until: fields.query_param("until", self.until, parse_instant),
        };
        fields.finish()?;
        Ok(filter)
    }
}

/// Reads a text to compare with. PostgreSQL rejects NUL.
fn read_word(text: String) -> Result<String, Invalid> {
    let is_text = (1..=512).contains(&text.chars().count()) && !text.contains(char::is_control);
    let refusal = || Invalid::new("must be 1 to 512 characters without control characters");
    is_text.then_some(text).ok_or_else(refusal)
}

/// List a tenant's audit events
///
/// Each event names the caller, the time, and the object before and after the change.
#[utoipa::path(tag = "audit", operation_id = "list_audit", params(TenantPath, AuditQuery),
    responses((status = 200, description = "Audit events, newest first", body = PageResponse<AuditEventResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/audit")]
pub(super) async fn list_audit(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let (filter, page) = call.query::<AuditQuery>()?.read()?;
    let tenant = call.path.tenant_id;
    let body = call
        .run_heavy(async move |ctx, caller| {
            let found = list(&ctx, &caller, tenant, &filter, &page).await?;
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
#[utoipa::path(tag = "audit", operation_id = "list_platform_audit", params(AuditQuery),
    responses((status = 200, description = "Audit events, newest first", body = PageResponse<AuditEventResponse>), ReadProblems))]
#[get("/audit")]
pub(super) async fn list_platform_audit(call: Call) -> Result<HttpResponse, Problem> {
    let (filter, page) = call.query::<AuditQuery>()?.read()?;
    let body = call
        .run_heavy(async move |ctx, caller| {
            let found = list_platform(&ctx, &caller, &filter, &page).await?;
            Ok(respond::text_of(&PageResponse::new(
                found,
                AuditEventResponse::from,
            )))
        })
        .await?;
    Ok(respond::text(body))
}
