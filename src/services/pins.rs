//! Pins: hold devices back, or on exactly one version.

use std::collections::{BTreeSet, HashMap};

use super::audit::{self, Audited, AuditedChange, AuditedPin};
use super::{Caller, Context, Precondition, ServiceError, WriteResult, apps, memory};
use crate::random;
use crate::storage::pins::PinFilter;
use crate::storage::{CatalogTx, Reader, pins, releases, resources};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::device::{Device, OrgInfo};
use slipway_domain::catalog::ids::{AppId, PinId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::pin::{Pin, PinMode, PinTarget};
use slipway_domain::catalog::text::{Identifier, PackageName, Reason};
use slipway_domain::catalog::versioned::Versioned;

/// Input for a new pin.
pub struct NewPin {
    pub package_name: PackageName,
    pub identifier: Identifier,
    pub target: PinTarget,
    pub mode: PinMode,
    pub reason: Reason,
    pub expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// A pin with the package name of its app.
#[derive(Debug, Clone)]
pub struct NamedPin {
    pub package_name: PackageName,
    pub pin: Versioned<Pin>,
}

/// Selection of a tenant's pins. An absent field selects every pin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinSelection {
    pub package_name: Option<PackageName>,
    pub identifier: Option<Identifier>,
    pub target: Option<PinTarget>,
}

/// Newest pins on one target.
#[derive(Debug, Clone)]
pub struct TargetPins {
    pub target: PinTarget,
    /// Newest first.
    pub pins: Vec<NamedPin>,
    /// `true` if the target has more pins.
    pub has_more: bool,
}

/// Creates a pin. A pin with the same target is replaced and keeps its id, unless the precondition is
/// [`Precondition::Absent`]: then a different pin is a conflict.
pub async fn put(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    new: NewPin,
    precondition: &Precondition,
) -> Result<WriteResult<NamedPin>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WritePins).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let app = find_app(&tx, scope, &new.package_name).await?;
    require_known_resource(&tx, &app, &new).await?;
    let before = pins::find_by_target(&tx, scope, app.id, &new.identifier, &new.target).await?;
    let pin = Pin {
        id: before.as_ref().map_or_else(random::id, |before| before.value.id),
        app_id: app.id,
        identifier: new.identifier,
        target: new.target,
        mode: new.mode,
        reason: new.reason,
        expires_at: new.expires_at,
    };
    let named = |pin| NamedPin {
        package_name: app.package_name.clone(),
        pin,
    };
    let is_unchanged = before.as_ref().is_some_and(|before| before.value == pin);
    require_replaceable(before.as_ref(), is_unchanged, precondition)?;
    if let Some(before) = before.clone().filter(|_| is_unchanged) {
        return Ok(ctx.unchanged(tx, named(before)).await);
    }
    let stored = pins::upsert(&tx, pin, ctx.now()).await?;
    let of = |pin| AuditedPin {
        app: &app.package_name,
        pin,
    };
    let mut change = AuditedChange::created(AuditAction::PinPut, &of(&stored.value));
    if let Some(before) = &before {
        change = change.with_before(&of(&before.value).audited_state());
    }
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed(named(stored), ctx.commit(tx).await?))
}

fn require_replaceable(
    before: Option<&Versioned<Pin>>,
    is_unchanged: bool,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    match (before, precondition) {
        (Some(_), Precondition::Absent) if is_unchanged => Ok(()),
        (Some(_), Precondition::Absent) => Err(ServiceError::AlreadyExists(
            "the target has another pin of this resource; name its entity tag to replace it".to_owned(),
        )),
        (Some(before), precondition) => precondition.check(&before.etag),
        (None, Precondition::OneOf(_) | Precondition::Exists) => Err(ServiceError::Stale),
        (None, Precondition::None | Precondition::Absent) => Ok(()),
    }
}

/// Finds the app named in the body. An unknown app is an invalid field, not an unknown path.
async fn find_app(reader: &impl Reader, scope: TenantScope, name: &PackageName) -> Result<App, ServiceError> {
    match apps::find(reader, scope, name).await {
        Ok(found) => Ok(found.value),
        Err(ServiceError::NotFound(_)) => Err(ServiceError::invalid(
            "package_name",
            "must be the package name of an app of the tenant",
        )),
        Err(error) => Err(error),
    }
}

/// Fails if the resource or version does not exist. Such a pin would have no effect and nobody would notice.
async fn require_known_resource(tx: &CatalogTx, app: &App, new: &NewPin) -> Result<(), ServiceError> {
    let scope = tx.scope();
    if resources::find(tx, scope, app.id, &new.identifier)
        .await?
        .is_none()
    {
        return Err(ServiceError::invalid(
            "identifier",
            "must be a resource of the app; a resource is created by its first release",
        ));
    }
    let PinMode::Exact(version) = new.mode else {
        return Ok(());
    };
    let exists = releases::find_by_version(tx, scope, app.id, &new.identifier, version)
        .await?
        .is_some();
    if exists {
        Ok(())
    } else {
        Err(ServiceError::invalid(
            "version_code",
            format!("must be a version with a release that is not discarded; {version} has none"),
        ))
    }
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    selection: &PinSelection,
    page: &PageRequest,
) -> Result<Page<NamedPin>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let app = match &selection.package_name {
        Some(name) => match apps::find(ctx.db(), scope, name).await {
            Ok(found) => Some(found.value.id),
            Err(ServiceError::NotFound(_)) => {
                return Ok(Page {
                    items: Vec::new(),
                    next: None,
                });
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    let filter = PinFilter {
        app,
        identifier: selection.identifier.as_ref(),
        target: selection.target.as_ref(),
    };
    let found = pins::list(ctx.db(), scope, &filter, page).await?;
    let apps: BTreeSet<_> = found.items.iter().map(|pin| pin.value.app_id).collect();
    let names = crate::storage::apps::list_package_names(ctx.db(), scope, apps).await?;
    Ok(Page {
        items: with_names(&names, found.items).collect(),
        next: found.next,
    })
}

/// Adds the names of their apps. Pins of an app that was deleted meanwhile are left out.
fn with_names(
    names: &HashMap<AppId, PackageName>,
    pins: impl IntoIterator<Item = Versioned<Pin>>,
) -> impl Iterator<Item = NamedPin> {
    pins.into_iter().filter_map(|pin| {
        let package_name = names.get(&pin.value.app_id)?.clone();
        Some(NamedPin { package_name, pin })
    })
}

/// Lists the newest pins that apply to a device, up to `limit` of each target, in the order of precedence. Targets
/// without pins are absent.
///
/// Nodes above the stored places are those of the directory in the memory of this node, as for a check.
pub async fn list_for_device(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    device: &Device,
    limit: usize,
) -> Result<Vec<TargetPins>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let org = device
        .org_info
        .clone()
        .map(|org| complete(ctx, caller, tenant, org));
    let targets = PinTarget::all_of(&device.id, org.as_ref());
    let reader = ctx.db().begin_read().await?;
    let found = pins::list_of_targets(&reader, scope, &targets, limit as u64 + 1).await?;
    let ids: BTreeSet<_> = found.iter().flatten().map(|pin| pin.value.app_id).collect();
    let names = crate::storage::apps::list_package_names(&reader, scope, ids).await?;
    let of_target = |target: PinTarget, pins: Vec<Versioned<Pin>>| TargetPins {
        target,
        has_more: pins.len() > limit,
        pins: with_names(&names, pins.into_iter().take(limit)).collect(),
    };
    let all = targets.into_iter().zip(found);
    let all = all.map(|(target, pins)| of_target(target, pins));
    Ok(all.filter(|found| !found.pins.is_empty()).collect())
}

fn complete(ctx: &Context, caller: &Caller, tenant: TenantId, org: OrgInfo) -> OrgInfo {
    match memory::find_tenant(ctx, caller, tenant) {
        Ok(served) => org.completed(&served.directory),
        Err(_) => org,
    }
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: PinId,
) -> Result<NamedPin, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let found = pins::find(ctx.db(), scope, id)
        .await?
        .ok_or(ServiceError::NotFound("pin"))?;
    with_name(ctx, scope, found).await
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: PinId,
    precondition: &Precondition,
) -> Result<WriteResult<()>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WritePins).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = pins::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("pin"))?;
    precondition.check(&before.etag)?;
    let app = crate::storage::apps::find_by_id(&tx, scope, before.value.app_id).await?;
    let package_name = app.ok_or(ServiceError::NotFound("pin"))?.value.package_name;
    pins::delete(&tx, &before.value).await?;
    let audited = AuditedPin {
        app: &package_name,
        pin: &before.value,
    };
    let change = AuditedChange::deleted(AuditAction::PinDelete, &audited);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed((), ctx.commit(tx).await?))
}

async fn with_name(ctx: &Context, scope: TenantScope, pin: Versioned<Pin>) -> Result<NamedPin, ServiceError> {
    let app: AppId = pin.value.app_id;
    let app = crate::storage::apps::find_by_id(ctx.db(), scope, app).await?;
    let package_name = app.ok_or(ServiceError::NotFound("pin"))?.value.package_name;
    Ok(NamedPin { package_name, pin })
}
