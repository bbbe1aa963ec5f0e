//! The devices of a tenant: their import, and what is known of them.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use serde_json::json;

use super::audit::{self, Change};
use super::error::accept;
use super::{Caller, Context, Once, ServiceError, Written, apps};
use crate::access::Action;
use crate::catalog::device::Device;
use crate::catalog::field::FieldError;
use crate::catalog::ids::TenantId;
use crate::catalog::text::{DeviceId, Identifier, PackageName};
use crate::live::Lookup;
use crate::storage::device_installs::{self, Install, VersionCount};
use crate::storage::devices::{self, DeviceFilter, StoredDevice};
use crate::storage::{Page, PageRequest};

/// A device with what it has.
pub struct DeviceWithInstalls {
    pub stored: StoredDevice,
    /// By app and identifier.
    pub installs: Vec<Install>,
}

/// What an import changed. Devices that were so already count as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub created: usize,
    pub updated: usize,
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    filter: &DeviceFilter<'_>,
    page: &PageRequest,
) -> Result<Page<StoredDevice>, ServiceError> {
    let scope = ctx.enter(caller, tenant, Action::ReadDevices).await?;
    Ok(devices::list(&ctx.db, scope, filter, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: &DeviceId,
) -> Result<DeviceWithInstalls, ServiceError> {
    let scope = ctx.enter(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db.begin_read().await?;
    let stored = devices::find(&reader, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("device"))?;
    let installs = device_installs::list_of_devices(&reader, scope, &[id.as_str()]).await?;
    Ok(DeviceWithInstalls { stored, installs })
}

/// Sets what is given of each device; devices that are not known yet become so. The same import again changes nothing.
pub async fn import(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    mut imported: Vec<Device>,
    once: Once<'_, Imported>,
) -> Result<Written<Imported>, ServiceError> {
    let scope = ctx.enter(caller, tenant, Action::WriteDevices).await?;
    accept(given_twice(&imported))?;
    complete_org_info(ctx, tenant, &mut imported);
    let tx = ctx.db.begin().await?;
    let ids: Vec<_> = imported.iter().map(|device| device.id.as_str()).collect();
    let known: HashMap<_, _> = devices::find_many(&tx, scope, &ids)
        .await?
        .into_iter()
        .map(|stored| (stored.device.id.clone(), stored.device))
        .collect();
    imported.retain(|device| !known.get(&device.id).is_some_and(|known| says(known, device)));
    let updated = imported.iter().filter(|device| known.contains_key(&device.id));
    let updated = updated.count();
    let done = Imported {
        created: imported.len() - updated,
        updated,
    };
    if !imported.is_empty() {
        devices::upsert_imported(&tx, scope, imported).await?;
        let change = Change {
            action: "device.import",
            object_id: tenant.to_string(),
            before: None,
            after: Some(json!({"created": done.created, "updated": done.updated})),
        };
        audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    }
    once.record(&tx, &done).await?;
    tx.commit().await?;
    Ok(Written {
        value: done,
        pair: None,
    })
}

fn given_twice(imported: &[Device]) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    imported
        .iter()
        .enumerate()
        .filter(|(_, device)| !seen.insert(&device.id))
        .map(|(index, _)| {
            FieldError::invalid(
                format!("devices[{index}].device_id"),
                "must not be given twice in an import",
            )
        })
        .collect()
}

/// As a check's memberships are completed, so that both are found by the same org node.
fn complete_org_info(ctx: &Context, tenant: TenantId, imported: &mut [Device]) {
    let Lookup::Found(tenant) = ctx.live.tenant(tenant) else {
        return;
    };
    for device in imported {
        device.org_info = device
            .org_info
            .take()
            .map(|org_info| org_info.completed(&tenant.directory));
    }
}

/// Whether everything that an import gives is known already.
fn says(known: &Device, imported: &Device) -> bool {
    fn is_so<T: PartialEq>(imported: Option<&T>, known: Option<&T>) -> bool {
        imported.is_none() || imported == known
    }
    is_so(imported.project.as_ref(), known.project.as_ref())
        && is_so(imported.device_type.as_ref(), known.device_type.as_ref())
        && is_so(imported.org_info.as_ref(), known.org_info.as_ref())
}

/// How many devices have each version of an app's resources, of those that checked for the app within so many days.
/// The app itself first, then by identifier; the newest version first.
pub async fn adoption(
    ctx: &Context,
    caller: &Caller,
    (tenant, app): (TenantId, &PackageName),
    identifier: Option<&Identifier>,
    seen_within_days: u16,
) -> Result<Vec<VersionCount>, ServiceError> {
    let scope = ctx.enter(caller, tenant, Action::ReadDevices).await?;
    let app = apps::find(&ctx.db, scope, app).await?.value;
    let since = ctx.now() - TimeDelta::days(i64::from(seen_within_days));
    let mut counts =
        device_installs::count_versions(&ctx.db, scope, &app.package_name, identifier, since).await?;
    counts.sort_by_key(|count| !app.is_itself(&count.identifier));
    Ok(counts)
}
