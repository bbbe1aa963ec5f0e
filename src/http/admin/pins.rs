//! Handlers for pins.

use actix_web::{HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::org_directory::{read_joined_path, read_path};
use crate::http::body::{PrioritizedJson, RequestPriority};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, parse_instant};
use crate::http::openapi::{IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageResponse, page_request};
use crate::http::path::{PinPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::respond;
use crate::http::value_schemas::PinModeValue;
use crate::services::pins::{self, NamedPin, NewPin, PinSelection};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::pin::{PinMode, PinModeError, PinTarget};
use slipway_domain::catalog::text::{DeviceId, Identifier, PackageName, Reason};
use slipway_domain::catalog::version::VersionCode;

request! {
    pub(super) struct PutPinRequest {
        #[schema(example = "com.hema.wms", pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
        package_name: Required<String>,
        #[schema(example = "com.hema.wms.chuku", pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
        identifier: Required<String>,
        /// Target device; exclusive with `org_path`.
        #[schema(min_length = 1, max_length = 128)]
        device_id: Nullable<String>,
        /// Target org node as its codes from l1 down; exclusive with `device_id`.
        #[schema(min_items = 1, max_items = 5, example = json!(["HM", "HM-SH", "8007"]))]
        org_path: Nullable<Vec<String>>,
        /// Pin mode: `hold` offers nothing, `exact` only `version_code`, `ceiling` only versions up to it.
        #[schema(example = "ceiling")]
        mode: Required<String> as PinModeValue,
        /// Version for `exact` and `ceiling`.
        #[schema(minimum = 1)]
        version_code: Nullable<i64>,
        /// Reason for the audit log, 1 to 500 characters.
        #[schema(min_length = 1, max_length = 500, example = "stock-taking")]
        reason: Required<String>,
        /// End of the pin; if absent, it applies until it is deleted.
        #[schema(format = DateTime)]
        expires_at: Nullable<String>,
    }
}

#[derive(Serialize, ToSchema)]
struct PinResponse {
    #[schema(format = "uuid")]
    id: String,
    package_name: String,
    identifier: String,
    device_id: Option<String>,
    org_path: Option<Vec<String>>,
    #[schema(value_type = PinModeValue)]
    mode: &'static str,
    version_code: Option<i64>,
    reason: String,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Pagination and filters of a pin list.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinsQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    pub(crate) limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    pub(crate) cursor: Option<String>,
    /// Only pins of this app.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    pub(crate) package_name: Option<String>,
    /// Only pins of this resource.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    pub(crate) identifier: Option<String>,
    /// Only pins on this device.
    #[param(min_length = 1, max_length = 128)]
    pub(crate) device_id: Option<String>,
    /// Only pins on this org node, given as its codes from l1 down, joined with `/`. A backslash precedes a `/` or a
    /// backslash that belongs to a code. Exclusive with `device_id`.
    #[param(min_length = 1, example = "HM/HM-SH")]
    pub(crate) org_path: Option<String>,
}

impl From<&NamedPin> for PinResponse {
    fn from(named: &NamedPin) -> Self {
        let pin = &named.pin.value;
        let (device_id, org_path) = match &pin.target {
            PinTarget::Device(id) => (Some(id.to_string()), None),
            PinTarget::OrgNode(path) => (
                None,
                Some(path.iter().map(|code| code.as_str().to_owned()).collect()),
            ),
        };
        Self {
            id: pin.id.to_string(),
            package_name: named.package_name.to_string(),
            identifier: pin.identifier.to_string(),
            device_id,
            org_path,
            mode: pin.mode.name(),
            version_code: pin.mode.version_code().map(VersionCode::get),
            reason: pin.reason.to_string(),
            expires_at: pin.expires_at,
            created_at: named.pin.created_at,
            updated_at: named.pin.updated_at,
        }
    }
}

impl RequestPriority for PutPinRequest {
    fn is_urgent(&self) -> bool {
        self.mode.value().is_some_and(|mode| mode == "hold")
    }
}

/// Create or replace a pin
///
/// A pin on the same target is replaced and keeps its id.
#[utoipa::path(tag = "pins", operation_id = "put_pin", params(TenantPath, IfMatch), request_body = PutPinRequest,
    responses((status = 200, description = "Created or replaced", body = PinResponse), WriteProblems))]
#[put("/tenants/{tenant_id}/pins")]
pub(super) async fn put_pin(
    mut call: Call<TenantPath, PrioritizedJson<PutPinRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = read_new(call.body.take())?;
    let precondition = call.precondition()?;
    let done = pins::put(&call.ctx, &call.caller, call.path.tenant_id, new, &precondition).await?;
    Ok(respond::respond_written(
        &PinResponse::from(&done.value),
        &done.value.pin.etag,
        done.revision.as_ref(),
    ))
}

pub(super) fn read_new(body: PutPinRequest) -> Result<NewPin, Problem> {
    let mut fields = FieldReader::default();
    let package_name = fields.required("package_name", body.package_name, PackageName::parse);
    let identifier = fields.required("identifier", body.identifier, Identifier::parse);
    let device = fields
        .optional("device_id", body.device_id, DeviceId::parse)
        .map(PinTarget::Device);
    let node = fields
        .optional("org_path", body.org_path, read_path)
        .map(PinTarget::OrgNode);
    let mode = fields.required("mode", body.mode, Ok);
    let version = fields.optional("version_code", body.version_code, VersionCode::of_release);
    let reason = fields.required("reason", body.reason, Reason::parse);
    let expires_at = fields.optional("expires_at", body.expires_at, parse_instant);
    let mode = mode.and_then(|mode: String| read_mode(&mode, version, &mut fields));
    let target = match (device, node) {
        (Some(target), None) | (None, Some(target)) => Some(target),
        (Some(_), Some(_)) => {
            fields.add_error(FieldError::invalid(
                "org_path",
                "must be absent if device_id is given",
            ));
            None
        }
        (None, None) => {
            if !fields.has_error("org_path") {
                fields.add_missing(FieldError::required("device_id"));
            }
            None
        }
    };
    let new = || {
        Some(NewPin {
            package_name: package_name?,
            identifier: identifier?,
            target: target?,
            mode: mode?,
            reason: reason?,
            expires_at,
        })
    };
    fields.complete(new())
}

fn read_mode(mode: &str, version: Option<VersionCode>, fields: &mut FieldReader) -> Option<PinMode> {
    match PinMode::parse(mode, version) {
        Ok(mode) => return Some(mode),
        Err(PinModeError::Mode(why)) => fields.add_error(why.at("mode")),
        Err(PinModeError::Version(why)) => fields.add_error(why.at("version_code")),
        Err(PinModeError::VersionMissing) => fields.add_missing(FieldError::required("version_code")),
    }
    None
}

pub(super) fn read_selection(query: PinsQuery) -> Result<PinSelection, Problem> {
    let mut fields = FieldReader::default();
    let device = fields.query_param("device_id", query.device_id, DeviceId::parse);
    let node = fields.query_param("org_path", query.org_path, read_joined_path);
    if device.is_some() && node.is_some() {
        fields.add_error(FieldError::invalid(
            "org_path",
            "must be absent if device_id is given",
        ));
    }
    let selection = PinSelection {
        package_name: fields.query_param("package_name", query.package_name, PackageName::parse),
        identifier: fields.query_param("identifier", query.identifier, Identifier::parse),
        target: device.map(PinTarget::Device).or(node.map(PinTarget::OrgNode)),
    };
    fields.finish()?;
    Ok(selection)
}

/// List pins
///
/// Returns the pins in the order of their creation.
#[utoipa::path(tag = "pins", operation_id = "list_pins", params(TenantPath, PinsQuery),
    responses((status = 200, description = "Pins in order of creation", body = PageResponse<PinResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/pins")]
pub(super) async fn list_pins(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let query: PinsQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let selection = read_selection(query)?;
    let found = pins::list(&call.ctx, &call.caller, call.path.tenant_id, &selection, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |pin| PinResponse::from(&pin))))
}

/// Get a pin
///
/// Returns the pin with its target and mode.
#[utoipa::path(tag = "pins", operation_id = "get_pin", params(PinPath),
    responses((status = 200, description = "The pin", body = PinResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/pins/{pin_id}")]
pub(super) async fn get_pin(call: Call<PinPath>) -> Result<HttpResponse, Problem> {
    let named = pins::get(&call.ctx, &call.caller, call.path.tenant_id, call.path.pin_id).await?;
    Ok(respond::respond_object(
        &PinResponse::from(&named),
        &named.pin.etag,
    ))
}

/// Delete a pin
///
/// Ends the pin. The next check of its devices ignores it.
#[utoipa::path(tag = "pins", operation_id = "delete_pin", params(PinPath, IfMatch),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/tenants/{tenant_id}/pins/{pin_id}")]
pub(super) async fn delete_pin(call: Call<PinPath>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let done = pins::delete(
        &call.ctx,
        &call.caller,
        call.path.tenant_id,
        call.path.pin_id,
        &precondition,
    )
    .await?;
    Ok(respond::respond_deleted(done.revision.as_ref()))
}
