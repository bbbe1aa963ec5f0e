//! Adoption of the versions of an app's resources, day by day.

use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::adoption::read_days;
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::ReadProblems;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::adoption::{AdoptionHistory, HistoryQuery, history};
use slipway_domain::catalog::adoption::{DailyAdoption, KEPT_DAYS, ResourceHistory, VersionDevices};
use slipway_domain::catalog::text::Identifier;

const DEFAULT_DAYS: u16 = 30;
/// Maximum number of resources of a response.
const RESOURCES: usize = 20;
/// Maximum number of versions of a resource that are counted separately.
const VERSIONS: usize = 10;

/// Filters for the resources and the days.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryParams {
    /// Only this resource.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    identifier: Option<String>,
    /// Number of days, 1 to 400, today included.
    #[param(default = 30, minimum = 1, maximum = 400, value_type = Option<u16>)]
    days: Option<String>,
}

/// Days are those of UTC.
#[derive(Serialize, ToSchema)]
struct AdoptionHistoryResponse {
    /// First day.
    #[schema(example = "2026-02-01")]
    from: NaiveDate,
    /// Last day: today.
    #[schema(example = "2026-03-02")]
    to: NaiveDate,
    /// At most 20 resources: the app itself first, then by identifier. Resources that no device had are omitted.
    #[schema(max_items = 20)]
    resources: Vec<ResourceHistoryResponse>,
    /// True if the app has further resources. Name one with `identifier`.
    more_resources: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResourceAdoptionHistory)]
struct ResourceHistoryResponse {
    identifier: String,
    /// Counted days in order. Days on which no device had the resource, or nothing was counted, are omitted.
    #[schema(max_items = 400)]
    days: Vec<DayResponse>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdoptionDay)]
struct DayResponse {
    date: NaiveDate,
    /// Number of devices with any version of the resource.
    #[schema(example = 3)]
    devices: u64,
    /// The versions with the most devices over all returned days, newest first. Versions that no device had on this day
    /// are omitted.
    #[schema(max_items = 10)]
    versions: Vec<VersionResponse>,
    /// Number of devices with any other version.
    others: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VersionDevices)]
struct VersionResponse {
    version_code: i64,
    /// Number of devices with this version.
    #[schema(example = 2)]
    devices: u64,
}

impl From<&AdoptionHistory> for AdoptionHistoryResponse {
    fn from(history: &AdoptionHistory) -> Self {
        Self {
            from: history.from,
            to: history.to,
            resources: history.resources.iter().map(Into::into).collect(),
            more_resources: history.has_more_resources,
        }
    }
}

impl From<&ResourceHistory> for ResourceHistoryResponse {
    fn from(history: &ResourceHistory) -> Self {
        Self {
            identifier: history.identifier.to_string(),
            days: history.days.iter().map(Into::into).collect(),
        }
    }
}

impl From<&DailyAdoption> for DayResponse {
    fn from(day: &DailyAdoption) -> Self {
        Self {
            date: day.day,
            devices: day.counts.total(),
            versions: day.counts.versions.iter().map(Into::into).collect(),
            others: day.counts.others,
        }
    }
}

impl From<&VersionDevices> for VersionResponse {
    fn from(count: &VersionDevices) -> Self {
        Self {
            version_code: count.version_code.get(),
            devices: count.devices,
        }
    }
}

fn read_query(query: HistoryParams) -> Result<HistoryQuery, Problem> {
    let mut fields = FieldReader::default();
    let identifier = fields.query_param("identifier", query.identifier, Identifier::parse);
    let days = fields.query_param("days", query.days, read_days::<KEPT_DAYS>);
    fields.finish()?;
    Ok(HistoryQuery {
        identifiers: identifier.into_iter().collect(),
        days: days.unwrap_or(DEFAULT_DAYS),
        resources: RESOURCES,
        versions: VERSIONS,
    })
}

/// Get the number of devices on each version over time
///
/// Returns one value for each day, which is the last count of the day. Devices are counted every hour. A count includes
/// the devices that checked for the app within the 30 days before it, by the version that their checks reported. Days
/// are kept for 400 days.
#[utoipa::path(tag = "devices", operation_id = "get_adoption_history", params(AppPath, HistoryParams),
    responses((status = 200, description = "Number of devices by resource, day and version", body = AdoptionHistoryResponse),
        ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}/adoption/history")]
pub(super) async fn get_adoption_history(call: Call<AppPath>) -> Result<HttpResponse, Problem> {
    let query = read_query(call.query()?)?;
    let (tenant, package_name) = (call.path.tenant_id, call.path.package_name.clone());
    let body = call
        .run_heavy(async move |ctx, caller| {
            let found = history(&ctx, &caller, tenant, &package_name, &query).await?;
            Ok(respond::text_of(&AdoptionHistoryResponse::from(&found)))
        })
        .await?;
    Ok(respond::text(body))
}
