//! Handlers for the native check.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::body_owner;
use super::check_response::{CheckResponse, QueryParameters};
use super::raw_check_fields::RawCheckFields;
use crate::http::body::{MAX_BODY_BYTES, parse_json, read_body};
use crate::http::check_answer::insert_check_headers;
use crate::http::client_address::client_address;
use crate::http::offer_json::NATIVE_JSON;
use crate::http::openapi::{IfNoneMatch, ReadProblems, WriteProblems};
use crate::http::problem::Problem;
use crate::http::request::{bearer, context};
use crate::http::value_schemas::{APP_UNKNOWN, JsonOrText};
use crate::services::CheckPath;
use crate::services::authentication::identify_device_caller;
use crate::services::checks::CheckAnswer;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_gateway::form::{FormError, read_form};
use slipway_resolver::{Check, CheckFields, RawField, read_check, read_integer};

/// Maximum number of query parameters. A check has 8; clients may add their own.
const MAX_PARAMETERS: usize = 100;

/// Check request. Unknown members are ignored.
#[derive(Default, Deserialize, ToSchema)]
struct CheckRequest<'a> {
    /// Current or former package name of the host app.
    #[serde(borrow)]
    #[schema(value_type = String, required, example = "com.hema.wms")]
    package_name: Option<&'a RawValue>,
    /// Installed version of the host app, as a number or digits; 0 if not installed.
    #[serde(borrow)]
    #[schema(value_type = i64, required, minimum = 0, example = 50)]
    version_code: Option<&'a RawValue>,
    /// Device id of 1 to 128 characters without control characters.
    #[serde(borrow)]
    #[schema(value_type = String, required, min_length = 1, max_length = 128, example = "HM8007PDA001")]
    device_id: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>, example = "10013")]
    device_type: Option<&'a RawValue>,
    /// Versions of the other installed resources, as JSON or as a string that contains JSON.
    #[serde(borrow)]
    #[schema(value_type = JsonOrText, required = false, example = json!({"com.hema.wms.chuku": 230}))]
    old_versions: Option<&'a RawValue>,
    /// Org nodes of the device, as JSON or as a string that contains JSON.
    #[serde(borrow)]
    #[schema(value_type = JsonOrText, required = false, example = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}))]
    org_info: Option<&'a RawValue>,
    /// Attributes of the device, as JSON or as a string that contains JSON.
    #[serde(borrow)]
    #[schema(value_type = JsonOrText, required = false, example = json!({"abi": "arm64-v8a"}))]
    attributes: Option<&'a RawValue>,
    /// Tenant id; optional, because the key identifies the tenant.
    #[serde(borrow)]
    #[schema(value_type = Option<i64>, minimum = 1, example = 10_000_000)]
    tenant_id: Option<&'a RawValue>,
}

/// Check for updates
///
/// The response is computed from memory. If there is nothing to offer, it is a success with an empty list. An app that
/// the tenant does not have also gets an empty list, with `msg_code` `APP_UNKNOWN`.
#[utoipa::path(tag = "device", operation_id = "check",
    security(("device_key" = []), ("device_token" = [])), request_body = CheckRequest<'_>,
    responses((status = 200, description = "Offers, the app itself first; the `ETag` covers `data` and `msg_code`",
        body = CheckResponse), WriteProblems))]
#[post("/check")]
pub(super) async fn answer_check(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    count_refusal(ctx.checks(), check_posted(ctx.checks(), &request, payload).await)
}

/// Check for updates by query parameters
///
/// This form is cheap to repeat: it returns 304 while `If-None-Match` names the current offers. `old_versions`,
/// `org_info` and `attributes` are JSON text.
#[utoipa::path(tag = "device", operation_id = "check_again",
    security(("device_key" = []), ("device_token" = [])), params(QueryParameters, IfNoneMatch),
    responses((status = 200, description = "Offers, the app itself first; the `ETag` covers `data` and `msg_code`",
        body = CheckResponse), (status = 304, description = "`If-None-Match` contains the current `ETag`"), ReadProblems))]
#[get("/check")]
pub(super) async fn check_by_query(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    count_refusal(ctx.checks(), check_queried(ctx.checks(), &request))
}

fn count_refusal(checks: &CheckPath, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
    if answer.is_err() {
        checks.counts.refused();
    }
    answer
}

async fn check_posted(
    checks: &CheckPath,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut device = identify_device_caller(checks, bearer(request.headers()))?;
    let owner = body_owner(request, Some(&device));
    let body = read_body(request, &mut payload.into_inner(), owner, MAX_BODY_BYTES).await?;
    if body.arrived_late {
        // The credential may have been revoked in the meantime.
        device = identify_device_caller(checks, bearer(request.headers()))?;
    }
    let fields: CheckRequest<'_> = parse_json(&body.bytes)?;
    let raw = RawCheckFields::new([
        fields.package_name,
        fields.version_code,
        fields.device_id,
        fields.device_type,
        fields.old_versions,
        fields.org_info,
        fields.attributes,
        fields.tenant_id,
    ]);
    let (check, claimed) = read(&raw.check_fields(), raw.tenant_id())?;
    let answer = device.check(checks, claimed, check, client_address(request))?;
    Ok(SerializedCheck::of(&answer).respond(HttpResponse::Ok(), &answer))
}

fn check_queried(checks: &CheckPath, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let device = identify_device_caller(checks, bearer(request.headers()))?;
    let text = request.query_string();
    if text.matches('&').nth(MAX_PARAMETERS - 1).is_some() {
        return Err(query_problem(&format!(
            "must have at most {MAX_PARAMETERS} parameters"
        )));
    }
    let query = read_form(text.as_bytes())
        .map_err(|FormError::NotUtf8| query_problem("must be percent-encoded UTF-8"))?;
    reject_repeated_params(&query)?;
    let given = |name: &str| {
        let value = query.iter().find(|(own, _)| own == name);
        value.map_or(RawField::Absent, |(_, value)| RawField::Text(value))
    };
    let fields = CheckFields {
        package_name: given("package_name"),
        version_code: given("version_code"),
        device_id: given("device_id"),
        device_type: given("device_type"),
        old_versions: given("old_versions"),
        org_info: given("org_info"),
        attributes: given("attributes"),
    };
    let (check, claimed) = read(&fields, given("tenant_id"))?;
    let answer = device.check(checks, claimed, check, client_address(request))?;
    let serialized = SerializedCheck::of(&answer);
    let mut response = if matches_if_none_match(request, &serialized.etag) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("private, no-cache")));
    Ok(serialized.respond(response, &answer))
}

fn query_problem(message: &str) -> Problem {
    Problem::invalid(vec![FieldError::invalid("query", message)])
}

/// Rejects repeated parameters, which are ambiguous.
fn reject_repeated_params(
    query: &[(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)],
) -> Result<(), Problem> {
    let repeated = query
        .iter()
        .enumerate()
        .find(|(index, (name, _))| query[..*index].iter().any(|(earlier, _)| earlier == name));
    match repeated {
        Some((_, (name, _))) => Err(Problem::invalid(vec![FieldError::invalid(
            name.as_ref(),
            "must not be given twice",
        )])),
        None => Ok(()),
    }
}

/// Parses the check and the tenant that it claims, if any.
fn read<'a>(
    fields: &CheckFields<'a>,
    tenant_id: RawField<'_>,
) -> Result<(Check<'a>, Option<TenantId>), Problem> {
    let claimed = if tenant_id.is_blank() {
        Ok(None)
    } else {
        read_integer("tenant_id", tenant_id, 1).map(|number| TenantId::parse(number).ok())
    };
    match (read_check(fields), claimed) {
        (Ok(check), Ok(claimed)) => Ok((check, claimed)),
        (Ok(_), Err(error)) => Err(Problem::invalid(vec![error])),
        (Err(mut errors), claimed) => {
            errors.extend(claimed.err());
            Err(Problem::invalid(errors))
        }
    }
}

/// Serialized response.
struct SerializedCheck {
    body: Vec<u8>,
    /// Entity tag in quotes, as in the header.
    etag: String,
}

impl SerializedCheck {
    fn of(answer: &CheckAnswer<'_>) -> Self {
        let mut body = Vec::with_capacity(1_024 * (answer.offers.len() + 1));
        body.extend_from_slice(b"{\"data\":[");
        let data = body.len();
        NATIVE_JSON.write_all(&answer.offers, b"", b",", &mut body);
        if !answer.offers.is_empty() {
            body.pop();
        }
        let msg_code = answer.unknown_app.map_or("", |_| APP_UNKNOWN);
        let msg_info = answer.unknown_app.map(|app| app.to_string()).unwrap_or_default();
        let etag = etag(&body[data..], msg_code);
        body.extend_from_slice(b"],\"succeed\":true,\"msg_code\":\"");
        body.extend_from_slice(msg_code.as_bytes());
        body.extend_from_slice(b"\",\"msg_info\":");
        write_json(&msg_info, &mut body);
        body.extend_from_slice(b",\"next_check_after_s\":");
        write_json(&answer.next_check_after_s, &mut body);
        if let Some(waiting) = answer.pushes_waiting {
            body.extend_from_slice(b",\"pushes_waiting\":");
            write_json(&waiting, &mut body);
        }
        body.push(b'}');
        Self { body, etag }
    }

    /// Builds the response. A 304 has no body (RFC 9110, section 15.4.5).
    fn respond(self, mut response: HttpResponseBuilder, answer: &CheckAnswer<'_>) -> HttpResponse {
        insert_check_headers(&mut response, answer);
        response.insert_header((ETAG, self.etag));
        let mut response = response.finish();
        if response.status() == actix_web::http::StatusCode::NOT_MODIFIED {
            return response;
        }
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.set_body(actix_web::body::BoxBody::new(self.body))
    }
}

/// Appends a text or a number as JSON.
fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    // Serializing such a value into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Computes the entity tag. It must be equal on all nodes, because each request of a device may reach another node.
fn etag(data: &[u8], msg_code: &str) -> String {
    let hash = xxh3_128_with_seed(data, xxh3_64(msg_code.as_bytes()));
    let mut etag = String::with_capacity(34);
    etag.push('"');
    etag.push_str(&hex::encode(hash.to_be_bytes()));
    etag.push('"');
    etag
}

/// Returns true if `If-None-Match` names this tag. The comparison is weak (RFC 9110, section 13.1.2).
fn matches_if_none_match(request: &HttpRequest, etag: &str) -> bool {
    request
        .headers()
        .get_all(IF_NONE_MATCH)
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
