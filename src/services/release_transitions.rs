//! Transitions of a release: publish, pause, resume, discard, recall. All of them are idempotent.

use super::audit::{self, AuditedChange, ReleaseOfApp};
use super::release_lookup::{ReleaseEdit, begin_edit};
use super::{Caller, Context, Precondition, ServiceError, WriteResult};
use crate::storage::releases::{list_names_of, update};
use crate::storage::{CatalogTx, resources};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{ReleaseId, TenantId};
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseRecord, ReleaseState, Transition};
use slipway_domain::catalog::text::{PackageName, Reason};
use slipway_domain::catalog::version::names_contradict_codes;
use slipway_domain::catalog::versioned::Versioned;

/// Request for a transition of a release.
pub struct TransitionRequest {
    pub step: Transition,
    /// Reason of a recall.
    pub reason: Option<Reason>,
    /// Publish even if version names contradict the version codes.
    pub force: bool,
}

impl TransitionRequest {
    pub fn plain(step: Transition) -> Self {
        Self {
            step,
            reason: None,
            force: false,
        }
    }
}

/// Applies a transition to a release.
pub async fn apply(
    ctx: &Context,
    caller: &Caller,
    path: (TenantId, &PackageName, ReleaseId),
    request: TransitionRequest,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<ReleaseRecord>>, ServiceError> {
    let ReleaseEdit { tx, app, before } = begin_edit(ctx, caller, path, precondition).await?;
    let context = TransitionContext {
        ctx,
        caller,
        tx: &tx,
        app: &app,
    };
    let stored = match request.step {
        Transition::Publish => publish_in(&context, &before, request.force).await?,
        step => {
            if step == Transition::Recall(RecallMode::Rollback) {
                require_rollback_support(&tx, &before.value.release).await?;
            }
            transition(&context, &before, step, request.reason).await?
        }
    };
    match stored {
        Some(stored) => Ok(WriteResult::changed(stored, ctx.commit(tx).await?)),
        None => Ok(ctx.unchanged(tx, before).await),
    }
}

/// Context of a transition: caller, transaction and app.
pub(super) struct TransitionContext<'a> {
    pub(super) ctx: &'a Context,
    pub(super) caller: &'a Caller,
    pub(super) tx: &'a CatalogTx,
    pub(super) app: &'a App,
}

/// Publishes a release within a transaction. Returns `None` if it is already published.
pub(super) async fn publish_in(
    context: &TransitionContext<'_>,
    before: &Versioned<ReleaseRecord>,
    force: bool,
) -> Result<Option<Versioned<ReleaseRecord>>, ServiceError> {
    let release = &before.value.release;
    if release.state == ReleaseState::Draft && !force {
        check_version_names(context.tx, release).await?;
    }
    transition(context, before, Transition::Publish, None).await
}

async fn transition(
    context: &TransitionContext<'_>,
    before: &Versioned<ReleaseRecord>,
    step: Transition,
    reason: Option<Reason>,
) -> Result<Option<Versioned<ReleaseRecord>>, ServiceError> {
    let TransitionContext { ctx, caller, tx, app } = *context;
    let state = before.value.release.state;
    let next = state
        .after(step)
        .map_err(|refusal| ServiceError::wrong_state(refusal.to_string()))?;
    if next == state {
        return Ok(None);
    }
    let now = ctx.now();
    let mut after = before.value.clone();
    after.release.state = next;
    if step == Transition::Publish {
        after.published_at = Some(now);
    }
    if reason.is_some() {
        after.recall_reason = reason;
    }
    let stored = update(tx, before, after, now).await?;
    let of = |record| ReleaseOfApp {
        app: &app.package_name,
        record,
    };
    let change = AuditedChange::changed(audited_as(step), &of(&before.value), &of(&stored.value));
    audit::record(tx, ctx, caller, Some(tx.scope().tenant()), change).await?;
    Ok(Some(stored))
}

const fn audited_as(step: Transition) -> AuditAction {
    match step {
        Transition::Publish => AuditAction::ReleasePublish,
        Transition::Pause => AuditAction::ReleasePause,
        Transition::Resume => AuditAction::ReleaseResume,
        Transition::Discard => AuditAction::ReleaseDiscard,
        Transition::Recall(_) => AuditAction::ReleaseRecall,
    }
}

/// Fails if a version name contradicts the order of the version codes. People read names, so that this is likely a
/// mistake.
async fn check_version_names(tx: &CatalogTx, release: &Release) -> Result<(), ServiceError> {
    let own = (release.content.version_code, &release.content.version_name);
    let others = list_names_of(tx, tx.scope(), release.app_id, &release.identifier).await?;
    let clash = others
        .iter()
        .find(|(code, name)| *code != own.0 && names_contradict_codes(own, (*code, name)));
    match clash {
        Some((code, name)) => Err(ServiceError::VersionConflict(format!(
            "version_name {} of version {} contradicts {name} of version {code}; correct it, or publish with \
             \"force\": true",
            own.1, own.0
        ))),
        None => Ok(()),
    }
}

async fn require_rollback_support(tx: &CatalogTx, release: &Release) -> Result<(), ServiceError> {
    let resource = resources::find(tx, tx.scope(), release.app_id, &release.identifier).await?;
    if resource.is_some_and(|resource| !resource.value.kind.can_be_rolled_back()) {
        return Err(ServiceError::wrong_state(
            "Android will not install an older version of an apk; recall with mode stop, and publish the older code \
             again under a higher version_code",
        ));
    }
    Ok(())
}
