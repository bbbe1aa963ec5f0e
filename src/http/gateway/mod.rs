//! Gateway: the wire protocol of existing SDKs, isolated from the rest. Every response is HTTP 200, including errors.

mod batch;
mod check;
mod errors;
mod method;
mod methods;
mod offer_xml;
mod pipeline;
mod push;
mod push_request;
mod respond;

pub(super) use offer_xml::XmlEncoder;

use actix_web::http::Method as Verb;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web;
use actix_web::{HttpRequest, HttpResponse};

use self::method::ResponseContext;
use self::respond::respond;
use super::body::{Body, MAX_BODY_BYTES, read_to_end, require_identity};
use super::body_memory::Owner;
use super::body_reader::BodyError;
use super::client_address::client_address;
use super::request::context;
use super::request_ids;
use crate::services::network_of;
use slipway_gateway::envelope::{self, Format};
use slipway_gateway::error::GatewayError;
use slipway_gateway::params::{BodyKind, Params};
use slipway_gateway::request_id::encode;
use slipway_gateway::signed_request::format_of;

/// Registers both paths for all verbs, because an unsupported verb has its own gateway error.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/router/rest", web::to(answer_call))
        .route("/router/batch", web::to(answer_batch));
}

async fn answer_call(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let id = request_id();
    let body = match read_call(&request, payload).await {
        Ok(body) => body,
        Err(error) => return respond_early_failure(&request, &error, &id),
    };
    let (params, format) = match read_params(&request, &body.bytes) {
        Ok(read) => read,
        Err(error) => return respond_early_failure(&request, &error, &id),
    };
    let response_context = ResponseContext {
        format,
        request_id: &id,
    };
    match pipeline::answer(
        &context(&request),
        &params,
        response_context,
        client_address(&request),
    )
    .await
    {
        Ok(answer) => respond(&request, answer.headers, format, answer.body),
        Err(error) => respond_failure(&request, format, &error, &id),
    }
}

async fn answer_batch(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let id = request_id();
    match read_and_answer_batch(&request, payload).await {
        Ok((format, body)) => respond(&request, HttpResponse::Ok(), format, body),
        Err(error) => respond_early_failure(&request, &error, &id),
    }
}

fn respond_early_failure(request: &HttpRequest, error: &GatewayError, id: &str) -> HttpResponse {
    respond_failure(request, early_format(request, error), error, id)
}

fn respond_failure(request: &HttpRequest, format: Format, error: &GatewayError, id: &str) -> HttpResponse {
    let body = envelope::failure(format, error, id);
    let mut response = HttpResponse::Ok();
    if error.ends_connection {
        response.force_close();
    }
    respond(request, response, format, body)
}

async fn read_and_answer_batch(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Format, Vec<u8>), GatewayError> {
    if request.method() != Verb::POST {
        return Err(GatewayError::verb_not_allowed());
    }
    let query = Params::of_query(request.query_string())?;
    let body = read_body(request, payload).await?;
    let body = std::str::from_utf8(&body.bytes).map_err(|_| GatewayError::invalid_encoding())?;
    let format = format_of(&query)?;
    let separator = request
        .headers()
        .get("top-api-separator")
        .and_then(|header| header.to_str().ok());
    let answers = batch::answer(
        &context(request),
        &query,
        format,
        body,
        separator,
        client_address(request),
    )
    .await?;
    Ok((format, answers))
}

async fn read_call(request: &HttpRequest, payload: web::Payload) -> Result<Body, GatewayError> {
    if request.method() != Verb::GET && request.method() != Verb::POST {
        return Err(GatewayError::verb_not_allowed());
    }
    read_body(request, payload).await
}

fn read_params<'a>(request: &'a HttpRequest, body: &'a [u8]) -> Result<(Params<'a>, Format), GatewayError> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|header| header.to_str().ok());
    let params = Params::read(request.query_string(), body, &BodyKind::of(content_type))?;
    let format = format_of(&params)?;
    Ok((params, format))
}

/// Reads the body. Its memory is charged to the client's network, because the key is unknown until the signature, which
/// covers the body, is verified.
async fn read_body(request: &HttpRequest, payload: web::Payload) -> Result<Body, GatewayError> {
    require_identity(request.headers()).map_err(|coding| GatewayError::unsupported_encoding(&coding))?;
    let owner = || Owner::Source(client_address(request).map(network_of));
    match read_to_end(&mut payload.into_inner(), owner, MAX_BODY_BYTES).await {
        Err(BodyError::TooSlow) => Err(GatewayError::too_slow("the body did not arrive in time")),
        Err(BodyError::NoMemory) => Err(GatewayError::unavailable()),
        Ok(body) => Ok(body),
        Err(BodyError::TooLarge) => Err(GatewayError::too_large("a body of at most 1 MiB is read")),
        Err(BodyError::Incomplete) => Err(GatewayError::invalid_encoding()),
    }
}

/// Returns the format of an error that occurs before the format is parsed. An invalid format is answered in XML.
fn early_format(request: &HttpRequest, error: &GatewayError) -> Format {
    if error.code == GatewayError::invalid_format().code {
        return Format::Xml;
    }
    let query = Params::of_query(request.query_string()).unwrap_or_default();
    Format::of_early_error(query.get("format"))
}

/// Generates the id of a response.
fn request_id() -> String {
    encode(request_ids::next())
}
