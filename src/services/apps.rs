//! Apps: the host packages of a tenant.

use super::audit::{self, AuditedChange};
use super::error::require_valid;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult};
use crate::random;
use crate::storage::{Reader, apps, device_installs, releases, resources};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::{AppId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::{Name, PackageName, Url};
use slipway_domain::catalog::versioned::Versioned;

/// Input for a new app.
pub struct NewApp {
    pub package_name: PackageName,
    pub app_name: Name,
    pub old_package_names: Vec<PackageName>,
    pub icon_url: Option<Url>,
}

/// Changes to an app. Absent fields stay unchanged.
#[derive(Default)]
pub struct AppChanges {
    pub app_name: Option<Name>,
    pub old_package_names: Option<Vec<PackageName>>,
    pub icon_url: Option<Option<Url>>,
    pub enabled: Option<bool>,
}

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    new: NewApp,
    once: IdempotentWrite<'_, Versioned<App>>,
) -> Result<WriteResult<Versioned<App>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteApps).await?;
    let app = App {
        id: random::id::<AppId>(),
        package_name: new.package_name,
        app_name: new.app_name,
        old_package_names: new.old_package_names,
        icon_url: new.icon_url,
        enabled: true,
    };
    require_valid(app.check_names())?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let stored = apps::insert(&tx, app, ctx.now()).await?;
    let change = AuditedChange::created(AuditAction::AppCreate, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    once.record(&tx, &stored);
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    page: &PageRequest,
) -> Result<Page<Versioned<App>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    Ok(apps::list(ctx.db(), scope, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    name: &PackageName,
) -> Result<Versioned<App>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    find(ctx.db(), scope, name).await
}

pub async fn update(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    name: &PackageName,
    changes: AppChanges,
    precondition: &Precondition,
) -> Result<WriteResult<Versioned<App>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteApps).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = find(&tx, scope, name).await?;
    precondition.check(&before.etag)?;
    let mut after = before.value.clone();
    if let Some(app_name) = changes.app_name {
        after.app_name = app_name;
    }
    if let Some(old_names) = changes.old_package_names {
        after.old_package_names = old_names;
    }
    if let Some(icon_url) = changes.icon_url {
        after.icon_url = icon_url;
    }
    if let Some(enabled) = changes.enabled {
        after.enabled = enabled;
    }
    if after == before.value {
        return Ok(ctx.unchanged(tx, before).await);
    }
    require_valid(after.check_names())?;
    check_old_names(&tx, scope, &after).await?;
    let stored = apps::update(&tx, &before, after, ctx.now()).await?;
    let change = AuditedChange::changed(AuditAction::AppUpdate, &before.value, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}

/// Deletes an app and everything that belongs to it except its audit. Its names become available again.
///
/// Fails while the app has published or paused releases, because devices may be offered them.
pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    name: &PackageName,
    precondition: &Precondition,
) -> Result<WriteResult<()>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::DeleteApps).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = find(&tx, scope, name).await?;
    precondition.check(&before.etag)?;
    if releases::exists_published_or_paused(&tx, scope, before.value.id).await? {
        return Err(ServiceError::wrong_state(
            "the app has published or paused releases; recall them before deleting it",
        ));
    }
    apps::delete(&tx, before.value.id).await?;
    device_installs::remove_later(&tx, before.value.id, &before.value.package_name, ctx.now()).await?;
    let change = AuditedChange::deleted(AuditAction::AppDelete, &before.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed((), ctx.commit(tx).await?))
}

/// Finds the app by its current package name.
pub(super) async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    name: &PackageName,
) -> Result<Versioned<App>, ServiceError> {
    apps::find_by_package_name(reader, scope, name)
        .await?
        .ok_or(ServiceError::NotFound("app"))
}

/// Finds the app by its current or an old package name, as checks do.
pub(super) async fn find_by_any_name(
    reader: &impl Reader,
    scope: TenantScope,
    name: &PackageName,
) -> Result<Versioned<App>, ServiceError> {
    apps::find_by_any_name(reader, scope, name)
        .await?
        .ok_or(ServiceError::NotFound("app"))
}

/// Fails if an old package name is the identifier of a resource. Devices under an old name report the app itself by
/// that name.
async fn check_old_names(reader: &impl Reader, scope: TenantScope, app: &App) -> Result<(), ServiceError> {
    let identifiers = resources::list_identifiers(reader, scope, app.id).await?;
    let clashes = app
        .old_package_names
        .iter()
        .enumerate()
        .filter(|(_, name)| {
            identifiers
                .iter()
                .any(|identifier| identifier.as_str() == name.as_str())
        })
        .map(|(index, _)| {
            FieldError::invalid(
                format!("old_package_names[{index}]"),
                "must not be the identifier of one of the app's resources",
            )
        });
    require_valid(clashes.collect())
}
