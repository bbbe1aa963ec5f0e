//! The gateway: the wire protocol of existing SDKs, kept out of the rest. Every answer is HTTP 200, errors included.

mod batch;
mod check;
mod compression;
mod envelope;
mod error;
mod methods;
mod multipart;
mod params;
mod pipeline;
mod readings;
#[cfg(test)]
mod round_trips;
pub mod sign;
pub mod timestamp;
mod value_kind;

use actix_web::http::Method as Verb;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, BytesMut};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use uuid::Uuid;

use self::envelope::Format;
use self::error::GatewayError;
use self::methods::Asked;
use self::params::{BodyKind, Params};
use super::body::MAX_BODY_BYTES;
use super::call::context;

/// Both paths. They take every verb, since a wrong one has an answer of its own.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/router/rest", web::to(answer_call))
        .route("/router/batch", web::to(answer_batch));
}

async fn answer_call(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let id = request_id();
    let read = match read_params(&request, payload).await {
        Ok(params) => pipeline::format_of(&params).map(|format| (params, format)),
        Err(error) => Err(error),
    };
    let (params, format) = match read {
        Ok(read) => read,
        Err(error) => {
            return respond_failure(&request, early_format(&request, &error), &error, &id);
        }
    };
    let asked = Asked {
        format,
        request_id: &id,
    };
    match pipeline::answer(&context(&request), &params, asked).await {
        Ok(answer) => envelope::respond(&request, answer.headers, format, answer.body),
        Err(error) => respond_failure(&request, format, &error, &id),
    }
}

async fn answer_batch(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let id = request_id();
    match read_and_answer_batch(&request, payload).await {
        Ok((format, body)) => envelope::respond(&request, HttpResponse::Ok(), format, body),
        Err(error) => respond_failure(&request, early_format(&request, &error), &error, &id),
    }
}

fn respond_failure(request: &HttpRequest, format: Format, error: &GatewayError, id: &str) -> HttpResponse {
    let body = envelope::failure(format, error, id);
    envelope::respond(request, HttpResponse::Ok(), format, body)
}

async fn read_and_answer_batch(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Format, Vec<u8>), GatewayError> {
    if request.method() != Verb::POST {
        return Err(GatewayError::verb_not_allowed());
    }
    let query = Params::of_query(request.query_string())?;
    let body = read_body(payload).await?;
    let body = std::str::from_utf8(&body).map_err(|_| GatewayError::invalid_encoding())?;
    let format = pipeline::format_of(&query)?;
    let separator = request
        .headers()
        .get("top-api-separator")
        .and_then(|header| header.to_str().ok());
    let answers = batch::answer(&context(request), &query, format, body, separator).await?;
    Ok((format, answers))
}

async fn read_params(request: &HttpRequest, payload: web::Payload) -> Result<Params, GatewayError> {
    if request.method() != Verb::GET && request.method() != Verb::POST {
        return Err(GatewayError::verb_not_allowed());
    }
    let body = read_body(payload).await?;
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|header| header.to_str().ok());
    Params::read(request.query_string(), &body, &BodyKind::of(content_type))
}

async fn read_body(mut payload: web::Payload) -> Result<BytesMut, GatewayError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| GatewayError::invalid_encoding())?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(GatewayError::too_large("a body of at most 1 MiB is read"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The form of an error that comes before the format could be read; an invalid format is answered in XML.
fn early_format(request: &HttpRequest, error: &GatewayError) -> Format {
    if error.code == GatewayError::invalid_format().code {
        return Format::Xml;
    }
    let query = Params::of_query(request.query_string()).unwrap_or_default();
    Format::of_early_error(query.get("format"))
}

/// 13 lower-case letters and digits, as the clients know them.
fn request_id() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut number = Uuid::new_v4().as_u128();
    std::iter::repeat_with(|| {
        let digit = DIGITS[usize::try_from(number % 36).unwrap_or_default()];
        number /= 36;
        char::from(digit)
    })
    .take(13)
    .collect()
}
