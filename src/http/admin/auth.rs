//! Handlers for login, refresh and logout.

use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::{FromBody, Json, MAX_BODY_BYTES, read_body};
use crate::http::body_memory::Owner;
use crate::http::call::Call;
use crate::http::client_address::client_address;
use crate::http::fields::FieldReader;
use crate::http::openapi::WriteProblems;
use crate::http::problem::Problem;
use crate::http::request::{acquire, context};
use crate::http::request_fields::request;
use crate::http::value_schemas::TokenTypeValue;
use crate::services::authentication::{self, Client, TokenPair};
use crate::services::{PermitClass, network_of};

request! {
    struct LoginRequest {
        #[schema(example = "admin")]
        username: Required<String>,
        password: Required<String>,
    }
}

request! {
    struct RefreshRequest {
        refresh_token: Required<String>,
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = TokenPair)]
struct LoginResponse {
    /// Access token for `Authorization: Bearer …`.
    access_token: String,
    /// Token for one refresh, whose response contains the next one.
    refresh_token: String,
    #[schema(value_type = TokenTypeValue, example = "Bearer")]
    token_type: &'static str,
    /// Lifetime of the access token, in seconds.
    expires_in: i64,
}

impl From<TokenPair> for LoginResponse {
    fn from(tokens: TokenPair) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in,
        }
    }
}

/// Log in with a username and a password
///
/// Returns an access token for `Authorization: Bearer …`, and a refresh token for the next pair.
#[utoipa::path(tag = "auth", operation_id = "login", security(()), request_body = LoginRequest,
    responses((status = 200, description = "Logged in", body = LoginResponse), WriteProblems))]
#[post("/auth/login")]
pub(super) async fn login(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    let body: LoginRequest = public_body(&request, payload).await?;
    let _permit = acquire(&ctx, PermitClass::Login(client_address(&request)))?;
    let mut fields = FieldReader::default();
    let username = fields.required("username", body.username, Ok);
    let password = fields.required("password", body.password, Ok);
    let (username, password) = fields.complete(username.zip(password))?;
    let tokens = authentication::login(&ctx, client(&request), &username, password).await?;
    Ok(HttpResponse::Ok().json(LoginResponse::from(tokens)))
}

/// Refresh an access token
///
/// A refresh token is valid once. For 30 seconds the same client (by network and `User-Agent`) gets the same pair
/// again, so that browser tabs can share a token. Any other reuse ends the session.
#[utoipa::path(tag = "auth", operation_id = "refresh", security(()), request_body = RefreshRequest,
    responses((status = 200, description = "New token pair", body = LoginResponse), WriteProblems))]
#[post("/auth/refresh")]
pub(super) async fn refresh(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let ctx = context(&request);
    let body: RefreshRequest = public_body(&request, payload).await?;
    let _permit = acquire(&ctx, PermitClass::Refresh(client_address(&request)))?;
    let mut fields = FieldReader::default();
    let token = fields.required("refresh_token", body.refresh_token, Ok);
    let token = fields.complete(token)?;
    let tokens = authentication::refresh(&ctx, client(&request), &token).await?;
    Ok(HttpResponse::Ok().json(LoginResponse::from(tokens)))
}

/// Log out
///
/// Ends the current session.
#[utoipa::path(tag = "auth", operation_id = "logout",
    responses((status = 204, description = "Session ended"), WriteProblems))]
#[post("/auth/logout")]
pub(super) async fn logout(call: Call) -> Result<HttpResponse, Problem> {
    authentication::logout(&call.ctx, &call.caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Describes the client, which is not authenticated yet.
fn client(request: &HttpRequest) -> Client<'_> {
    let user_agent = request.headers().get(USER_AGENT);
    Client {
        address: client_address(request),
        user_agent: user_agent.and_then(|text| text.to_str().ok()).unwrap_or_default(),
    }
}

/// Reads the body of a request without authentication.
async fn public_body<T: serde::de::DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, Problem> {
    let owner = Owner::Source(client_address(request).map(network_of));
    let body = read_body(request, &mut payload.into_inner(), owner, MAX_BODY_BYTES).await?;
    Ok(Json::<T>::from_bytes(&body.bytes)?.value)
}
