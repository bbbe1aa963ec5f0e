//! The native check.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::given::GivenFields;
use crate::catalog::ids::TenantId;
use crate::http::body::{MAX_BODY_BYTES, parse_json, read_body};
use crate::http::call::{bearer, context};
use crate::http::openapi::WriteProblems;
use crate::http::problem::Problem;
use crate::http::respond::check_headers;
use crate::resolve::{Check, Offer, read_check, read_integer};
use crate::services::checks::{CheckAnswer, authenticate};

/// What a device asks. Further members are ignored.
#[derive(Default, Deserialize, ToSchema)]
struct CheckRequest<'a> {
    /// The host app, under its current name or an old one.
    #[serde(borrow)]
    #[schema(value_type = String, required, example = "com.hema.wms")]
    package_name: Option<&'a RawValue>,
    /// The installed version of the host app; a number or digits, 0 for none.
    #[serde(borrow)]
    #[schema(value_type = i64, required, minimum = 0, example = 50)]
    version_code: Option<&'a RawValue>,
    /// 1 to 128 characters, no control characters.
    #[serde(borrow)]
    #[schema(value_type = String, required, max_length = 128, example = "HM8007PDA001")]
    device_id: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>, example = "10013")]
    device_type: Option<&'a RawValue>,
    /// What else is installed: JSON, or a string that holds it.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>, example = json!({"com.hema.wms.chuku": 230}))]
    old_versions: Option<&'a RawValue>,
    /// Where the device belongs: JSON, or a string that holds it.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>, example = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}))]
    org_info: Option<&'a RawValue>,
    /// Whatever the device says of itself: JSON, or a string that holds it.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>, example = json!({"abi": "arm64-v8a"}))]
    attributes: Option<&'a RawValue>,
    /// May be left out: the key says it.
    #[serde(borrow)]
    #[schema(value_type = Option<i64>, example = 10_000_000)]
    tenant_id: Option<&'a RawValue>,
}

#[derive(Serialize, ToSchema)]
struct CheckResponse<'a> {
    data: Vec<OfferResponse<'a>>,
    succeed: bool,
    /// `APP_UNKNOWN`, or empty.
    msg_code: &'a str,
    msg_info: &'a str,
    /// Seconds after which to ask again.
    next_check_after_s: u32,
}

/// One release for this device, with every field of the seed's table.
#[derive(Serialize, ToSchema)]
#[schema(as = Offer)]
struct OfferResponse<'a> {
    /// A JSON object in a string.
    config_json: &'a str,
    download_url: &'a str,
    /// 1; 0 tells to remove the release.
    status: u8,
    qrcode: &'a str,
    size: i64,
    update_desc: &'a str,
    version_code: i64,
    version_name: &'a str,
    icon_url: &'a str,
    md5: &'a str,
    auto_install: bool,
    app_name: &'a str,
    package_name: &'a str,
    old_package_name: &'a str,
    identifier: &'a str,
    /// 1 for a rollback to an older release, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    uninstall_type: Option<u8>,
}

impl<'a> From<&Offer<'a>> for OfferResponse<'a> {
    fn from(offer: &Offer<'a>) -> Self {
        let content = &offer.release.content;
        Self {
            config_json: content.config_json.as_str(),
            download_url: offer.download_url(),
            status: offer.status_code(),
            qrcode: offer.qrcode(),
            size: content.file.size,
            update_desc: content.update_desc.as_str(),
            version_code: content.version_code,
            version_name: content.version_name.as_str(),
            icon_url: offer.icon_url(),
            md5: content.file.md5.as_str(),
            auto_install: offer.auto_install,
            app_name: offer.app.app_name.as_str(),
            package_name: offer.app.package_name.as_str(),
            old_package_name: offer.old_package_name,
            identifier: offer.resource.identifier.as_str(),
            uninstall_type: offer.is_rollback.then_some(1),
        }
    }
}

/// What is new for this device?
///
/// Answered from memory. Nothing to offer is an empty list and success; so is an app that the tenant does not have,
/// with `msg_code` `APP_UNKNOWN`.
#[utoipa::path(tag = "device", operation_id = "check", security(("device_key" = [])), request_body = CheckRequest<'_>,
    responses((status = 200, description = "The offers, the app itself first", body = CheckResponse<'_>), WriteProblems))]
#[post("/check")]
pub(super) async fn answer_check(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let answer = answer(&request, payload).await;
    if answer.is_err() {
        metrics::counter!("slipway_checks_total", "outcome" => "refused").increment(1);
    }
    answer
}

async fn answer(request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let ctx = context(request);
    let device = authenticate(&ctx, bearer(request.headers()))?;
    let body = read_body(request, &mut payload.into_inner(), MAX_BODY_BYTES).await?;
    let (check, claimed) = read(&body)?;
    Ok(respond(&device.check(&ctx, claimed, check)?))
}

/// Reads the check and the tenant that it claims, if any.
fn read(body: &[u8]) -> Result<(Check, Option<TenantId>), Problem> {
    let request: CheckRequest<'_> = parse_json(body)?;
    let given = GivenFields::new([
        request.package_name,
        request.version_code,
        request.device_id,
        request.device_type,
        request.old_versions,
        request.org_info,
        request.attributes,
        request.tenant_id,
    ]);
    let claimed = match given.tenant_id() {
        absent if absent.is_blank() => Ok(None),
        present => read_integer("tenant_id", present, 1).map(|number| TenantId::parse(number).ok()),
    };
    match (read_check(&given.check_fields()), claimed) {
        (Ok(check), Ok(claimed)) => Ok((check, claimed)),
        (Ok(_), Err(error)) => Err(Problem::invalid(vec![error])),
        (Err(mut errors), claimed) => {
            errors.extend(claimed.err());
            Err(Problem::invalid(errors))
        }
    }
}

fn respond(answer: &CheckAnswer<'_>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for header in check_headers(answer) {
        response.insert_header(header);
    }
    response.json(CheckResponse {
        data: answer.offers.iter().map(OfferResponse::from).collect(),
        succeed: true,
        msg_code: answer.msg_code,
        msg_info: &answer.msg_info,
        next_check_after_s: answer.next_check_after_s,
    })
}
