//! State changes of a target after it was queued.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{CaseStatement, Expr, OnConflict, SimpleExpr};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QuerySelect};

use super::lock::{KEY, is_one_of, lock, lock_due, of_model, when};
use super::tracking::with_pushes;
use super::{ActiveModel, Column, Entity, Model, read};
use crate::storage::batch::{ROWS, upsert};
use crate::storage::connect::with_load_timeout;
use crate::storage::{Db, Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::push::{Acknowledgement, Channel, Push, TargetKey, TargetRecord, TargetState};
use slipway_domain::catalog::text::{DeviceId, PushDetail};

/// Result of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgementResult {
    /// State before the acknowledgement.
    pub before: TargetState,
    /// Target after the acknowledgement.
    pub target: TargetRecord,
}

/// Records a device's acknowledgement of a push. Returns `None` if the device has no such push.
///
/// A repeated acknowledgement changes nothing. Any acknowledgement ends the delivery. It also replaces the state of a
/// target that had expired or was withdrawn.
pub async fn acknowledge(
    tx: &Tx,
    scope: TenantScope,
    device: &DeviceId,
    push: PushId,
    said: Acknowledgement,
    detail: Option<PushDetail>,
    now: DateTime<Utc>,
) -> Result<Option<AcknowledgementResult>, StorageError> {
    let is_it = Condition::all()
        .add(Column::PushId.eq(push.uuid()))
        .add(Column::TenantId.eq(scope.tenant().get()))
        .add(Column::DeviceId.eq(device.as_str()));
    let Some(model) = lock(tx, is_it).await?.into_iter().next() else {
        return Ok(None);
    };
    let stored = read(model)?;
    let before = stored.state;
    let state = before.after_acknowledgement(said);
    if state == before {
        let target = stored;
        return Ok(Some(AcknowledgementResult { before, target }));
    }
    let now = in_micros(now);
    let received_at = stored.received_at.unwrap_or(now);
    let target = TargetRecord {
        state,
        open_until: None,
        changed_at: now,
        // The delivery may have been written while this call waited for the lock.
        delivered_at: stored.delivered_at.map(|at| Ord::min(at, received_at)),
        received_at: Some(received_at),
        opened_at: stored
            .opened_at
            .or((said == Acknowledgement::Opened).then_some(now)),
        ended_at: said.is_final().then_some(now),
        detail: detail.or(stored.detail),
        ..stored
    };
    write_acknowledged(tx, &target).await?;
    Ok(Some(AcknowledgementResult { before, target }))
}

async fn write_acknowledged(tx: &Tx, target: &TargetRecord) -> Result<(), StorageError> {
    let row = ActiveModel {
        tenant_id: Set(target.key.tenant.get()),
        device_id: Set(target.key.device.as_str().to_owned()),
        sequence: Set(target.key.sequence),
        state: Set(target.state.as_str().to_owned()),
        open_until: Set(None),
        mqtt_due_at: Set(None),
        changed_at: Set(target.changed_at),
        delivered_at: Set(target.delivered_at),
        received_at: Set(target.received_at),
        opened_at: Set(target.opened_at),
        ended_at: Set(target.ended_at),
        detail: Set(target.detail.as_ref().map(ToString::to_string)),
        ..Default::default()
    };
    Entity::update(row)
        .validate()?
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Returns the targets of a push by device id, bytewise, and locks them against all other writers.
pub async fn lock_of_push(
    tx: &Tx,
    scope: TenantScope,
    push: PushId,
) -> Result<Vec<TargetRecord>, StorageError> {
    let is_of_push = Condition::all()
        .add(Column::PushId.eq(push.uuid()))
        .add(Column::TenantId.eq(scope.tenant().get()));
    lock(tx, is_of_push).await?.into_iter().map(read).collect()
}

/// Withdraws a push from the targets that it was not delivered to yet, and returns these targets.
pub async fn withdraw(
    tx: &Tx,
    scope: TenantScope,
    push: PushId,
    now: DateTime<Utc>,
) -> Result<Vec<TargetKey>, StorageError> {
    let is_queued = Condition::all()
        .add(Column::PushId.eq(push.uuid()))
        .add(Column::TenantId.eq(scope.tenant().get()))
        .add(Column::State.eq(TargetState::Queued.as_str()));
    let rows = lock(tx, is_queued).await?;
    end(tx, &rows, TargetState::Withdrawn, now).await
}

/// Expires up to `limit` overdue targets and returns them. Every node may call this at any time.
pub async fn expire_due(db: &Db, now: DateTime<Utc>, limit: u64) -> Result<Vec<TargetKey>, StorageError> {
    let now = in_micros(now);
    let is_due = || is_due(Column::OpenUntil, now);
    if !is_any(db, is_due()).await? {
        return Ok(Vec::new());
    }
    let tx = db.begin().await?;
    let rows = lock_due(&tx, Column::OpenUntil, is_due(), limit).await?;
    let expired = end(&tx, &rows, TargetState::Expired, now).await?;
    tx.commit().await?;
    Ok(expired)
}

/// Ends rows that are already locked.
async fn end(
    tx: &Tx,
    rows: &[Model],
    state: TargetState,
    now: DateTime<Utc>,
) -> Result<Vec<TargetKey>, StorageError> {
    let keys: Vec<_> = rows.iter().map(of_model).collect::<Result<_, _>>()?;
    let now = in_micros(now);
    for keys in keys.chunks(ROWS) {
        Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .col_expr(Column::OpenUntil, nothing())
            .col_expr(Column::MqttDueAt, nothing())
            .col_expr(Column::ChangedAt, Expr::value(now))
            .col_expr(Column::EndedAt, Expr::value(now))
            .filter(is_one_of(keys))
            .exec(tx.connection())
            .await?;
    }
    Ok(keys)
}

/// Target that one node is to publish to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedTarget {
    pub target: TargetRecord,
    pub push: Push,
    /// Time of the next publication.
    pub next_due_at: DateTime<Utc>,
}

/// Result of a claim.
#[derive(Debug, Default)]
pub struct Claim {
    pub claimed: Vec<ClaimedTarget>,
    /// Number of targets that cannot be read or lack their push. They are no longer due, so that they delay no others.
    pub set_aside: usize,
}

/// Claims up to `limit` due targets with their pushes for the caller, which publishes them to the broker.
///
/// No other node gets a claimed target before its `next_due_at`, the time of its next publication. The call is
/// cancelled after some seconds, so that a half-open connection does not block delivery for long.
pub async fn claim_due_for_mqtt(
    db: &Db,
    now: DateTime<Utc>,
    next_due_at: impl Fn(&TargetRecord, &Push) -> DateTime<Utc>,
    limit: u64,
) -> Result<Claim, StorageError> {
    with_load_timeout(claim(db, now, next_due_at, limit)).await
}

async fn claim(
    db: &Db,
    now: DateTime<Utc>,
    next_due_at: impl Fn(&TargetRecord, &Push) -> DateTime<Utc>,
    limit: u64,
) -> Result<Claim, StorageError> {
    let is_due = || is_due(Column::MqttDueAt, in_micros(now));
    if !is_any(db, is_due()).await? {
        return Ok(Claim::default());
    }
    let tx = db.begin().await?;
    let rows = lock_due(&tx, Column::MqttDueAt, is_due(), limit).await?;
    let mut targets: Vec<_> = rows.iter().filter_map(|row| read(row.clone()).ok()).collect();
    targets.sort_by(|one, other| one.key.cmp(&other.key));
    let mut claimed = Vec::with_capacity(targets.len());
    for of_tenant in targets.chunk_by(|one, other| one.key.tenant == other.key.tenant) {
        let scope = TenantScope::internal(of_tenant[0].key.tenant);
        let with_pushes = with_pushes(&tx, scope, of_tenant.to_vec()).await?;
        claimed.extend(with_pushes.into_iter().map(|(target, push)| ClaimedTarget {
            next_due_at: in_micros(next_due_at(&target, &push)),
            target,
            push,
        }));
    }
    let set_aside = rows.len() - claimed.len();
    write_mqtt_due_at(&tx, rows, &claimed).await?;
    tx.commit().await?;
    Ok(Claim { claimed, set_aside })
}

/// Writes `mqtt_due_at` of locked rows: the next publication of claimed targets, and null for the others.
///
/// Each row has its own value. An insert that always conflicts does this in one statement on both databases.
async fn write_mqtt_due_at(tx: &Tx, rows: Vec<Model>, claimed: &[ClaimedTarget]) -> Result<(), StorageError> {
    let next_due_at: HashMap<_, _> = claimed
        .iter()
        .map(|claimed| (&claimed.target.key, claimed.next_due_at))
        .collect();
    let rows = rows.into_iter().map(|row| {
        let key = of_model(&row).ok();
        Model {
            mqtt_due_at: key.and_then(|key| next_due_at.get(&key).copied()),
            ..row
        }
    });
    let overwrite = OnConflict::columns(KEY)
        .update_column(Column::MqttDueAt)
        .to_owned();
    upsert::<Entity>(tx, rows, &overwrite).await
}

/// Releases claimed targets that could not be published. Targets that are still open become due immediately.
///
/// The call is cancelled after some seconds, like a claim.
pub async fn release_for_mqtt(db: &Db, keys: &[TargetKey], now: DateTime<Utc>) -> Result<(), StorageError> {
    with_load_timeout(release(db, keys, now)).await
}

async fn release(db: &Db, keys: &[TargetKey], now: DateTime<Utc>) -> Result<(), StorageError> {
    let tx = db.begin().await?;
    for keys in keys.chunks(ROWS) {
        let still_open = when(is_one_of(keys)).add(Column::MqttDueAt.is_not_null());
        lock(&tx, still_open.clone()).await?;
        Entity::update_many()
            .col_expr(Column::MqttDueAt, Expr::value(in_micros(now)))
            .filter(still_open)
            .exec(tx.connection())
            .await?;
    }
    tx.commit().await
}

/// Records that targets were handed to a channel at or before an instant.
///
/// A target that was acknowledged, was withdrawn or has expired meanwhile keeps its state. The time of an earlier
/// acknowledgement becomes the time of its delivery.
pub async fn mark_delivered(
    tx: &Tx,
    targets: &[(Channel, Vec<TargetKey>)],
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    // All rows are locked first, in the order of their keys, so that nodes do not wait for each other.
    for keys in sorted(targets.iter().flat_map(|(_, keys)| keys)).chunks(ROWS) {
        lock(tx, when(is_one_of(keys))).await?;
    }
    for (channel, keys) in targets {
        for keys in sorted(keys).chunks(ROWS) {
            mark_locked(tx, keys, *channel, in_micros(at)).await?;
        }
    }
    Ok(())
}

fn sorted<'a>(keys: impl IntoIterator<Item = &'a TargetKey>) -> Vec<TargetKey> {
    let mut keys: Vec<_> = keys.into_iter().cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

async fn mark_locked(
    tx: &Tx,
    keys: &[TargetKey],
    channel: Channel,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let delivered_at = CaseStatement::new()
        .case(Column::ReceivedAt.lt(at), Expr::col(Column::ReceivedAt))
        .finally(Expr::value(at));
    Entity::update_many()
        .col_expr(Column::State, state_after_delivery())
        .col_expr(Column::Channel, Expr::value(channel.as_str()))
        .col_expr(Column::Deliveries, Expr::col(Column::Deliveries).add(1))
        .col_expr(Column::DeliveredAt, delivered_at.into())
        .col_expr(Column::ChangedAt, Expr::value(at))
        .filter(is_one_of(keys))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Returns [`TargetState::after_delivery`] of the stored state as an expression.
fn state_after_delivery() -> SimpleExpr {
    CaseStatement::new()
        .case(
            Column::State.eq(TargetState::Queued.as_str()),
            Expr::value(TargetState::Queued.after_delivery().as_str()),
        )
        .finally(Expr::col(Column::State))
        .into()
}

fn is_due(column: Column, now: DateTime<Utc>) -> SimpleExpr {
    // The first condition enables the partial index.
    column.is_not_null().and(column.lte(now))
}

/// Checks for rows before a transaction begins, because on SQLite a transaction stops every writer.
async fn is_any(db: &Db, condition: SimpleExpr) -> Result<bool, StorageError> {
    let any: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Sequence)
        .filter(condition)
        .limit(1)
        .into_tuple()
        .one(db.connection())
        .await?;
    Ok(any.is_some())
}

fn nothing() -> SimpleExpr {
    Expr::value(None::<DateTime<Utc>>)
}
