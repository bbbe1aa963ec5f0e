//! Handlers for app keys, device keys, API tokens and platform tokens.
//!
//! The functions here serve every kind of credential. The other files contain the routes and the fields of one kind.

pub(super) mod api_tokens;
pub(super) mod app_keys;
pub(super) mod device_keys;
mod facts;
pub(super) mod platform_tokens;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::owner::{OwnedPath, OwnerPath};
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::pagination::PageResponse;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::credentials::{self, IssuedCredential, ManagedCredential, NewCredential};
use crate::services::{Answer, Owner as _};
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::versioned::Versioned;

/// Registers the routes of all credentials.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(platform_tokens::create_platform_token)
        .service(platform_tokens::list_platform_tokens)
        .service(platform_tokens::get_platform_token)
        .service(platform_tokens::delete_platform_token)
        .service(app_keys::create_app_key)
        .service(app_keys::list_app_keys)
        .service(app_keys::get_app_key)
        .service(app_keys::delete_app_key)
        .service(app_keys::rotate_app_key)
        .service(device_keys::create_device_key)
        .service(device_keys::list_device_keys)
        .service(device_keys::get_device_key)
        .service(device_keys::delete_device_key)
        .service(api_tokens::create_api_token)
        .service(api_tokens::list_api_tokens)
        .service(api_tokens::get_api_token)
        .service(api_tokens::delete_api_token);
}

/// Kind of credential with its representations.
trait CredentialResource: ManagedCredential {
    type Response: Serialize + for<'a> From<&'a Versioned<Self>>;
    /// Response that shows the secret.
    type IssuedResponse: Serialize + for<'a> From<&'a IssuedCredential<Self>>;
}

/// Body that creates a credential.
pub(super) trait CreateRequest<Role>: Default {
    fn read(self, fields: &mut FieldReader, now: DateTime<Utc>) -> Option<NewCredential<Role>>;
}

/// Parses the body that creates a credential.
pub(super) fn read_new<Role>(
    request: impl CreateRequest<Role>,
    now: DateTime<Utc>,
) -> Result<NewCredential<Role>, Problem> {
    let mut fields = FieldReader::default();
    let new = request.read(&mut fields, now);
    fields.complete(new)
}

async fn create<K: CredentialResource>(
    mut call: Call<impl OwnerPath<Owner = K::Owner>, Json<impl CreateRequest<K::Role>>>,
) -> Result<HttpResponse, Problem> {
    let new = read_new(call.body.take(), call.ctx.now())?;
    let owner = call.path.owner();
    let permission = owner.permission(Action::ManageKeys);
    respond::create(&call, permission, render_created::<K>, async |reservation| {
        let once = reservation.once_with_secret(render_created::<K>, id_of);
        credentials::create(&call.ctx, &call.caller, owner, new, once).await
    })
    .await
}

async fn list<K: CredentialResource>(
    call: Call<impl OwnerPath<Owner = K::Owner>>,
) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = credentials::list::<K>(&call.ctx, &call.caller, call.path.owner(), &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| K::Response::from(&stored))))
}

async fn get<K: CredentialResource>(
    call: Call<impl OwnedPath<KeyId, Owner = K::Owner>>,
) -> Result<HttpResponse, Problem> {
    let (owner, id) = call.path.parts();
    let stored = credentials::get::<K>(&call.ctx, &call.caller, owner, id).await?;
    Ok(respond::respond_versioned::<K::Response, _>(&stored))
}

async fn delete<K: CredentialResource>(
    call: Call<impl OwnedPath<KeyId, Owner = K::Owner>, UrgentBody>,
) -> Result<HttpResponse, Problem> {
    let (owner, id) = call.path.parts();
    let precondition = call.precondition()?;
    let done = credentials::delete::<K>(&call.ctx, &call.caller, owner, id, &precondition).await?;
    Ok(respond::respond_deleted(done.revision.as_ref()))
}

fn render_created<K: CredentialResource>(issued: &IssuedCredential<K>) -> Answer {
    render(StatusCode::CREATED, issued)
}

fn render<K: CredentialResource>(status: StatusCode, issued: &IssuedCredential<K>) -> Answer {
    respond::answer(status, &K::IssuedResponse::from(issued), &issued.stored.etag)
}

fn id_of<K: CredentialResource>(issued: &IssuedCredential<K>) -> String {
    issued.stored.value.id().to_string()
}
