//! Transitions of a release: publish, pause, resume, discard, recall. All of them are idempotent.

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange, ReleaseOfApp};
pub use super::publication_gates::PublishOverrides;
use super::release_lookup::{ReleaseAddress, ReleaseEdit, begin_edit, find};
use super::{Caller, Context, Precondition, ServiceError, WriteResult, apps};
use crate::storage::releases::update;
use crate::storage::{CatalogTx, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{ReleaseId, TenantId};
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseRecord, ReleaseState, Transition};
use slipway_domain::catalog::text::{PackageName, Reason};
use slipway_domain::catalog::versioned::Versioned;

/// Request for a transition of a release.
pub struct TransitionRequest {
    pub step: Transition,
    /// Reason of a recall.
    pub reason: Option<Reason>,
    /// Gates of a publication that are overridden.
    pub overrides: PublishOverrides,
}

impl TransitionRequest {
    pub fn plain(step: Transition) -> Self {
        Self {
            step,
            reason: None,
            overrides: PublishOverrides::default(),
        }
    }

    pub fn publish(overrides: PublishOverrides) -> Self {
        Self {
            overrides,
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
        Some(stored) => Ok(WriteResult::changed(
            with_address(ctx, stored),
            ctx.commit(tx).await?,
        )),
        None => Ok(ctx.unchanged(tx, with_address(ctx, before)).await),
    }
}

/// Publishes several releases of an app together: all of them or, if one is refused, none. Published ones stay as they
/// are.
pub async fn publish_all(
    ctx: &Context,
    caller: &Caller,
    (tenant, app): (TenantId, &PackageName),
    ids: &[ReleaseId],
    overrides: PublishOverrides,
) -> Result<WriteResult<Vec<Versioned<ReleaseRecord>>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteReleases).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = apps::find(&tx, scope, app).await?.value;
    let context = TransitionContext {
        ctx,
        caller,
        tx: &tx,
        app: &app,
    };
    let mut published = Vec::with_capacity(ids.len());
    let mut is_changed = false;
    for id in ids {
        let before = find(&tx, scope, &app, *id).await?;
        let request = TransitionRequest::publish(overrides);
        let stored = context.apply(&before, request).await?;
        is_changed |= stored.is_some();
        published.push(with_address(ctx, stored.unwrap_or(before)));
    }
    if is_changed {
        Ok(WriteResult::changed(published, ctx.commit(tx).await?))
    } else {
        Ok(ctx.unchanged(tx, published).await)
    }
}

/// Returns a release as callers see it: with the address of its artifact.
pub(super) fn with_address(ctx: &Context, mut stored: Versioned<ReleaseRecord>) -> Versioned<ReleaseRecord> {
    stored.value.release.set_address(ctx.download_urls());
    stored
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
        let stored = update(self.tx, before, after, now).await?;
        self.record(step, &before.value, &stored.value).await?;
        Ok(Some(stored))
    }

    /// Returns a release after a transition, or `None` if it is unchanged. The release need not be stored yet.
    pub(super) async fn decide(
        &self,
        before: &ReleaseRecord,
        request: TransitionRequest,
        now: DateTime<Utc>,
    ) -> Result<Option<ReleaseRecord>, ServiceError> {
        let release = &before.release;
        match request.step {
            Transition::Publish if release.state == ReleaseState::Draft => {
                self.require_publishable(before, request.overrides).await?;
            }
            Transition::Recall(RecallMode::Rollback) => require_rollback_support(self.tx, release).await?,
            _ => {}
        }
        before
            .after(request.step, request.reason, now)
            .map_err(|refusal| ServiceError::wrong_state(refusal.to_string()))
    }

    /// Writes the audit event of a transition.
    pub(super) async fn record(
        &self,
        step: Transition,
        before: &ReleaseRecord,
        after: &ReleaseRecord,
    ) -> Result<(), ServiceError> {
        let of = |record| ReleaseOfApp {
            app: &self.app.package_name,
            record,
        };
        self.audit(AuditedChange::changed(audited_as(step), &of(before), &of(after)))
            .await
    }

    pub(super) async fn audit(&self, change: AuditedChange) -> Result<(), ServiceError> {
        let tenant = Some(self.tx.scope().tenant());
        Ok(audit::record(self.tx, self.ctx, self.caller, tenant, change).await?)
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
