//! The limits on login attempts, applied to a login. Networks from which an account signed in are also looked up in the
//! database.

use std::net::IpAddr;
use std::time::Duration;

use crate::services::login_attempts::AccountLimitExceeded;
use crate::services::network::network_of;
use crate::services::rate_limit::retry_after_s;
use crate::services::{Context, ServiceError};
use crate::storage::{sessions, users};
use slipway_domain::catalog::text::Username;

/// Counts a password attempt for an account. The error contains the wait.
pub(in crate::services) async fn count_login_attempt(
    ctx: &Context,
    account: &str,
    source: Option<IpAddr>,
) -> Result<(), ServiceError> {
    // Usernames have at most 128 characters.
    let account: String = account.chars().take(128).collect();
    let counted = ctx.authentication().attempts.count(&account, source);
    let Err(AccountLimitExceeded(wait)) = counted.map_err(refusal)? else {
        return Ok(());
    };
    if signed_in_before(ctx, &account, source).await? {
        ctx.authentication()
            .attempts
            .know(&account, source.map(network_of));
        return Ok(());
    }
    Err(refusal(wait))
}

/// Returns `true` if the account has a session that was used from this network. It may be from another node or from
/// before a restart.
async fn signed_in_before(
    ctx: &Context,
    account: &str,
    source: Option<IpAddr>,
) -> Result<bool, ServiceError> {
    let (Ok(username), Some(source)) = (Username::parse(account), source) else {
        return Ok(false);
    };
    let Some(found) = users::find_anywhere_by_username(ctx.db(), &username).await? else {
        return Ok(false);
    };
    let network = network_of(source).to_string();
    Ok(sessions::is_of_network(ctx.db(), found.user.value.id, &network, ctx.now()).await?)
}

fn refusal(wait: Duration) -> ServiceError {
    ServiceError::RateLimited {
        what: "too many login attempts",
        retry_after_s: retry_after_s(wait),
    }
}
