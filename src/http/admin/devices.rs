//! Handlers for the devices of a tenant.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::device_fields::ImportDevicesRequest;
use super::org_directory::read_joined_path;
use super::rule_fields::OrgScopeFields;
use crate::http::body::{Json, MAX_BULK_BODY_BYTES};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageResponse, page_request};
use crate::http::path::{DevicePath, TenantPath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::devices::{self, DeviceWithInstalls, ImportReport, RegisteredDevice};
use crate::services::{Answer, RequiredPermission};
use slipway_domain::access::Action;
use slipway_domain::catalog::device::{DeviceAttributes, DeviceFilter, OrgInfo};
use slipway_domain::catalog::field::{FieldError, Invalid};
use slipway_domain::catalog::install::{Install, InstallFilter};
use slipway_domain::catalog::org::{LevelCodes, OrgCode, OrgScope};
use slipway_domain::catalog::text::{DeviceType, Identifier, PackageName, ProjectId};
use slipway_domain::catalog::version::VersionCode;

/// Numbers of imported devices. Devices that did not change are not counted.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportReport)]
struct ImportDevicesResponse {
    created: usize,
    updated: usize,
}

/// Registered device.
#[derive(Serialize, ToSchema)]
struct DeviceResponse {
    device_id: String,
    /// Project; null until an import or an enrolment sets it.
    project_id: Option<String>,
    device_type: Option<String>,
    /// Org nodes of the device, completed from the org directory.
    #[schema(value_type = Vec<OrgScopeFields>)]
    org_info: Vec<OrgScope>,
    /// Attributes sent at enrolment, with flattened names and text values; null before.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    attributes: Option<DeviceAttributes>,
    /// True if the device holds a valid token of its own.
    enrolled: bool,
    /// True if an event stream or a long poll of the device is open.
    connected: bool,
    /// Time of the first check or enrolment; null before.
    first_seen_at: Option<DateTime<Utc>>,
    /// Time of the last recorded check or enrolment. Of one day's checks (UTC), only the first and those with new
    /// information are recorded.
    last_seen_at: Option<DateTime<Utc>>,
}

/// Device with its installed resources.
#[derive(Serialize, ToSchema)]
struct DeviceWithInstallsResponse {
    #[serde(flatten)]
    device: DeviceResponse,
    /// Installed resources, by app and identifier. Resources that the app does not have are omitted.
    installs: Vec<InstallResponse>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Install)]
struct InstallResponse {
    /// Current package name of the app.
    package_name: String,
    identifier: String,
    version_code: i64,
    /// Time of the last recorded check for this app, as in `last_seen_at`.
    seen_at: DateTime<Utc>,
}

/// Pagination and filters of a device list.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevicesQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    pub(crate) limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) cursor: Option<String>,
    /// Only devices of this project.
    #[param(min_length = 1, max_length = 128)]
    pub(crate) project_id: Option<String>,
    /// Only devices of this type.
    #[param(min_length = 1, max_length = 128)]
    pub(crate) device_type: Option<String>,
    /// Only devices at or below this org node, given as its codes from l1 down, joined with `/`. A backslash precedes a `/`
    /// or a backslash that belongs to a code.
    #[param(example = "HM/HM-SH")]
    pub(crate) org: Option<String>,
    /// Only devices that have this app.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    pub(crate) package_name: Option<String>,
    /// Only devices that have this resource of the app `package_name`.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    pub(crate) identifier: Option<String>,
    /// Only devices that have this version of the resource `identifier`.
    #[param(value_type = Option<i64>, minimum = 1)]
    pub(crate) version_code: Option<String>,
    /// Only devices that are connected (`true`), or only those that are not (`false`).
    #[param(value_type = Option<bool>)]
    pub(crate) connected: Option<String>,
}

/// Parsed filters of a device list.
pub(crate) struct Filters {
    project: Option<ProjectId>,
    device_type: Option<DeviceType>,
    org: Option<OrgScope>,
    package_name: Option<PackageName>,
    identifier: Option<Identifier>,
    version_code: Option<VersionCode>,
    is_connected: Option<bool>,
}

impl From<&RegisteredDevice> for DeviceResponse {
    fn from(registered: &RegisteredDevice) -> Self {
        let stored = &registered.stored;
        let device = &stored.device;
        let org_info = device.org_info.as_ref().map(OrgInfo::memberships);
        Self {
            device_id: device.id.to_string(),
            project_id: device.project.as_ref().map(ToString::to_string),
            device_type: device.device_type.as_ref().map(ToString::to_string),
            org_info: org_info.unwrap_or_default().to_vec(),
            attributes: stored.attributes.clone(),
            enrolled: registered.is_enrolled,
            connected: registered.is_connected,
            first_seen_at: stored.first_seen_at,
            last_seen_at: stored.last_seen_at,
        }
    }
}

impl From<&DeviceWithInstalls> for DeviceWithInstallsResponse {
    fn from(found: &DeviceWithInstalls) -> Self {
        Self {
            device: DeviceResponse::from(&found.device),
            installs: found.installs.iter().map(InstallResponse::from).collect(),
        }
    }
}

impl From<&Install> for InstallResponse {
    fn from(install: &Install) -> Self {
        Self {
            package_name: install.package_name.to_string(),
            identifier: install.identifier.to_string(),
            version_code: install.version_code.get(),
            seen_at: install.seen_at,
        }
    }
}

fn read_version_code(text: String) -> Result<VersionCode, Invalid> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    VersionCode::of_release(number.unwrap_or(0))
}

fn read_bool(text: String) -> Result<bool, Invalid> {
    match text.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::new("must be true or false")),
    }
}

fn read_org(text: String) -> Result<OrgScope, Invalid> {
    let path = read_joined_path(text)?;
    let codes: Vec<_> = path.iter().map(OrgCode::as_str).collect();
    OrgScope::new(LevelCodes::from_path(&codes))
}

fn requires_field(field: &str, needed: &str) -> FieldError {
    FieldError::invalid(field, format!("requires {needed}"))
}

impl Filters {
    pub(super) fn read(query: DevicesQuery) -> Result<Self, Problem> {
        let mut fields = FieldReader::default();
        if query.identifier.is_some() && query.package_name.is_none() {
            fields.add_error(requires_field("identifier", "package_name"));
        }
        if query.version_code.is_some() && query.identifier.is_none() {
            fields.add_error(requires_field("version_code", "identifier"));
        }
        let filters = Self {
            project: fields.query_param("project_id", query.project_id, ProjectId::parse),
            device_type: fields.query_param("device_type", query.device_type, DeviceType::parse),
            org: fields.query_param("org", query.org, read_org),
            package_name: fields.query_param("package_name", query.package_name, PackageName::parse),
            identifier: fields.query_param("identifier", query.identifier, Identifier::parse),
            version_code: fields.query_param("version_code", query.version_code, read_version_code),
            is_connected: fields.query_param("connected", query.connected, read_bool),
        };
        fields.finish()?;
        Ok(filters)
    }

    pub(crate) fn filter(&self) -> DeviceFilter<'_> {
        DeviceFilter {
            project: self.project.as_ref(),
            device_type: self.device_type.as_ref(),
            org: self.org.as_ref(),
            install: self.package_name.as_ref().map(|package_name| InstallFilter {
                package_name,
                identifier: self.identifier.as_ref(),
                version_code: self.version_code,
            }),
            is_connected: self.is_connected,
        }
    }
}

/// Returns the entity tag of a device, a digest of its representation.
pub(super) fn etag_of(found: &DeviceWithInstalls) -> String {
    respond::digest(&DeviceWithInstallsResponse::from(found))
}

/// Import devices
///
/// Sets the project, type and org nodes of each device, and registers unknown devices. Repeating an import changes
/// nothing. Later checks of a device may change its type and org nodes, but never its project.
#[utoipa::path(tag = "devices", operation_id = "import_devices", params(TenantPath, IdempotencyKey),
    request_body = ImportDevicesRequest,
    responses((status = 200, description = "Imported", body = ImportDevicesResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/devices")]
pub(super) async fn import_devices(
    mut call: Call<TenantPath, Json<ImportDevicesRequest, MAX_BULK_BODY_BYTES>>,
) -> Result<HttpResponse, Problem> {
    let body = call.body.take();
    let imported = call.run_heavy(async move |_, _| body.read()).await?;
    let tenant = call.path.tenant_id;
    let permission = RequiredPermission::in_tenant(tenant, Action::WriteDevices);
    respond::create(&call, permission, render_imported, async |reservation| {
        let reservation = reservation.clone();
        call.run_heavy_use_case(async move |ctx, caller| {
            devices::import(&ctx, &caller, tenant, imported, reservation.once(render_imported)).await
        })
        .await
    })
    .await
}

fn render_imported(done: &ImportReport) -> Answer {
    let body = ImportDevicesResponse {
        created: done.created,
        updated: done.updated,
    };
    respond::answer_without_etag(StatusCode::OK, &body)
}

/// List devices
///
/// A device is registered by an import, an enrolment or its first check.
#[utoipa::path(tag = "devices", operation_id = "list_devices", params(TenantPath, DevicesQuery),
    responses((status = 200, description = "Devices by id", body = PageResponse<DeviceResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/devices")]
pub(super) async fn list_devices(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let query: DevicesQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let filters = Filters::read(query)?;
    let tenant = call.path.tenant_id;
    let body = call
        .run_heavy(async move |ctx, caller| {
            let found = devices::list(&ctx, &caller, tenant, &filters.filter(), &page).await?;
            let page = PageResponse::new(found, |device| DeviceResponse::from(&device));
            Ok(respond::text_of(&page))
        })
        .await?;
    Ok(respond::text(body))
}

/// Get a device
///
/// The response includes the installed resources that its checks reported.
#[utoipa::path(tag = "devices", operation_id = "get_device", params(DevicePath),
    responses((status = 200, description = "The device", body = DeviceWithInstallsResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/devices/{device_id}")]
pub(super) async fn get_device(call: Call<DevicePath>) -> Result<HttpResponse, Problem> {
    let DevicePath { tenant_id, device_id } = &call.path;
    let found = devices::get(&call.ctx, &call.caller, *tenant_id, device_id).await?;
    Ok(respond::respond_with_digest(&DeviceWithInstallsResponse::from(
        &found,
    )))
}

/// Delete a device
///
/// Deletes the device with its token, enrolment codes, installed resources and pushes. Afterwards its id can be
/// enrolled like an unknown one, and a check registers it again.
#[utoipa::path(tag = "devices", operation_id = "delete_device", params(DevicePath, IfMatch),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/tenants/{tenant_id}/devices/{device_id}")]
pub(super) async fn delete_device(call: Call<DevicePath>) -> Result<HttpResponse, Problem> {
    let DevicePath { tenant_id, device_id } = &call.path;
    let precondition = call.precondition()?;
    devices::delete(
        &call.ctx,
        &call.caller,
        *tenant_id,
        device_id,
        &precondition,
        etag_of,
    )
    .await?;
    Ok(respond::respond_deleted(None))
}
