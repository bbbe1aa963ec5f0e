//! Push targets: the devices of each push, and the state of its delivery there.
//!
//! A writer of several rows locks them first, in the order of their keys, which prevents deadlocks. Queries use
//! `open_until` or `mqtt_due_at` wherever possible, because their indexes contain only the few open rows.

mod deliver;
mod lock;
mod tracking;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select};

pub use deliver::{
    Claim, ClaimedTarget, acknowledge, claim_due_for_mqtt, expire_due, lock_of_push, mark_delivered,
    release_for_mqtt, withdraw,
};
pub use tracking::{
    OpenTarget, list_changed_since, list_of_device, list_of_pushes, list_open, list_open_of_device,
};

use super::batch::ROWS;
use super::entity::push_target::{ActiveModel, Column, Entity, Model};
use super::row::Row;
use super::{Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{PushId, TenantId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::push::{Channel, Push, TargetKey, TargetRecord, TargetState};
use slipway_domain::catalog::text::{DeviceId, ProjectId, PushDetail};

/// Target of a push that is being accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTarget {
    pub device: DeviceId,
    pub project: ProjectId,
    pub sequence: i64,
}

/// Queues a push for its targets. `mqtt_due_at` is the time of its publication to the broker; `None` without a broker.
pub async fn insert(
    tx: &Tx,
    scope: TenantScope,
    push: &Push,
    targets: Vec<NewTarget>,
    mqtt_due_at: Option<DateTime<Utc>>,
) -> Result<(), StorageError> {
    let rows: Vec<ActiveModel> = targets
        .into_iter()
        .map(|target| queued(scope, push, target, mqtt_due_at).into_active_model())
        .collect();
    for rows in rows.chunks(ROWS) {
        Entity::insert_many(rows.to_vec())
            .exec_without_returning(tx.connection())
            .await?;
    }
    Ok(())
}

fn queued(scope: TenantScope, push: &Push, target: NewTarget, mqtt_due_at: Option<DateTime<Utc>>) -> Model {
    Model {
        tenant_id: scope.tenant().get(),
        device_id: target.device.into_string(),
        sequence: target.sequence,
        push_id: push.id.uuid(),
        project_id: target.project.into_string(),
        state: TargetState::Queued.as_str().to_owned(),
        open_until: Some(in_micros(push.expires_at)),
        mqtt_due_at: mqtt_due_at.map(in_micros),
        channel: None,
        deliveries: 0,
        changed_at: in_micros(push.created_at),
        delivered_at: None,
        received_at: None,
        opened_at: None,
        ended_at: None,
        detail: None,
    }
}

/// Lists the targets of a push by device id, bytewise.
pub async fn list_of_push(
    reader: &impl Reader,
    scope: TenantScope,
    push: PushId,
) -> Result<Vec<TargetRecord>, StorageError> {
    let rows = of_tenant(scope)
        .filter(Column::PushId.eq(push.uuid()))
        .order_by_asc(Column::DeviceId)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read).collect()
}

/// Counts the targets of each of these pushes by state. States without targets are omitted.
pub async fn count_by_state(
    reader: &impl Reader,
    scope: TenantScope,
    pushes: &[PushId],
) -> Result<BTreeMap<PushId, BTreeMap<TargetState, u64>>, StorageError> {
    let counts: Vec<(sea_orm::prelude::Uuid, String, i64)> = of_tenant(scope)
        .filter(Column::PushId.is_in(pushes.iter().map(|push| push.uuid())))
        .select_only()
        .columns([Column::PushId, Column::State])
        .column_as(Column::DeviceId.count(), "targets")
        .group_by(Column::PushId)
        .group_by(Column::State)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let mut by_push: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (push, state, count) in counts {
        let row = Row::of("push_targets", push);
        let state = row.column("state", TargetState::parse(&state))?;
        let count = row.column("device_id", u64::try_from(count))?;
        by_push
            .entry(PushId::from_uuid(push))
            .or_default()
            .insert(state, count);
    }
    Ok(by_push)
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn read_key(tenant: i64, device: &str, sequence: i64) -> Result<TargetKey, StorageError> {
    let row = Row::of("push_targets", device);
    Ok(TargetKey {
        tenant: row.column("tenant_id", TenantId::parse(tenant))?,
        device: row.column("device_id", DeviceId::parse(device))?,
        sequence,
    })
}

fn read(model: Model) -> Result<TargetRecord, StorageError> {
    let row = Row::of("push_targets", model.push_id);
    let channel = model.channel.as_deref().map(Channel::parse).transpose();
    Ok(TargetRecord {
        key: read_key(model.tenant_id, &model.device_id, model.sequence)?,
        push: PushId::from_uuid(model.push_id),
        project: row.column("project_id", ProjectId::parse(model.project_id))?,
        state: row.column("state", TargetState::parse(&model.state))?,
        open_until: model.open_until,
        channel: row.column("channel", channel)?,
        deliveries: model.deliveries,
        changed_at: model.changed_at,
        delivered_at: model.delivered_at,
        received_at: model.received_at,
        opened_at: model.opened_at,
        ended_at: model.ended_at,
        detail: row.column("detail", model.detail.map(PushDetail::parse).transpose())?,
    })
}
