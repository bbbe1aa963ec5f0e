//! Handlers for people: the users of a tenant, and the administrators of the platform.
//!
//! The functions here serve both. The other files contain their routes and their request fields.

pub(super) mod administrators;
mod fields;
pub(super) mod users;

use actix_web::HttpResponse;
use utoipa_actix_web::service_config::ServiceConfig;

use self::fields::UserResponse;
use super::owner::{OwnedPath, OwnerPath};
use crate::http::body::{Json, PrioritizedJson, RequestPriority, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::pagination::PageResponse;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::users::{NewUser, UserChanges, UserOwner};
use crate::services::{self, Owner as _, WriteResult};
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::UserId;

/// Registers the routes of people.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(administrators::create_administrator)
        .service(administrators::list_administrators)
        .service(administrators::get_administrator)
        .service(administrators::update_administrator)
        .service(administrators::delete_administrator)
        .service(users::create_user)
        .service(users::list_users)
        .service(users::get_user)
        .service(users::update_user)
        .service(users::delete_user);
}

/// Body that creates a user.
pub(super) trait CreateRequest: Default {
    fn read(self, fields: &mut FieldReader) -> Option<NewUser>;
}

/// Body that updates a user.
pub(super) trait UpdateRequest: Default + RequestPriority {
    fn read(self, fields: &mut FieldReader) -> UserChanges;
}

/// Parses the body that creates a user.
pub(super) fn read_new(request: impl CreateRequest) -> Result<NewUser, Problem> {
    let mut fields = FieldReader::default();
    let new = request.read(&mut fields);
    fields.complete(new)
}

/// Parses the body that updates a user.
pub(super) fn read_changes(request: impl UpdateRequest) -> Result<UserChanges, Problem> {
    let mut fields = FieldReader::for_update();
    let changes = request.read(&mut fields);
    fields.finish()?;
    Ok(changes)
}

async fn create(
    mut call: Call<impl OwnerPath<Owner: UserOwner>, Json<impl CreateRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = read_new(call.body.take())?;
    let owner = call.path.owner();
    let permission = owner.permission(Action::ManageUsers);
    let render = respond::created_versioned::<UserResponse, _>;
    respond::create(&call, permission, render, async |reservation| {
        let once = reservation.once(render);
        let stored = services::users::create(&call.ctx, &call.caller, owner, new, once).await?;
        Ok(WriteResult::without_revision(stored))
    })
    .await
}

async fn list(call: Call<impl OwnerPath<Owner: UserOwner>>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = services::users::list(&call.ctx, &call.caller, call.path.owner(), &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| UserResponse::from(&stored))))
}

async fn get(call: Call<impl OwnedPath<UserId, Owner: UserOwner>>) -> Result<HttpResponse, Problem> {
    let (owner, id) = call.path.parts();
    let stored = services::users::get(&call.ctx, &call.caller, owner, id).await?;
    Ok(respond::respond_versioned::<UserResponse, _>(&stored))
}

async fn update(
    mut call: Call<impl OwnedPath<UserId, Owner: UserOwner>, PrioritizedJson<impl UpdateRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = read_changes(call.body.take())?;
    let precondition = call.precondition()?;
    let (owner, id) = call.path.parts();
    let stored = services::users::update(&call.ctx, &call.caller, owner, id, changes, &precondition).await?;
    Ok(respond::respond_versioned::<UserResponse, _>(&stored))
}

async fn delete(
    call: Call<impl OwnedPath<UserId, Owner: UserOwner>, UrgentBody>,
) -> Result<HttpResponse, Problem> {
    let (owner, id) = call.path.parts();
    let precondition = call.precondition()?;
    services::users::delete(&call.ctx, &call.caller, owner, id, &precondition).await?;
    Ok(respond::respond_deleted(None))
}
