//! Transitions of a release: publish, pause, resume, discard, recall. All of them are idempotent.

use super::audit::{self, Change, of_release};
use super::{Caller, Context, Precondition, ServiceError, Written, apps, releases};
use crate::access::Action;
use crate::catalog::app::App;
use crate::catalog::ids::{ReleaseId, TenantId};
use crate::catalog::release::{RecallMode, Release, ReleaseState, Step};
use crate::catalog::text::{PackageName, Reason};
use crate::catalog::version::names_contradict_codes;
use crate::storage::releases::{ReleaseRecord, list_names_of, update};
use crate::storage::{CatalogTx, Stored, resources};

/// Request for a transition of a release.
pub struct Wish {
    pub step: Step,
    /// Reason of a recall.
    pub reason: Option<Reason>,
    /// Publish even if version names contradict the version codes.
    pub force: bool,
}

impl Wish {
    pub fn plain(step: Step) -> Self {
        Self {
            step,
            reason: None,
            force: false,
        }
    }
}

/// Applies a transition to a release.
pub async fn take_step(
    ctx: &Context,
    caller: &Caller,
    (tenant, app, id): (TenantId, &PackageName, ReleaseId),
    wish: Wish,
    precondition: &Precondition,
) -> Result<Written<Stored<ReleaseRecord>>, ServiceError> {
    let scope = ctx.enter(caller, tenant, Action::WriteReleases).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = apps::find(&tx, scope, app).await?.value;
    let before = releases::find(&tx, scope, &app, id).await?;
    precondition.check(&before.etag)?;
    let change = Stage {
        ctx,
        caller,
        tx: &tx,
        app: &app,
    };
    let stored = match wish.step {
        Step::Publish => publish_in(&change, &before, wish.force).await?,
        step => {
            if step == Step::Recall(RecallMode::Rollback) {
                refuse_rollback_of_an_apk(&tx, &before.value.release).await?;
            }
            step_in(&change, &before, step, wish.reason).await?
        }
    };
    match stored {
        Some(stored) => Ok(Written::changed(stored, ctx.commit(tx).await?)),
        None => Ok(ctx.unchanged(tx, before).await),
    }
}

/// Context of a transition: caller, transaction and app.
pub(super) struct Stage<'a> {
    pub(super) ctx: &'a Context,
    pub(super) caller: &'a Caller,
    pub(super) tx: &'a CatalogTx,
    pub(super) app: &'a App,
}

/// Publishes a release within a transaction. Returns `None` if it is already published.
pub(super) async fn publish_in(
    change: &Stage<'_>,
    before: &Stored<ReleaseRecord>,
    force: bool,
) -> Result<Option<Stored<ReleaseRecord>>, ServiceError> {
    let release = &before.value.release;
    if release.state == ReleaseState::Draft && !force {
        refuse_contradicting_names(change.tx, release).await?;
    }
    step_in(change, before, Step::Publish, None).await
}

async fn step_in(
    change: &Stage<'_>,
    before: &Stored<ReleaseRecord>,
    step: Step,
    reason: Option<Reason>,
) -> Result<Option<Stored<ReleaseRecord>>, ServiceError> {
    let Stage { ctx, caller, tx, app } = *change;
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
    if step == Step::Publish {
        after.published_at = Some(now);
    }
    if reason.is_some() {
        after.recall_reason = reason;
    }
    let stored = update(tx, before, after, now).await?;
    let change = Change {
        action: audited_as(step),
        object_id: stored.value.release.id.to_string(),
        before: Some(of_release(&app.package_name, &before.value)),
        after: Some(of_release(&app.package_name, &stored.value)),
    };
    audit::record(tx, ctx, caller, Some(tx.scope().tenant()), change).await?;
    Ok(Some(stored))
}

const fn audited_as(step: Step) -> &'static str {
    match step {
        Step::Publish => "release.publish",
        Step::Pause => "release.pause",
        Step::Resume => "release.resume",
        Step::Discard => "release.discard",
        Step::Recall(_) => "release.recall",
    }
}

/// Fails if a version name contradicts the order of the version codes. People read names, so that this is likely a
/// mistake.
async fn refuse_contradicting_names(tx: &CatalogTx, release: &Release) -> Result<(), ServiceError> {
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

async fn refuse_rollback_of_an_apk(tx: &CatalogTx, release: &Release) -> Result<(), ServiceError> {
    let resource = resources::find(tx, tx.scope(), release.app_id, &release.identifier).await?;
    if resource.is_some_and(|resource| !resource.value.kind.can_be_rolled_back()) {
        return Err(ServiceError::wrong_state(
            "Android will not install an older version of an apk; recall with mode stop, and publish the older code \
             again under a higher version_code",
        ));
    }
    Ok(())
}
