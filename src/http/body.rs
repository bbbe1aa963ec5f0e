//! Bodies: JSON only, limited in size, read strictly.


use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::fields::explain_serde;
use super::problem::{Problem, ProblemCode};
use crate::catalog::field::FieldError;

/// The bytes of a JSON body of at most `MAX` bytes.
pub(super) struct Body<const MAX: usize>(pub(super) actix_web::web::Bytes);

/// Most bodies: 1 MiB.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Org directories: 16 MiB.
pub(super) const MAX_BULK_BODY_BYTES: usize = 16 * 1024 * 1024;

impl<const MAX: usize> FromRequest for Body<MAX> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let accepted = is_json(request);
        let mut payload = payload.take();
        Box::pin(async move {
            accepted?;
            let mut bytes = BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|_| {
                    Problem::invalid(vec![FieldError::invalid("body", "broke off before its end")])
                })?;
                if bytes.len() + chunk.len() > MAX {
                    return Err(Problem::new(
                        ProblemCode::TooLarge,
                        format!("the body is larger than {MAX} bytes"),
                    ));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Self(bytes.freeze()))
        })
    }
}

/// RFC 9110, section 8.3: a body without a type may be taken for what is expected.
fn is_json(request: &HttpRequest) -> Result<(), Problem> {
    let Some(header) = request.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = header
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        Ok(())
    } else {
        Err(Problem::new(
            ProblemCode::UnsupportedMediaType,
            "send the body as Content-Type: application/json",
        ))
    }
}

/// A JSON body as a `T`; unknown and repeated members are refused by `T`'s own attributes.
pub(super) struct JsonBody<T, const MAX: usize = MAX_BODY_BYTES> {
    pub(super) value: T,
    pub(super) bytes: actix_web::web::Bytes,
}

impl<T: DeserializeOwned, const MAX: usize> FromRequest for JsonBody<T, MAX> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::<MAX>::from_request(request, payload);
        Box::pin(async move {
            let bytes = body.await?.0;
            let value = parse_json(&bytes)?;
            Ok(Self { value, bytes })
        })
    }
}

/// An empty body counts as `{}`, so that verbs without arguments need none.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Problem::invalid(vec![explain_serde(&error)]))?;
    reader
        .end()
        .map_err(|error| Problem::invalid(vec![FieldError::invalid("body", format!("is not one JSON value: {error}"))]))?;
    Ok(value)
}
