//! Failed logins in the log and the audit.
//!
//! Every failure is logged. The audit has the first failure of an account and network in five minutes.
//!
//! Further limits keep an attacker from filling the audit. An event contains the number of omitted ones before it.

use std::sync::atomic::Ordering;

use crate::services::audit::{self, Actor, AuditedChange, LoginFailureDetails};
use crate::services::login_failures::LoginFailure;
use crate::services::{Context, ServiceError};
use slipway_domain::catalog::audit_action::AuditAction;

/// Logs a failed login and audits it within the limits.
pub(super) async fn record(ctx: &Context, failure: LoginFailure<'_>) {
    let account = failure.account();
    let address = failure.address.map(|address| address.to_string());
    let address = address.as_deref();
    tracing::warn!(account, address, reason = failure.reason, "a login failed");
    if !ctx.authentication().failures.is_audited(account, &failure) {
        ctx.authentication()
            .failures
            .left_out
            .fetch_add(1, Ordering::Relaxed);
        return;
    }
    let left_out = ctx.authentication().failures.left_out.swap(0, Ordering::Relaxed);
    let object_id = failure
        .user
        .map_or_else(|| account.to_owned(), |user| user.id.to_string());
    let details = LoginFailureDetails {
        username: account,
        address,
        reason: failure.reason,
        left_out_before: left_out,
    };
    let change = AuditedChange::new(AuditAction::UserLoginFailed, object_id).with_after(&details);
    if let Err(error) = write(ctx, &failure, change).await {
        tracing::warn!(%error, "a failed login could not be audited");
    }
}

async fn write(ctx: &Context, failure: &LoginFailure<'_>, change: AuditedChange) -> Result<(), ServiceError> {
    let actor = Actor {
        key: "anonymous".to_owned(),
        name: failure.account().to_owned(),
        request_id: "",
    };
    let tenant = failure.user.and_then(|user| user.tenant);
    let tx = ctx.db().begin().await?;
    audit::record_by(&tx, ctx, actor, tenant, change);
    Ok(tx.commit().await?)
}
