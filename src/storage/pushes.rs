//! Pushes, and the records that reveal a repeated push.
//!
//! No check depends on them, so a plain [`Tx`] writes them.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};

use super::batch::ROWS;
use super::entity::push::{Column, Entity, Model};
use super::entity::{push_repeat, push_target};
use super::page::{SortBy, fetch_page};
use super::row::Row;
use super::{Db, Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::push::{Push, PushContent};
use slipway_domain::catalog::text::{MiniAppId, MiniAppType, PushAction, PushUrl, TraceId};

pub async fn insert(tx: &Tx, scope: TenantScope, push: &Push) -> Result<(), StorageError> {
    Entity::insert(write(scope, push).into_active_model())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: PushId,
) -> Result<Option<Push>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.uuid()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Returns those of these pushes that exist, in no particular order.
pub async fn find_many(
    reader: &impl Reader,
    scope: TenantScope,
    ids: &[PushId],
) -> Result<Vec<Push>, StorageError> {
    let mut found = Vec::new();
    for ids in ids.chunks(ROWS) {
        let rows = of_tenant(scope)
            .filter(Column::Id.is_in(ids.iter().map(|id| id.uuid())))
            .all(reader.connection())
            .await?;
        for row in rows {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

/// Lists the pushes of a tenant, newest first. With a trace id, the list contains only pushes that have it.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    trace_id: Option<&TraceId>,
    page: &PageRequest,
) -> Result<Page<Push>, StorageError> {
    let rows = of_tenant(scope).apply_if(trace_id, |rows, trace_id| {
        rows.filter(Column::TraceId.eq(trace_id.as_str()))
    });
    fetch_page(page, reader, rows, SortBy::Descending(Column::Id), |row| row.id)
        .await?
        .try_map(read)
}

/// Records a stored push for the detection of repeats.
///
/// Returns the push with the same digest and origin that was accepted less than `within` ago, if there is one. Of two
/// concurrent calls, the second waits here for the first to commit.
pub async fn record_repeat(
    tx: &Tx,
    scope: TenantScope,
    push: &Push,
    digest: &str,
    within: TimeDelta,
) -> Result<Option<PushId>, StorageError> {
    use push_repeat::{Column, Entity, Model};
    let row = Model {
        tenant_id: scope.tenant().get(),
        origin: push.origin.clone(),
        content_digest: digest.to_owned(),
        push_id: push.id.uuid(),
        accepted_at: in_micros(push.created_at),
    };
    let was_long_ago = Expr::col((Entity, Column::AcceptedAt)).lte(in_micros(push.created_at - within));
    let replace = OnConflict::columns([Column::TenantId, Column::Origin, Column::ContentDigest])
        .update_columns([Column::PushId, Column::AcceptedAt])
        .action_and_where(was_long_ago)
        .to_owned();
    let key = (row.tenant_id, row.origin.clone(), row.content_digest.clone());
    let inserted = Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx.connection())
        .await?;
    if inserted > 0 {
        return Ok(None);
    }
    let earlier = Entity::find_by_id(key).one(tx.connection()).await?;
    // Only housekeeping deletes these records, and it waits longer than that.
    let earlier = earlier.ok_or(StorageError::Changed)?;
    Ok(Some(PushId::from_uuid(earlier.push_id)))
}

/// Deletes the repeat records of pushes accepted before an instant and returns their number.
pub async fn delete_repeats_before(db: &Db, instant: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = push_repeat::Entity::delete_many()
        .filter(push_repeat::Column::AcceptedAt.lt(in_micros(instant)))
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}

/// Deletes up to `limit` pushes that expired before an instant, with their targets, and returns the number of pushes.
///
/// A push that is still open on a device is kept.
pub async fn delete_expired_before(db: &Db, instant: DateTime<Utc>, limit: u64) -> Result<u64, StorageError> {
    let is_of_push = Expr::col((push_target::Entity, push_target::Column::PushId))
        .equals((Entity, Column::Id))
        .and(
            Expr::col((push_target::Entity, push_target::Column::TenantId))
                .equals((Entity, Column::TenantId)),
        );
    let open_targets = Query::select()
        .expr(Expr::val(1))
        .from(push_target::Entity)
        .and_where(is_of_push)
        .and_where(push_target::Column::OpenUntil.is_not_null())
        .to_owned();
    let old = Entity::find()
        .select_only()
        .columns([Column::TenantId, Column::Id])
        .filter(Column::ExpiresAt.lt(in_micros(instant)))
        .filter(Expr::exists(open_targets).not())
        .order_by_asc(Column::ExpiresAt)
        .limit(limit)
        .into_query();
    // Targets are deleted with their push.
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Expr::tuple([Expr::col(Column::TenantId), Expr::col(Column::Id)]).in_subquery(old))
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn write(scope: TenantScope, push: &Push) -> Model {
    let content = &push.content;
    Model {
        tenant_id: scope.tenant().get(),
        id: push.id.uuid(),
        origin: push.origin.clone(),
        sender_name: push.sender_name.clone(),
        trace_id: content.trace_id.as_ref().map(ToString::to_string),
        action: content.action.to_string(),
        app_id: content.app_id.to_string(),
        app_type: content.app_type.to_string(),
        pack_url: content.pack_url.to_string(),
        source_url: content.source_url.as_ref().map(ToString::to_string),
        context: push.context.clone(),
        created_at: in_micros(push.created_at),
        expires_at: in_micros(push.expires_at),
    }
}

fn read(model: Model) -> Result<Push, StorageError> {
    let row = Row::of("pushes", model.id);
    Ok(Push {
        id: PushId::from_uuid(model.id),
        origin: model.origin,
        sender_name: model.sender_name,
        content: PushContent {
            action: row.column("action", PushAction::parse(model.action))?,
            app_id: row.column("app_id", MiniAppId::parse(model.app_id))?,
            app_type: row.column("app_type", MiniAppType::parse(model.app_type))?,
            pack_url: row.column("pack_url", PushUrl::parse(model.pack_url))?,
            source_url: row.column("source_url", model.source_url.map(PushUrl::parse).transpose())?,
            trace_id: row.column("trace_id", model.trace_id.map(TraceId::parse).transpose())?,
        },
        context: model.context,
        created_at: model.created_at,
        expires_at: model.expires_at,
    })
}
