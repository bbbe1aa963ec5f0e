//! Adoption of the versions of an app's resources.

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::ReadProblems;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::devices;
use slipway_domain::catalog::adoption::SEEN_WITHIN_DAYS;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::install::VersionCount;
use slipway_domain::catalog::text::Identifier;

const MAX_DAYS: u16 = 365;

/// Filters for the counted resources and devices.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AdoptionQuery {
    /// Only this resource.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    identifier: Option<String>,
    /// Only devices that checked for the app within this number of days, 1 to 365.
    #[param(default = 30, minimum = 1, maximum = 365, value_type = Option<u16>)]
    seen_within_days: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AdoptionResponse {
    /// Adoption by resource: the app itself first, then by identifier. Resources that no device has are omitted.
    resources: Vec<ResourceAdoption>,
}

#[derive(Serialize, ToSchema)]
struct ResourceAdoption {
    identifier: String,
    /// Installed versions, newest first.
    versions: Vec<VersionAdoption>,
}

#[derive(Serialize, ToSchema)]
struct VersionAdoption {
    version_code: i64,
    /// Number of devices with this version.
    devices: u64,
    /// Share, 0 to 1, among the devices that have any version of the resource; rounded to four decimals.
    share: f64,
}

impl AdoptionResponse {
    fn of(counts: &[VersionCount]) -> Self {
        let resources = counts.chunk_by(|a, b| a.identifier == b.identifier);
        Self {
            resources: resources.filter_map(ResourceAdoption::of).collect(),
        }
    }
}

impl ResourceAdoption {
    fn of(counts: &[VersionCount]) -> Option<Self> {
        let total = counts.iter().map(|count| count.devices).sum();
        let version = |count: &VersionCount| VersionAdoption {
            version_code: count.version_code.get(),
            devices: count.devices,
            share: compute_share(count.devices, total),
        };
        Some(Self {
            identifier: counts.first()?.identifier.to_string(),
            versions: counts.iter().map(version).collect(),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "devices are far below 2^52")]
fn compute_share(devices: u64, total: u64) -> f64 {
    (devices as f64 / total as f64 * 10_000.0).round() / 10_000.0
}

/// Reads a number of days from 1 to `MAX`.
pub(super) fn read_days<const MAX: u16>(text: String) -> Result<u16, Invalid> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let days = text
        .parse()
        .ok()
        .filter(|days| digits && (1..=MAX).contains(days));
    days.ok_or_else(|| Invalid::new(format!("must be an integer from 1 to {MAX}")))
}

/// Get the number of devices on each version
///
/// Counts the devices by the version that their checks reported.
#[utoipa::path(tag = "devices", operation_id = "get_adoption", params(AppPath, AdoptionQuery),
    responses((status = 200, description = "Number of devices by resource and version", body = AdoptionResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}/adoption")]
pub(super) async fn get_adoption(call: Call<AppPath>) -> Result<HttpResponse, Problem> {
    let query: AdoptionQuery = call.query()?;
    let mut fields = FieldReader::default();
    let identifier = fields.query_param("identifier", query.identifier, Identifier::parse);
    let days = fields.query_param("seen_within_days", query.seen_within_days, read_days::<MAX_DAYS>);
    fields.finish()?;
    let (tenant, package_name) = (call.path.tenant_id, call.path.package_name.clone());
    let days = days.unwrap_or(SEEN_WITHIN_DAYS);
    let body = call
        .run_heavy(async move |ctx, caller| {
            let counts =
                devices::adoption(&ctx, &caller, tenant, &package_name, identifier.as_ref(), days).await?;
            Ok(respond::text_of(&AdoptionResponse::of(&counts)))
        })
        .await?;
    Ok(respond::text(body))
}
