//! Explanation of the offers of a check.

use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::body::Json;
use crate::http::call::Call;
use crate::http::device::raw_check_fields::RawCheckFields;
use crate::http::fields::{FieldReader, parse_instant};
use crate::http::openapi::WriteProblems;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::request_fields::Nullable;
use crate::http::respond;
use crate::http::value_schemas::{JsonOrText, RuleValue, VerdictValue};
use crate::services::explain::{self, CatalogSource, Explanation};
use crate::services::{Caller, Context};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;
use slipway_resolver::{Check, ExplainedRelease, ExplainedResource, read_check, read_integer};

/// Body of a check, with an instant and a resource to explain.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainRequest {
    /// Package name; if given, it must equal the one in the path.
    #[schema(value_type = Option<String>)]
    package_name: Option<Box<RawValue>>,
    #[schema(value_type = i64, required, minimum = 0, example = 50)]
    version_code: Option<Box<RawValue>>,
    #[schema(value_type = String, required, min_length = 1, max_length = 128)]
    device_id: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    device_type: Option<Box<RawValue>>,
    #[schema(value_type = JsonOrText, required = false)]
    old_versions: Option<Box<RawValue>>,
    #[schema(value_type = JsonOrText, required = false)]
    org_info: Option<Box<RawValue>>,
    #[schema(value_type = JsonOrText, required = false)]
    attributes: Option<Box<RawValue>>,
    /// Tenant id; if given, it must equal the one in the path.
    #[schema(value_type = Option<i64>, minimum = 1)]
    tenant_id: Option<Box<RawValue>>,
    /// Time for which the check is explained; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    at: Nullable<String>,
    /// Only this resource.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    identifier: Nullable<String>,
}

#[derive(Serialize, ToSchema)]
struct ExplainResponse {
    /// Catalog revision that was explained.
    revision: String,
    at: DateTime<Utc>,
    resources: Vec<ExplainedResourceResponse>,
}

#[derive(Serialize, ToSchema)]
struct ExplainedResourceResponse {
    identifier: String,
    /// Installed version; 0 if not installed.
    installed: i64,
    /// Version that is offered or to be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<i64>,
    /// Releases, highest version first.
    releases: Vec<ExplainedReleaseResponse>,
    /// Number of releases omitted from the response, which is limited to 4 MiB. To see more, request one resource by
    /// `identifier`.
    #[serde(skip_serializing_if = "is_zero")]
    releases_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Serialize, ToSchema)]
struct ExplainedReleaseResponse {
    #[schema(format = "uuid")]
    release_id: String,
    version_code: i64,
    #[schema(value_type = VerdictValue)]
    verdict: &'static str,
    #[schema(value_type = RuleValue)]
    rule: &'static str,
    /// Explanation of the rule, with the deciding values.
    detail: String,
}

impl From<Explanation> for ExplainResponse {
    fn from(explained: Explanation) -> Self {
        let resources = explained.resources.into_iter();
        Self {
            revision: explained.revision.to_string(),
            at: explained.at,
            resources: resources.map(ExplainedResourceResponse::from).collect(),
        }
    }
}

impl From<ExplainedResource> for ExplainedResourceResponse {
    fn from(resource: ExplainedResource) -> Self {
        Self {
            identifier: resource.identifier,
            installed: resource.installed.get(),
            offer: resource.offer.map(VersionCode::get),
            releases: resource
                .releases
                .into_iter()
                .map(ExplainedReleaseResponse::from)
                .collect(),
            releases_left_out: resource.left_out,
        }
    }
}

impl From<ExplainedRelease> for ExplainedReleaseResponse {
    fn from(release: ExplainedRelease) -> Self {
        Self {
            release_id: release.release_id.to_string(),
            version_code: release.version_code.get(),
            verdict: release.verdict.as_str(),
            rule: release.rule.as_str(),
            detail: release.detail,
        }
    }
}

/// Explain a check
///
/// Returns the verdict on every release of the app or of one resource, and the rule that decided it. The decision is
/// the same as that of a check at the given time.
#[utoipa::path(tag = "releases", operation_id = "explain_check", params(AppPath), request_body = ExplainRequest,
    responses((status = 200, description = "Verdicts on the releases", body = ExplainResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/explain")]
pub(super) async fn explain_check(
    mut call: Call<AppPath, Json<ExplainRequest>>,
) -> Result<HttpResponse, Problem> {
    let body = call.body.take();
    let path = call.path.clone();
    let body = call
        .run_heavy(async move |ctx, caller| {
            let explained = body
                .explain(&ctx, &caller, &path, CatalogSource::Database, Language::English)
                .await?;
            Ok(respond::text_of(&ExplainResponse::from(explained)))
        })
        .await?;
    Ok(respond::text(body))
}

impl ExplainRequest {
    pub(super) async fn explain(
        mut self,
        ctx: &Context,
        caller: &Caller,
        path: &AppPath,
        source: CatalogSource,
        language: Language,
    ) -> Result<Explanation, Problem> {
        let at = std::mem::take(&mut self.at);
        let only = read_identifier(std::mem::take(&mut self.identifier))?;
        let raw = raw_check_fields(&self);
        let (check, at) = read(path, &raw, at)?;
        let only = only.as_ref();
        let (tenant, app) = (path.tenant_id, &path.package_name);
        let request = explain::ExplainRequest {
            check,
            only,
            at,
            source,
            language,
        };
        Ok(explain::explain_check(ctx, caller, tenant, app, request).await?)
    }
}

fn read_identifier(given: Nullable<String>) -> Result<Option<Identifier>, Problem> {
    let mut fields = FieldReader::default();
    let identifier = fields.optional("identifier", given, Identifier::parse);
    fields.finish()?;
    Ok(identifier)
}

fn raw_check_fields(body: &ExplainRequest) -> RawCheckFields<'_> {
    RawCheckFields::new([
        body.package_name.as_deref(),
        body.version_code.as_deref(),
        body.device_id.as_deref(),
        body.device_type.as_deref(),
        body.old_versions.as_deref(),
        body.org_info.as_deref(),
        body.attributes.as_deref(),
        body.tenant_id.as_deref(),
    ])
}

fn read<'a>(
    path: &'a AppPath,
    raw: &'a RawCheckFields<'_>,
    at: Nullable<String>,
) -> Result<(Check<'a>, Option<DateTime<Utc>>), Problem> {
    let mut fields = FieldReader::default();
    let at = fields.optional("at", at, parse_instant);
    if !raw.tenant_id().is_absent() {
        match read_integer("tenant_id", raw.tenant_id(), 1).map(TenantId::parse) {
            Err(error) => fields.add_error(error),
            Ok(tenant) if tenant == Ok(path.tenant_id) => {}
            Ok(_) => fields.add_error(FieldError::invalid(
                "tenant_id",
                "must equal the one in the path, or be absent",
            )),
        }
    }
    let check = read_check(&raw.check_fields_of(path.package_name.as_str()));
    match check {
        Ok(check) => {
            if check.package_name != path.package_name.as_str() {
                fields.add_error(FieldError::invalid(
                    "package_name",
                    "must equal the one in the path, or be absent",
                ));
            }
            fields.finish()?;
            Ok((check, at))
        }
        Err(errors) => {
            for error in errors {
                fields.add_error(error);
            }
            Err(fields.into_problem())
        }
    }
}
