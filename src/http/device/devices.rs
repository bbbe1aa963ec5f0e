//! Enrolment, which gives a device its own credential.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::body_owner;
use super::raw_check_fields::RawCheckFields;
use crate::http::body::{MAX_BODY_BYTES, parse_json, read_body};
use crate::http::client_address::client_address;
use crate::http::fields::FieldReader;
use crate::http::openapi::WriteProblems;
use crate::http::problem::Problem;
use crate::http::request::{acquire, bearer, context, request_id};
use crate::http::request_fields::{Nullable, Required};
use crate::http::value_schemas::JsonOrText;
use crate::secrets::PresentedEnrolmentCode;
use crate::services::PermitClass;
use crate::services::authentication::identify_device_caller;
use crate::services::enrolment::{EnrolmentRequest, EnrolmentResult, enrol};
use slipway_domain::catalog::device::{DeviceAttributes, DeviceEnrolment, OrgInfo};
use slipway_domain::catalog::field::{FieldError, Invalid};
use slipway_domain::catalog::text::{DeviceId, DeviceType, ProjectId};
use slipway_resolver::{Attribute, read_device_attributes, read_memberships};

/// Device to enrol. Absent and null fields keep their stored values.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EnrolDeviceRequest<'a> {
    /// Device id of 1 to 128 characters without control characters.
    #[schema(value_type = String, min_length = 1, max_length = 128, example = "HM8007PDA001")]
    device_id: Required<String>,
    #[schema(value_type = String, min_length = 1, max_length = 128, example = "hema-stores")]
    project_id: Required<String>,
    #[schema(value_type = Option<String>, max_length = 128, example = "10013")]
    #[serde(default)]
    device_type: Nullable<String>,
    /// Org nodes of the device, as JSON or as a string that contains JSON, as in a check.
    #[serde(borrow)]
    #[schema(value_type = JsonOrText, required = false, example = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}))]
    org_info: Option<&'a RawValue>,
    /// Attributes of the device, as JSON or as a string that contains JSON, as in a check.
    #[serde(borrow)]
    #[schema(value_type = JsonOrText, required = false, example = json!({"abi": "arm64-v8a"}))]
    attributes: Option<&'a RawValue>,
    /// One-time code (`slipway_code_…`), required if the device key alone is not sufficient.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    enrolment_code: Nullable<String>,
}

#[derive(Serialize, ToSchema)]
struct EnrolledDeviceResponse {
    /// Token for `Authorization: Bearer …` of this device only; shown only in this response. It replaces the previous
    /// token, which becomes invalid.
    #[schema(example = "slipway_devicetoken_…")]
    device_token: String,
}

/// Enrol a device
///
/// Authenticate with the tenant's device key, or with the device's own token to enrol again. While the id holds a
/// token, or after its token was revoked, the device key alone is refused with 409 `already_enrolled`. Send the token
/// as bearer, or a one-time `enrolment_code`.
#[utoipa::path(tag = "device", operation_id = "enrol_device",
    security(("device_key" = []), ("device_token" = [])), request_body = EnrolDeviceRequest<'_>,
    responses((status = 201, description = "Enrolled", body = EnrolledDeviceResponse),
        (status = 200, description = "Enrolled again; the previous token is replaced", body = EnrolledDeviceResponse),
        WriteProblems))]
#[post("/devices")]
pub(super) async fn enrol_device(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    let caller = identify_device_caller(ctx.checks(), bearer(request.headers()))?;
    let owner = body_owner(&request, Some(&caller));
    let body = read_body(&request, &mut payload.into_inner(), owner, MAX_BODY_BYTES).await?;
    // The credential may have been revoked while the body arrived.
    let caller = identify_device_caller(ctx.checks(), bearer(request.headers()))?;
    let _permit = acquire(&ctx, PermitClass::Device(caller.tenant_id()))?;
    let fields: EnrolDeviceRequest<'_> = parse_json(&body.bytes)?;
    let (device, code) = fields.read()?;
    let enrolment = enrolment_request(&request, device, code);
    Ok(respond_enrolled(enrol(&ctx, &caller, enrolment).await?))
}

fn enrolment_request(
    request: &HttpRequest,
    device: DeviceEnrolment,
    code: Option<PresentedEnrolmentCode>,
) -> EnrolmentRequest {
    EnrolmentRequest {
        device,
        code,
        request_id: request_id(request),
        address: client_address(request),
    }
}

fn respond_enrolled(enrolled: EnrolmentResult) -> HttpResponse {
    let mut response = if enrolled.is_first {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    response.json(EnrolledDeviceResponse {
        device_token: enrolled.device_token,
    })
}

impl EnrolDeviceRequest<'_> {
    fn read(self) -> Result<(DeviceEnrolment, Option<PresentedEnrolmentCode>), Problem> {
        let mut fields = FieldReader::default();
        let id = fields.required("device_id", self.device_id, DeviceId::parse);
        let project = fields.required("project_id", self.project_id, ProjectId::parse);
        let device_type = fields.optional("device_type", unless_blank(self.device_type), DeviceType::parse);
        let raw = RawCheckFields::new([None, None, None, None, None, self.org_info, self.attributes, None]);
        let raw = raw.check_fields();
        let memberships = record(&mut fields, read_memberships(raw.org_info));
        let attributes = record(&mut fields, read_device_attributes(raw.attributes));
        let code = fields.optional("enrolment_code", unless_blank(self.enrolment_code), read_code);
        let (Some(id), Some(project)) = (id, project) else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        let device = DeviceEnrolment {
            id,
            project,
            device_type,
            org_info: memberships.and_then(|memberships| OrgInfo::of_check(&memberships)),
            attributes: attributes.and_then(collect_attributes),
        };
        Ok((device, code))
    }
}

fn unless_blank(given: Nullable<String>) -> Nullable<String> {
    given.null_if(|text| text.trim().is_empty())
}

fn record<T>(fields: &mut FieldReader, read: Result<T, FieldError>) -> Option<T> {
    read.map_err(|error| fields.add_error(error)).ok()
}

fn read_code(text: String) -> Result<PresentedEnrolmentCode, Invalid> {
    PresentedEnrolmentCode::parse(&text)
        .ok_or_else(|| Invalid::new("must be an enrolment code issued by this API"))
}

/// Collects the attributes; `None` if there are none.
fn collect_attributes(attributes: Vec<Attribute<'_>>) -> Option<DeviceAttributes> {
    let collected: DeviceAttributes = attributes
        .into_iter()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    (!collected.is_empty()).then_some(collected)
}
