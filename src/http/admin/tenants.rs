//! Handlers for tenants.

use actix_web::{HttpResponse, get, patch, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::{Json, PrioritizedJson, RequestPriority};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::object::BoundedVec;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::request_fields::{Nullable, request};
use crate::http::respond;
use crate::http::value_schemas::EnrolmentPolicyValue;
use crate::services::RequiredPermission;
use crate::services::tenants::{self, TenantChanges};
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::ArtifactQuota;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::push::{MAX_URL_SCHEMES, UrlScheme, UrlSchemes};
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

request! {
    pub(super) struct CreateTenantRequest {
        /// Tenant id, 1 to 2^63 − 1.
        #[schema(example = 10_000_000, minimum = 1)]
        id: Required<i64>,
        #[schema(min_length = 1, max_length = 128, example = "Hema")]
        name: Required<String>,
    }
}

request! {
    pub(super) struct UpdateTenantRequest {
        #[schema(min_length = 1, max_length = 128)]
        name: Optional<String>,
        /// `false` disables the tenant: requests of its keys and users are denied.
        enabled: Optional<bool>,
        /// Off switch: with `false`, checks return an empty list.
        offers_enabled: Optional<bool>,
        /// URL schemes allowed in pushes, case-insensitive, at most 100. Null allows any scheme except harmful ones such as
        /// `javascript`, `data`, `file` and `intent`.
        #[schema(min_items = 1, max_items = 100, example = json!(["https", "alipays"]))]
        push_url_schemes: Nullable<BoundedVec<String, MAX_URL_SCHEMES>> as Vec<String>,
        /// Credential for the first enrolment of a device: `key` requires the tenant's device key, `code` also a one-time
        /// code.
        #[schema(example = "code")]
        enrolment: Optional<String> as EnrolmentPolicyValue,
        /// Limit in bytes on the artifacts of the tenant together. A lower limit than the used space deletes nothing.
        #[schema(minimum = 0, example = 53_687_091_200_i64)]
        artifact_quota_bytes: Optional<i64>,
    }
}

#[derive(Serialize, ToSchema)]
struct TenantResponse {
    #[schema(example = 10_000_000)]
    id: i64,
    name: String,
    enabled: bool,
    offers_enabled: bool,
    /// Allowed URL schemes; null allows any scheme except harmful ones such as `javascript`, `data`, `file` and
    /// `intent`.
    #[schema(example = json!(["alipays", "https"]))]
    push_url_schemes: Option<Vec<String>>,
    #[schema(value_type = EnrolmentPolicyValue, example = "key")]
    enrolment: &'static str,
    /// Limit in bytes on the artifacts of the tenant together.
    #[schema(example = 53_687_091_200_i64)]
    artifact_quota_bytes: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Versioned<Tenant>> for TenantResponse {
    fn from(stored: &Versioned<Tenant>) -> Self {
        Self {
            id: stored.value.id.get(),
            name: stored.value.name.to_string(),
            enabled: stored.value.enabled,
            offers_enabled: stored.value.offers_enabled,
            push_url_schemes: stored
                .value
                .push_url_schemes
                .listed()
                .map(|schemes| schemes.iter().map(|scheme| scheme.as_str().to_owned()).collect()),
            enrolment: stored.value.enrolment.as_str(),
            artifact_quota_bytes: stored.value.artifact_quota.bytes(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// Reads the allowed schemes; `None` if they are unchanged or invalid.
fn read_schemes(
    given: Nullable<BoundedVec<String, MAX_URL_SCHEMES>>,
    fields: &mut FieldReader,
) -> Option<UrlSchemes> {
    const FIELD: &str = "push_url_schemes";
    let Some(BoundedVec(given)) = fields.nullable(FIELD, given, Ok)? else {
        return Some(UrlSchemes::default());
    };
    let count = given.len();
    let listed = fields.items(FIELD, given, |text: String| UrlScheme::parse(&text));
    // If one of them is invalid, its error is already recorded.
    (listed.len() == count).then(|| fields.record(FIELD, UrlSchemes::only(listed)))?
}

impl CreateTenantRequest {
    pub(super) fn read(self) -> Result<(TenantId, Name), Problem> {
        let mut fields = FieldReader::default();
        let id = fields.required("id", self.id, TenantId::parse);
        let name = fields.required("name", self.name, Name::parse);
        fields.complete(id.zip(name))
    }
}

impl UpdateTenantRequest {
    pub(super) fn read(self) -> Result<TenantChanges, Problem> {
        let mut fields = FieldReader::for_update();
        let changes = TenantChanges {
            name: fields.optional_non_null("name", self.name, Name::parse),
            enabled: fields.optional_non_null("enabled", self.enabled, Ok),
            offers_enabled: fields.optional_non_null("offers_enabled", self.offers_enabled, Ok),
            push_url_schemes: read_schemes(self.push_url_schemes, &mut fields),
            enrolment: fields.optional_non_null("enrolment", self.enrolment, |text: String| {
                EnrolmentPolicy::parse(&text)
            }),
            artifact_quota: fields.optional_non_null(
                "artifact_quota_bytes",
                self.artifact_quota_bytes,
                ArtifactQuota::parse,
            ),
        };
        fields.finish()?;
        Ok(changes)
    }
}

/// Create a tenant
///
/// The id is chosen by the caller and never changes.
#[utoipa::path(tag = "tenants", operation_id = "create_tenant", params(IdempotencyKey), request_body = CreateTenantRequest,
    responses((status = 201, description = "Created", body = TenantResponse), WriteProblems))]
#[post("/tenants")]
pub(super) async fn create_tenant(
    mut call: Call<(), Json<CreateTenantRequest>>,
) -> Result<HttpResponse, Problem> {
    let (id, name) = call.body.take().read()?;
    let render = respond::created_versioned::<TenantResponse, _>;
    respond::create(
        &call,
        RequiredPermission::on_platform(Action::ManageTenants),
        render,
        async |reservation| {
            tenants::create(&call.ctx, &call.caller, id, name, reservation.once(render)).await
        },
    )
    .await
}

/// List tenants
///
/// Returns all tenants by id.
#[utoipa::path(tag = "tenants", operation_id = "list_tenants", params(PageQuery),
    responses((status = 200, description = "Tenants by id", body = PageResponse<TenantResponse>), ReadProblems))]
#[get("/tenants")]
pub(super) async fn list_tenants(call: Call) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = tenants::list(&call.ctx, &call.caller, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| TenantResponse::from(&stored))))
}

/// Get a tenant
///
/// Returns the tenant with its switches and its policy for enrolments.
#[utoipa::path(tag = "tenants", operation_id = "get_tenant", params(TenantPath),
    responses((status = 200, description = "The tenant", body = TenantResponse), ReadProblems))]
#[get("/tenants/{tenant_id}")]
pub(super) async fn get_tenant(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let stored = tenants::get(&call.ctx, &call.caller, call.path.tenant_id).await?;
    Ok(respond::respond_versioned::<TenantResponse, _>(&stored))
}

impl RequestPriority for UpdateTenantRequest {
    fn is_urgent(&self) -> bool {
        self.enabled.value() == Some(&false) || self.offers_enabled.value() == Some(&false)
    }
}

/// Update a tenant
///
/// Absent fields keep their values. `"offers_enabled": false` stops all offers of the tenant immediately.
#[utoipa::path(tag = "tenants", operation_id = "update_tenant", params(TenantPath, IfMatch),
    request_body = UpdateTenantRequest,
    responses((status = 200, description = "Updated", body = TenantResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}")]
pub(super) async fn update_tenant(
    mut call: Call<TenantPath, PrioritizedJson<UpdateTenantRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = call.body.take().read()?;
    let precondition = call.precondition()?;
    let tenant = call.path.tenant_id;
    let done = tenants::update(&call.ctx, &call.caller, tenant, changes, &precondition).await?;
    Ok(respond::respond_written_versioned::<TenantResponse, _>(&done))
}
