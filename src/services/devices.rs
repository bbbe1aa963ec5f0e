//! Devices of a tenant: queries, import, deletion, token revocation and adoption.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::audit::{self, Audited, AuditedChange, EnrolmentState, ImportDetails};
use super::error::require_valid;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult, apps, nodes};
use crate::live::{DeviceRef, Lookup};
use crate::storage::device_installs;
use crate::storage::device_tokens::{self, DeviceToken, TokenEnd, TokenState};
use crate::storage::devices::{self, DeviceRecord};
use crate::storage::{Reader, Tx};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::adoption::counted_since;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::device::{Device, DeviceFilter, OrgInfo};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::install::{Install, VersionCount};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::{DeviceId, Identifier, PackageName};

/// A registered device with its derived state.
pub struct RegisteredDevice {
    pub stored: DeviceRecord,
    /// `true` if it has a valid token of its own.
    pub is_enrolled: bool,
    /// `true` if it is connected to a running node.
    pub is_connected: bool,
}

/// A device with its installs.
pub struct DeviceWithInstalls {
    pub device: RegisteredDevice,
    /// Ordered by app and identifier.
    pub installs: Vec<Install>,
}

/// Result of an import. Unchanged devices are counted in neither field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportReport {
    pub created: usize,
    pub updated: usize,
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    filter: &DeviceFilter<'_>,
    page: &PageRequest,
) -> Result<Page<RegisteredDevice>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let nodes = nodes::list_running(ctx, ctx.db()).await?;
    let found = devices::list(ctx.db(), scope, filter, &nodes, page).await?;
    Ok(Page {
        items: register(ctx.db(), scope, found.items, &nodes).await?,
        next: found.next,
    })
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: &DeviceId,
) -> Result<DeviceWithInstalls, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db().begin_read().await?;
    let stored = devices::find(&reader, scope, id).await?;
    with_installs(ctx, &reader, scope, stored).await
}

async fn with_installs(
    ctx: &Context,
    reader: &impl Reader,
    scope: TenantScope,
    stored: Option<DeviceRecord>,
) -> Result<DeviceWithInstalls, ServiceError> {
    let stored = stored.ok_or(ServiceError::NotFound("device"))?;
    let id = stored.device.id.clone();
    let nodes = nodes::list_running(ctx, reader).await?;
    let registered = register(reader, scope, vec![stored], &nodes).await?;
    Ok(DeviceWithInstalls {
        installs: device_installs::list_of_devices(reader, scope, &[id.as_str()]).await?,
        device: registered
            .into_iter()
            .next()
            .ok_or(ServiceError::NotFound("device"))?,
    })
}

async fn register(
    reader: &impl Reader,
    scope: TenantScope,
    stored: Vec<DeviceRecord>,
    nodes: &[Uuid],
) -> Result<Vec<RegisteredDevice>, ServiceError> {
    let ids: Vec<_> = stored.iter().map(|stored| stored.device.id.as_str()).collect();
    let enrolled: HashSet<_> = device_tokens::list_enrolled(reader, scope, &ids)
        .await?
        .into_iter()
        .collect();
    let register = |stored: DeviceRecord| RegisteredDevice {
        is_enrolled: enrolled.contains(stored.device.id.as_str()),
        is_connected: stored.connected_node.is_some_and(|node| nodes.contains(&node)),
        stored,
    };
    Ok(stored.into_iter().map(register).collect())
}

/// Deletes a device with its token, codes, installs and pushes.
///
/// `etag_of` computes the entity tag that the precondition is checked against.
pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: &DeviceId,
    precondition: &Precondition,
    etag_of: fn(&DeviceWithInstalls) -> String,
) -> Result<(), ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteDevices).await?;
    let tx = ctx.begin(caller).await?;
    let stored = devices::lock(&tx, scope, id).await?;
    let before = with_installs(ctx, &tx, scope, stored).await?;
    precondition.check(&etag_of(&before))?;
    devices::delete(&tx, scope, id).await?;
    let generation = match device_tokens::find(&tx, scope, id).await? {
        Some(token) => Some(end_token(ctx, &tx, scope, id, &token, TokenEnd::Forgotten).await?),
        None => None,
    };
    let change = AuditedChange::deleted(AuditAction::DeviceDelete, &before.device);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    tx.commit().await?;
    if let Some(generation) = generation {
        note_ended(ctx, tenant, id, generation);
    }
    Ok(())
}

/// Revokes the token of a device. Only a one-time code enrols the device again.
pub async fn revoke_token(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: &DeviceId,
) -> Result<(), ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteDevices).await?;
    let tx = ctx.begin(caller).await?;
    devices::lock(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("device"))?;
    let token = device_tokens::find(&tx, scope, id).await?;
    let token = token.filter(|token| matches!(token.state, TokenState::Valid { .. }));
    let token = token.ok_or(ServiceError::NotFound("token of the device"))?;
    let generation = end_token(ctx, &tx, scope, id, &token, TokenEnd::Revoked).await?;
    let change = AuditedChange::new(AuditAction::DeviceRevokeToken, id)
        .with_before(&EnrolmentState { enrolled: true })
        .with_after(&EnrolmentState { enrolled: false });
    audit::record(&tx, ctx, caller, Some(tenant), change);
    tx.commit().await?;
    note_ended(ctx, tenant, id, generation);
    Ok(())
}

/// Ends the token of a device and returns the new generation.
///
/// The row stays: its generation tells the nodes that the token is invalid.
async fn end_token(
    ctx: &Context,
    tx: &Tx,
    scope: TenantScope,
    id: &DeviceId,
    token: &DeviceToken,
    end: TokenEnd,
) -> Result<i64, ServiceError> {
    let generation = token.generation + 1;
    let ended = DeviceToken {
        generation,
        state: TokenState::Ended(end),
    };
    device_tokens::upsert(tx, scope, id, &ended, ctx.now()).await?;
    Ok(generation)
}

/// Notifies this node immediately of a token that ended. Call this after the commit.
fn note_ended(ctx: &Context, tenant: TenantId, id: &DeviceId, generation: i64) {
    ctx.device_admission()
        .revoked_tokens
        .record_generation(DeviceRef::of(tenant, id), generation);
}

impl Audited for RegisteredDevice {
    fn audited_id(&self) -> String {
        self.stored.device.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        let (known, stored) = (&self.stored.device, &self.stored);
        json!({
            "device_id": known.id,
            "project_id": known.project,
            "device_type": known.device_type,
            "org_info": known.org_info,
            "attributes": stored.attributes,
            "enrolled": self.is_enrolled,
            "first_seen_at": stored.first_seen_at,
            "last_seen_at": stored.last_seen_at,
        })
    }
}

/// Imports devices: creates unknown ones and sets the given fields of known ones. Repeating an import changes nothing.
pub async fn import(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    mut imported: Vec<Device>,
    once: IdempotentWrite<'_, ImportReport>,
) -> Result<WriteResult<ImportReport>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteDevices).await?;
    require_valid(given_twice(&imported))?;
    let given = imported.iter_mut().map(|device| &mut device.org_info);
    complete_org_info(ctx, tenant, given);
    let tx = ctx.begin(caller).await?;
    let ids: Vec<_> = imported.iter().map(|device| device.id.as_str()).collect();
    let known: HashMap<_, _> = devices::find_many(&tx, scope, &ids)
        .await?
        .into_iter()
        .map(|stored| (stored.device.id.clone(), stored.device))
        .collect();
    imported.retain(|device| !known.get(&device.id).is_some_and(|known| says(known, device)));
    let updated = imported.iter().filter(|device| known.contains_key(&device.id));
    let updated = updated.count();
    let done = ImportReport {
        created: imported.len() - updated,
        updated,
    };
    if !imported.is_empty() {
        devices::upsert_imported(&tx, scope, imported).await?;
        let details = ImportDetails {
            created: done.created,
            updated: done.updated,
        };
        let change = AuditedChange::new(AuditAction::DeviceImport, tenant).with_after(&details);
        audit::record(&tx, ctx, caller, Some(tenant), change);
    }
    once.record(&tx, &done);
    tx.commit().await?;
    Ok(WriteResult {
        value: done,
        revision: None,
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

/// Completes org memberships in the same way as those of a check, so that the same org node matches both.
pub(super) fn complete_org_info<'a>(
    ctx: &Context,
    tenant: TenantId,
    given: impl IntoIterator<Item = &'a mut Option<OrgInfo>>,
) {
    let Lookup::Found(tenant) = ctx.catalog().tenant(tenant) else {
        return;
    };
    for org_info in given {
        *org_info = org_info
            .take()
            .map(|org_info| org_info.completed(&tenant.directory));
    }
}

/// Returns `true` if the stored device already has every value of the import.
fn says(known: &Device, imported: &Device) -> bool {
    fn is_so<T: PartialEq>(imported: Option<&T>, known: Option<&T>) -> bool {
        imported.is_none() || imported == known
    }
    is_so(imported.project.as_ref(), known.project.as_ref())
        && is_so(imported.device_type.as_ref(), known.device_type.as_ref())
        && is_so(imported.org_info.as_ref(), known.org_info.as_ref())
}

/// Counts the devices on each version of an app's resources. Only devices that checked for the app in the last
/// `seen_within_days` days count, in whole days.
///
/// The app itself comes first, then its resources by identifier, each with the newest version first.
pub async fn adoption(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    identifier: Option<&Identifier>,
    seen_within_days: u16,
) -> Result<Vec<VersionCount>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let app = apps::find(ctx.db(), scope, app).await?.value;
    let since = counted_since(ctx.now(), seen_within_days);
    let mut counts =
        device_installs::count_versions(ctx.db(), scope, &app.package_name, identifier, since).await?;
    counts.sort_by_key(|count| !app.is_itself(&count.identifier));
    Ok(counts)
}
