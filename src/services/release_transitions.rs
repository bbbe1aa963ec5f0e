//! Transitions of a release: publish, pause, resume, discard, recall. All of them are idempotent.

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange, ReleaseOfApp};
use super::release_lookup::{ReleaseAddress, ReleaseEdit, begin_edit};
use super::{Caller, Context, Precondition, ServiceError, WriteResult};
use crate::storage::releases::{find_contradicting_name, update};
use crate::storage::{CatalogTx, resources};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseRecord, ReleaseState, Transition};
use slipway_domain::catalog::text::{Reason, VersionName};
use slipway_domain::catalog::version::VersionCode;
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

    pub fn publish(force: bool) -> Self {
        Self {
            force,
            ..Self::plain(Transition::Publish)
        }
    }
}

/// Applies a transition to a release.
pub async fn apply(
    ctx: &Context,
    caller: &Caller,
    address: ReleaseAddress<'_>,
    request: TransitionRequest,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<ReleaseRecord>>, ServiceError> {
    let ReleaseEdit { tx, app, before } = begin_edit(ctx, caller, address, precondition).await?;
    let context = TransitionContext {
        ctx,
        caller,
        tx: &tx,
        app: &app,
    };
    match context.apply(&before, request).await? {
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

impl TransitionContext<'_> {
    /// Applies a transition to a stored release. Returns `None` if it leaves the release unchanged.
    pub(super) async fn apply(
        &self,
        before: &Versioned<ReleaseRecord>,
        request: TransitionRequest,
    ) -> Result<Option<Versioned<ReleaseRecord>>, ServiceError> {
        let (step, now) = (request.step, self.ctx.now());
        let Some(after) = self.decide(&before.value, request, now).await? else {
            return Ok(None);
        };
        let stored = update(self.tx, before, after, now)?;
        self.record(step, &before.value, &stored.value);
        Ok(Some(stored))
    }

    /// Returns a release after a transition, or `None` if it is unchanged.
    async fn decide(
        &self,
        before: &ReleaseRecord,
        request: TransitionRequest,
        now: DateTime<Utc>,
    ) -> Result<Option<ReleaseRecord>, ServiceError> {
        let release = &before.release;
        match request.step {
            Transition::Publish if release.state == ReleaseState::Draft && !request.force => {
                let found = find_contradicting_name(self.tx, self.tx.scope(), release).await?;
                require_consistent_name(release, found)?;
            }
            Transition::Recall(RecallMode::Rollback) => require_rollback_support(self.tx, release).await?,
            _ => {}
        }
        before
            .after(request.step, request.reason, now)
            .map_err(|refusal| ServiceError::wrong_state(refusal.to_string()))
    }

    /// Writes the audit event of a transition.
    pub(super) fn record(&self, step: Transition, before: &ReleaseRecord, after: &ReleaseRecord) {
        let of = |record| ReleaseOfApp {
            app: &self.app.package_name,
            record,
        };
        let change = AuditedChange::changed(audited_as(step), &of(before), &of(after));
        let tenant = Some(self.tx.scope().tenant());
        audit::record(self.tx, self.ctx, self.caller, tenant, change);
    }
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
pub(super) fn require_consistent_name(
    release: &Release,
    contradicting: Option<(VersionCode, VersionName)>,
) -> Result<(), ServiceError> {
    let (own_code, own_name) = (release.content.version_code, &release.content.version_name);
    match contradicting {
        Some((code, name)) => Err(ServiceError::VersionConflict(format!(
            "version_name {own_name} of version {own_code} contradicts {name} of version {code}; correct it, or publish \
             with \"force\": true"
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
