//! The caller's own account.

use super::audit::{self, AuditedChange};
use super::authentication::count_login_attempt;
use super::{Caller, Context, ServiceError};
use crate::secrets::{PasswordHash, hash_password, verify_own_password};
use crate::storage::{sessions, users};
use slipway_domain::access::{Action, authorize_platform};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::field::FieldError;

/// Changes the caller's password and ends all of their sessions, including the current one.
pub async fn change_password(
    ctx: &Context,
    caller: &Caller,
    current: String,
    new: String,
) -> Result<(), ServiceError> {
    authorize_platform(&caller.principal, Action::ManageOwnAccount)?;
    let Some(id) = caller.principal.user() else {
        return Err(ServiceError::PermissionDenied(
            "an API token has no password".to_owned(),
        ));
    };
    let found = users::find_anywhere(ctx.db(), id)
        .await?
        .ok_or(ServiceError::NotFound("user"))?;
    let user = found.user;
    // Guessing a password must not be cheaper here than at the login.
    count_login_attempt(ctx, user.value.username.as_str(), caller.address).await?;
    if !verify_own_password(current, PasswordHash::from_stored(found.password_hash)).await {
        let error = FieldError::invalid("current", "is not your password");
        return Err(ServiceError::Invalid(vec![error]));
    }
    let hash = hash_password(new).await;
    let tx = ctx.begin_on_credentials(caller, None).await?;
    users::update_password(&tx, &user, hash.as_str().to_owned(), ctx.now()).await?;
    sessions::delete_of_user(&tx, id).await?;
    let change = AuditedChange::new(AuditAction::UserChangePassword, id);
    audit::record(&tx, ctx, caller, user.value.tenant, change);
    tx.commit().await?;
    Ok(())
}
