//! Releases: create, list, get and update. [`super::release_transitions`] contains their transitions.

use super::audit::{self, AuditedChange, ReleaseOfApp};
use super::error::require_valid;
use super::publication_gates::PublicationFacts;
use super::release_files::ResourceOfApp;
use super::release_lookup::{ReleaseAddress, ReleaseEdit, begin_edit, find};
use super::release_transitions::{PublishOverrides, TransitionRequest, with_address};
use super::transition_context::TransitionContext;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult, apps};
use crate::random;
use crate::storage::releases::{self, NewReleaseFacts};
use crate::storage::{Reader, resources};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::{
    Release, ReleaseFilter, ReleaseRecord, ReleaseState, ReleaseStateKind, Transition,
};
use slipway_domain::catalog::release_content::{ReleaseChanges, ReleaseContent, ReleaseFile};
use slipway_domain::catalog::rollout::RolloutChanges;
use slipway_domain::catalog::text::{Identifier, PackageName};
use slipway_domain::catalog::versioned::Versioned;

/// Input for a new release.
pub struct NewRelease {
    pub identifier: Identifier,
    /// Fields given by the caller: at least those that are required.
    pub given: ReleaseChanges,
    /// Publish immediately, with these overrides.
    pub publish: Option<PublishOverrides>,
    /// Refuses the version if it exists with other content.
    pub must_match: bool,
}

/// Result of creating a release.
#[derive(Debug, Clone)]
pub struct CreatedRelease {
    pub stored: Versioned<ReleaseRecord>,
    /// `false` if the version already existed.
    pub is_new: bool,
    /// `true` if this call published the release.
    pub is_published: bool,
    /// Fields that differ from the stored release and were not applied.
    pub ignored: Vec<&'static str>,
}

/// Creates a release: a draft, or a published release if requested.
///
/// If the version already exists with the same digests, the call succeeds and only publishes the draft if requested.
pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    new: NewRelease,
    once: IdempotentWrite<'_, CreatedRelease>,
) -> Result<WriteResult<CreatedRelease>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteReleases).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = apps::find(&tx, scope, app).await?.value;
    let NewDraft { draft, artifact } = draft_of(&tx, scope, &app, &new).await?;
    let context = TransitionContext {
        ctx,
        caller,
        tx: &tx,
        app: &app,
    };
    let mut facts = releases::find_facts(&tx, scope, &draft.release).await?;
    let created = match facts.existing.take() {
        Some(existing) => find_again(&context, existing, &draft.release.content.file, new).await?,
        None => insert(&context, draft, artifact.as_ref(), facts, &new).await?,
    };
    let created = CreatedRelease {
        stored: with_address(ctx, created.stored),
        ..created
    };
    once.record(&tx, &created);
    // If the catalog is unchanged, the answer may still have to be stored. A new revision without changes is harmless.
    Ok(WriteResult::changed(created, ctx.commit(tx).await?))
}

/// Draft of a new release, before it is compared with the stored ones.
pub(super) struct NewDraft {
    pub(super) draft: ReleaseRecord,
    pub(super) artifact: Option<Artifact>,
}

/// Completes the fields of a new release with the facts of its artifact, and validates them.
pub(super) async fn draft_of(
    reader: &impl Reader,
    scope: TenantScope,
    app: &App,
    new: &NewRelease,
) -> Result<NewDraft, ServiceError> {
    check_identifier(app, &new.identifier)?;
    let resource = ResourceOfApp {
        reader,
        scope,
        app,
        identifier: &new.identifier,
    };
    let (complete, artifact) = resource.complete(new.given.clone()).await?;
    let content = complete.into_new().map_err(ServiceError::Invalid)?;
    require_valid(content.check())?;
    let mut draft = ReleaseRecord::draft(random::id(), app.id, new.identifier.clone(), content);
    draft.release.artifact = artifact.as_ref().map(Into::into);
    Ok(NewDraft { draft, artifact })
}

fn check_identifier(app: &App, identifier: &Identifier) -> Result<(), ServiceError> {
    let is_old = app
        .old_package_names
        .iter()
        .any(|name| name.as_str() == identifier.as_str());
    if is_old {
        return Err(ServiceError::invalid(
            "identifier",
            "must not be one of the app's old package names; the app itself is released under its package_name",
        ));
    }
    Ok(())
}

/// Returns the given fields that differ from the stored release of the same version and file.
pub(super) fn ignored_fields(
    existing: &ReleaseRecord,
    file: &ReleaseFile,
    new: &NewRelease,
) -> Result<Vec<&'static str>, ServiceError> {
    let stored = &existing.release.content;
    require_same_file(stored, file)?;
    let mut wished = stored.clone();
    new.given.clone().apply_to(&mut wished);
    let ignored = stored.changed_fields(&wished);
    if new.must_match && !ignored.is_empty() {
        return Err(ServiceError::ReleaseDiffers {
            id: existing.release.id,
            fields: ignored,
        });
    }
    Ok(ignored)
}

/// Accepts the stored release of the same version, and publishes it if requested.
async fn find_again(
    context: &TransitionContext<'_>,
    existing: Versioned<ReleaseRecord>,
    file: &ReleaseFile,
    new: NewRelease,
) -> Result<CreatedRelease, ServiceError> {
    let ignored = ignored_fields(&existing.value, file, &new)?;
    let published = match new.publish {
        Some(overrides) => {
            context
                .apply(&existing, TransitionRequest::publish(overrides))
                .await?
        }
        None => None,
    };
    Ok(CreatedRelease {
        is_published: published.is_some(),
        stored: published.unwrap_or(existing),
        is_new: false,
        ignored,
    })
}

/// Requires that the stored release of a version has this file.
fn require_same_file(stored: &ReleaseContent, file: &ReleaseFile) -> Result<(), ServiceError> {
    if stored.file.same_digests(file) {
        return Ok(());
    }
    Err(ServiceError::VersionConflict(format!(
        "version {} exists with another digest (md5 {}); use a new version_code for a new file",
        stored.version_code,
        stored.file.md5.as_str()
    )))
}

/// Inserts a release in its final state. The audit has the draft and its publication.
async fn insert(
    context: &TransitionContext<'_>,
    draft: ReleaseRecord,
    artifact: Option<&Artifact>,
    facts: NewReleaseFacts,
    new: &NewRelease,
) -> Result<CreatedRelease, ServiceError> {
    let TransitionContext { ctx, caller, tx, app } = *context;
    let now = ctx.now();
    if !facts.has_resource {
        resources::insert(tx, first_resource(app, &new.identifier, artifact), now)?;
    }
    let published = match new.publish {
        Some(overrides) => {
            let facts = PublicationFacts {
                contradicting: facts.contradicting,
                artifact,
            };
            context.require_publishable(&draft, facts, overrides).await?;
            draft
                .after(Transition::Publish, None, now)
                .map_err(|refusal| ServiceError::wrong_state(refusal.to_string()))?
        }
        None => None,
    };
    let audited = ReleaseOfApp {
        app: &app.package_name,
        record: &draft,
    };
    let change = AuditedChange::created(AuditAction::ReleaseCreate, &audited);
    let record = published.clone().unwrap_or_else(|| draft.clone());
    let stored = releases::insert(tx, record, now)?;
    audit::record(tx, ctx, caller, Some(tx.scope().tenant()), change);
    if let Some(published) = &published {
        context.record(Transition::Publish, &draft, published);
    }
    Ok(CreatedRelease {
        stored,
        is_new: true,
        is_published: published.is_some(),
        ignored: Vec::new(),
    })
}

/// Returns the resource that its first release creates.
fn first_resource(app: &App, identifier: &Identifier, artifact: Option<&Artifact>) -> Resource {
    let resource = Resource::first_seen(app, identifier.clone());
    match artifact {
        Some(artifact) => resource.with_first_file(artifact.facts.kind()),
        None => resource,
    }
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    filter: &ReleaseFilter<'_>,
    page: &PageRequest,
) -> Result<Page<Versioned<ReleaseRecord>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let app = apps::find(ctx.db(), scope, app).await?;
    let mut found = releases::list(ctx.db(), scope, app.value.id, filter, page).await?;
    for stored in &mut found.items {
        stored.value.release.set_address(ctx.download_urls());
    }
    Ok(found)
}

/// Finds the published release of a resource with the highest version.
pub async fn find_newest_published(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    identifier: &Identifier,
) -> Result<Option<Versioned<ReleaseRecord>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let app = apps::find(ctx.db(), scope, app).await?.value;
    let published = [ReleaseStateKind::Published];
    let newest = releases::find_newest(ctx.db(), scope, app.id, identifier, published).await?;
    Ok(newest.map(|stored| with_address(ctx, stored)))
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    address: ReleaseAddress<'_>,
) -> Result<Versioned<ReleaseRecord>, ServiceError> {
    let scope = ctx.authorize(caller, address.tenant, Action::ReadCatalog).await?;
    let app = apps::find(ctx.db(), scope, address.app).await?;
    let stored = find(ctx.db(), scope, &app.value, address.id).await?;
    Ok(with_address(ctx, stored))
}

/// Updates a release. File facts and versions are fixed after publication. A discarded release cannot change.
pub async fn update(
    ctx: &Context,
    caller: &Caller,
    address: ReleaseAddress<'_>,
    changes: ReleaseChanges,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<ReleaseRecord>>, ServiceError> {
    let edit = begin_edit(ctx, caller, address, precondition).await?;
    let mut after = edit.before.value.clone();
    let resource = ResourceOfApp {
        reader: &edit.tx,
        scope: edit.tx.scope(),
        app: &edit.app,
        identifier: &edit.before.value.release.identifier,
    };
    resource.apply(changes, &mut after.release).await?;
    save(ctx, caller, edit, after, AuditAction::ReleaseUpdate).await
}

/// Updates the rollout. Absent fields stay unchanged.
pub async fn set_rollout(
    ctx: &Context,
    caller: &Caller,
    address: ReleaseAddress<'_>,
    changes: RolloutChanges,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<ReleaseRecord>>, ServiceError> {
    let edit = begin_edit(ctx, caller, address, precondition).await?;
    let mut after = edit.before.value.clone();
    changes.apply_to(&mut after.release.content.rollout);
    save(ctx, caller, edit, after, AuditAction::ReleaseSetRollout).await
}

/// Stores a release after a change of its content.
async fn save(
    ctx: &Context,
    caller: &Caller,
    ReleaseEdit { tx, app, before }: ReleaseEdit,
    after: ReleaseRecord,
    action: AuditAction,
) -> Result<WriteResult<Versioned<ReleaseRecord>>, ServiceError> {
    if after == before.value {
        return Ok(ctx.unchanged(tx, with_address(ctx, before)).await);
    }
    check_fixed_fields(&before.value.release, &after.release.content)?;
    require_valid(after.release.content.check())?;
    let stored = releases::update(&tx, &before, after, ctx.now())?;
    let of = |record| ReleaseOfApp {
        app: &app.package_name,
        record,
    };
    let change = AuditedChange::changed(action, &of(&before.value), &of(&stored.value));
    audit::record(&tx, ctx, caller, Some(tx.scope().tenant()), change);
    Ok(WriteResult::changed(
        with_address(ctx, stored),
        ctx.commit(tx).await?,
    ))
}

fn check_fixed_fields(before: &Release, after: &ReleaseContent) -> Result<(), ServiceError> {
    let fixed = match before.state {
        ReleaseState::Draft => return Ok(()),
        ReleaseState::Discarded => before.content.changed_fields(after),
        _ => before.content.changed_fixed_fields(after),
    };
    if fixed.is_empty() {
        return Ok(());
    }
    let fields = fixed
        .into_iter()
        .map(|field| {
            FieldError::invalid(
                field,
                "can no longer change; create a release with a new version_code",
            )
        })
        .collect();
    Err(ServiceError::WrongState {
        detail: format!(
            "the release is {}: its file facts and versions can no longer change",
            before.state.name()
        ),
        fields,
    })
}
