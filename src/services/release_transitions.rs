//! Transitions of a release: publish, pause, resume, discard, recall. All of them are idempotent.

use chrono::{DateTime, Utc};

use super::audit::{AuditedChange, ReleaseOfApp};
use super::publication_gates::PublicationFacts;
pub use super::publication_gates::PublishOverrides;
use super::release_files::find_artifact;
use super::release_lookup::{ReleaseAddress, ReleaseEdit, begin_edit, find};
use super::transition_context::TransitionContext;
use super::{Caller, Context, Precondition, ServiceError, WriteResult, apps};
use crate::storage::releases::{find_contradicting_name, update};
use crate::storage::{CatalogTx, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::ArtifactKind;
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

/// App of a tenant, by its package name.
#[derive(Debug, Clone, Copy)]
pub struct AppAddress<'a> {
    pub tenant: TenantId,
    pub app: &'a PackageName,
}

/// Publishes several releases of an app together: all of them or, if one is refused, none. Published ones stay as they
/// are.
pub async fn publish_all(
    ctx: &Context,
    caller: &Caller,
    address: AppAddress<'_>,
    ids: &[ReleaseId],
    overrides: PublishOverrides,
) -> Result<WriteResult<Vec<Versioned<ReleaseRecord>>>, ServiceError> {
    let scope = ctx
        .authorize(caller, address.tenant, Action::WriteReleases)
        .await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = apps::find(&tx, scope, address.app).await?.value;
    let context = TransitionContext {
        ctx,
        caller,
        tx: &tx,
        app: &app,
    };
    let mut published = Vec::with_capacity(ids.len());
    let mut is_changed = false;
    for (index, id) in ids.iter().enumerate() {
        let absent = |error| match error {
            ServiceError::NotFound(_) => ServiceError::invalid(
                &format!("release_ids[{index}]"),
                "must be the id of a release of this app",
            ),
            other => other,
        };
        let before = find(&tx, scope, &app, *id).await.map_err(absent)?;
        let request = TransitionRequest::publish(overrides);
        let stored = context
            .apply(&before, request)
            .await
            .map_err(|error| error.about(&before.value.release))?;
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
            Transition::Publish if release.state == ReleaseState::Draft => {
                self.require_publishable_draft(before, request.overrides).await?;
            }
            Transition::Recall(RecallMode::Rollback) => require_rollback_support(self.tx, release).await?,
            _ => {}
        }
        before
            .after(request.step, request.reason, now)
            .map_err(|refusal| ServiceError::wrong_state(refusal.to_string()))
    }

    async fn require_publishable_draft(
        &self,
        draft: &ReleaseRecord,
        overrides: PublishOverrides,
    ) -> Result<(), ServiceError> {
        let release = &draft.release;
        let contradicting = if overrides.version_names {
            None
        } else {
            find_contradicting_name(self.tx, self.tx.scope(), release).await?
        };
        let artifact = match &release.content.file.artifact {
            Some(sha256) => Some(find_artifact(self.tx, self.tx.scope(), sha256).await?),
            None => None,
        };
        let facts = PublicationFacts {
            contradicting,
            artifact: artifact.as_ref(),
        };
        self.require_publishable(draft, facts, overrides).await
    }

    /// Writes the audit event of a transition.
    pub(super) fn record(&self, step: Transition, before: &ReleaseRecord, after: &ReleaseRecord) {
        let of = |record| ReleaseOfApp {
            app: &self.app.package_name,
            record,
        };
        self.audit(AuditedChange::changed(audited_as(step), &of(before), &of(after)));
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
    let is_apk_resource = resource.is_some_and(|resource| !resource.value.kind.can_be_rolled_back());
    if is_apk_resource || has_apk_file(tx, release).await? {
        return Err(ServiceError::wrong_state(
            "Android will not install an older version of an apk; recall with mode stop, and publish the older code \
             again under a higher version_code",
        ));
    }
    Ok(())
}

/// Returns `true` if the file of a release is an APK. Its resource may have another kind: an earlier file created it, or a
/// caller changed it.
async fn has_apk_file(tx: &CatalogTx, release: &Release) -> Result<bool, ServiceError> {
    let Some(sha256) = &release.content.file.artifact else {
        return Ok(false);
    };
    let artifact = find_artifact(tx, tx.scope(), sha256).await?;
    Ok(artifact.facts.kind() == ArtifactKind::Apk)
}
