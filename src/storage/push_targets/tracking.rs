//! Queries for nodes that track deliveries. The first three read across tenants, for internal work without a caller.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::prelude::Uuid;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::lock::{is_after, is_open_at};
use super::{Column, Entity, of_tenant, read, read_key};
use crate::storage::batch::ROWS;
use crate::storage::page::{SortBy, fetch_page};
use crate::storage::{Reader, StorageError, pushes};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::push::{Push, TargetKey, TargetRecord};
use slipway_domain::catalog::text::DeviceId;

/// Target with the time until which it must be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTarget {
    pub key: TargetKey,
    pub push: PushId,
    /// Time of expiry; `None` once the delivery has ended.
    pub open_until: Option<DateTime<Utc>>,
}

/// Lists the targets of these pushes, in no particular order.
pub async fn list_of_pushes(
    reader: &impl Reader,
    pushes: &[PushId],
) -> Result<Vec<OpenTarget>, StorageError> {
    let mut found = Vec::new();
    for pushes in pushes.chunks(ROWS) {
        let of_pushes = Entity::find().filter(Column::PushId.is_in(pushes.iter().map(|push| push.uuid())));
        found.extend(read_all(reader, of_pushes).await?);
    }
    Ok(found)
}

/// Lists the targets that were written at or after an instant, in no particular order.
///
/// Instants are those of the nodes' clocks, and a transaction commits later than it writes. Callers must look back by
/// more than both differences.
pub async fn list_changed_since(
    reader: &impl Reader,
    since: DateTime<Utc>,
) -> Result<Vec<OpenTarget>, StorageError> {
    let changed = Entity::find().filter(Column::ChangedAt.gte(in_micros(since)));
    read_all(reader, changed).await
}

/// Lists up to `limit` open targets after a key, in the order of their keys, regardless of their expiry.
///
/// A result of fewer than `limit` targets is the last.
pub async fn list_open(
    reader: &impl Reader,
    after: Option<&TargetKey>,
    limit: u64,
) -> Result<Vec<OpenTarget>, StorageError> {
    let open = Entity::find()
        .filter(Column::OpenUntil.is_not_null())
        .apply_if(after, |rows, key| rows.filter(is_after(key)))
        .order_by_asc(Column::TenantId)
        .order_by_asc(Column::DeviceId)
        .order_by_asc(Column::Sequence)
        .limit(limit);
    read_all(reader, open).await
}

/// Lists up to `limit` open pushes of a device with a sequence above `after`, by sequence.
pub async fn list_open_of_device(
    reader: &impl Reader,
    scope: TenantScope,
    device: &DeviceId,
    after: i64,
    limit: u64,
    now: DateTime<Utc>,
) -> Result<Vec<(TargetRecord, Push)>, StorageError> {
    let is_wanted = Condition::all()
        .add(Column::DeviceId.eq(device.as_str()))
        .add(Column::Sequence.gt(after))
        .add(is_open_at(in_micros(now)));
    let rows = of_tenant(scope)
        .filter(is_wanted)
        .order_by_asc(Column::Sequence)
        .limit(limit)
        .all(reader.connection())
        .await?;
    let targets: Vec<_> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    with_pushes(reader, scope, targets).await
}

/// Lists the pushes of a device, newest first.
pub async fn list_of_device(
    reader: &impl Reader,
    scope: TenantScope,
    device: &DeviceId,
    page: &PageRequest,
) -> Result<Page<(TargetRecord, Push)>, StorageError> {
    let rows = of_tenant(scope).filter(Column::DeviceId.eq(device.as_str()));
    let by_sequence = SortBy::Descending(Column::Sequence);
    let found = fetch_page(page, reader, rows, by_sequence, |row| row.sequence).await?;
    let found = found.try_map(read)?;
    Ok(Page {
        items: with_pushes(reader, scope, found.items).await?,
        next: found.next,
    })
}

/// Pairs each target with its push.
pub(super) async fn with_pushes(
    reader: &impl Reader,
    scope: TenantScope,
    targets: Vec<TargetRecord>,
) -> Result<Vec<(TargetRecord, Push)>, StorageError> {
    let ids: HashSet<_> = targets.iter().map(|target| target.push).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let found = pushes::find_many(reader, scope, &ids).await?;
    let by_id: HashMap<_, _> = found.into_iter().map(|push| (push.id, push)).collect();
    let paired = targets.into_iter().filter_map(|target| {
        let push = by_id.get(&target.push)?.clone();
        Some((target, push))
    });
    Ok(paired.collect())
}

/// Tenant, device, sequence, push and time of expiry.
type OpenRow = (i64, String, i64, Uuid, Option<DateTime<Utc>>);

async fn read_all(reader: &impl Reader, rows: Select<Entity>) -> Result<Vec<OpenTarget>, StorageError> {
    let rows: Vec<OpenRow> = rows
        .select_only()
        .columns([
            Column::TenantId,
            Column::DeviceId,
            Column::Sequence,
            Column::PushId,
            Column::OpenUntil,
        ])
        .into_tuple()
        .all(reader.connection())
        .await?;
    rows.into_iter()
        .map(|(tenant, device, sequence, push, open_until)| {
            Ok(OpenTarget {
                key: read_key(tenant, &device, sequence)?,
                push: PushId::from_uuid(push),
                open_until,
            })
        })
        .collect()
}
