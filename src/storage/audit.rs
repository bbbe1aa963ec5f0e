//! Audit log: the actor, the time, and the state before and after each change.
//!
//! An event is written in the transaction of its change and never altered.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::entity::audit_event::{Column, Entity, Model};
use super::page::{SortBy, fetch_found_page, fetch_large_page};
use super::reader::finds_more_than;
use super::row::Row;
use super::statements::QueuedWrite;
use super::{Reader, StorageError, Writer};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{AuditId, TenantId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::page::{Page, PageRequest};

/// Maximum number of events that a page with a period sorts. The index of times has all that it reads.
const SORTED: u64 = 50_000;
/// The same with other conditions, for which each event is read.
const READ_AND_SORTED: u64 = 10_000;
/// Columns of filters and of the order.
const FILTERED: [Column; 7] = [
    Column::Id,
    Column::At,
    Column::ActorKey,
    Column::ActorName,
    Column::Action,
    Column::ObjectType,
    Column::ObjectId,
];

/// Queues the insertion of an event.
pub fn insert(writer: &impl Writer, event: AuditEvent) {
    let row = Model {
        id: event.id.uuid(),
        tenant_id: event.tenant.map(TenantId::get),
        at: in_micros(event.at),
        actor_key: event.actor_key,
        actor_name: event.actor_name,
        action: event.action,
        object_type: event.object_type,
        object_id: event.object_id,
        before: event.before.map(JsonText::into_string),
        after: event.after.map(JsonText::into_string),
        request_id: event.request_id,
    };
    writer.queue(QueuedWrite {
        statement: Entity::insert(row.into_active_model()).build(writer.connection().get_database_backend()),
        key: None,
        if_unchanged: None,
    });
}

/// Lists the events of a tenant, newest first.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, StorageError> {
    let all = Entity::find().filter(Column::TenantId.eq(scope.tenant().get()));
    list_filtered(reader, all, filter, page).await
}

/// Lists the events that belong to no tenant, newest first.
pub async fn list_platform(
    reader: &impl Reader,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, StorageError> {
    let all = Entity::find().filter(Column::TenantId.is_null());
    list_filtered(reader, all, filter, page).await
}

async fn list_filtered(
    reader: &impl Reader,
    all: Select<Entity>,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, StorageError> {
    let sort_by = SortBy::Descending(Column::Id);
    let found = if filter.from.is_none() && filter.until.is_none() {
        fetch_large_page(page, reader, filtered(all, filter), sort_by, |row| row.id).await?
    } else {
        let found = select_in_period(reader, &all, filter).await?;
        fetch_found_page(page, reader, found, all, sort_by, |row| row.id).await?
    };
    found.try_map(read)
}

/// Selects the events that match a filter with a period.
///
/// Events of a short period are collected with an index and sorted. Those of a long one are found in the order of their
/// ids.
async fn select_in_period(
    reader: &impl Reader,
    all: &Select<Entity>,
    filter: &AuditFilter,
) -> Result<Select<Entity>, StorageError> {
    let AuditFilter { from, until, .. } = filter;
    let has_only_period = *filter
        == AuditFilter {
            from: *from,
            until: *until,
            ..AuditFilter::default()
        };
    let limit = if has_only_period { SORTED } else { READ_AND_SORTED };
    let in_period = all
        .clone()
        .apply_if(*from, |rows, from| rows.filter(Column::At.gte(from)))
        .apply_if(*until, |rows, until| rows.filter(Column::At.lt(until)))
        .select_only();
    let in_order = in_period.clone().column(Column::Id).order_by_asc(Column::At);
    if finds_more_than(reader, in_order.into_query(), limit).await? {
        // SQLite would use the index of times and sort all of them. An expression has no index.
        let at = || {
            Expr::cust(match reader.connection().get_database_backend() {
                DbBackend::Postgres => r#""audit_events"."at""#,
                _ => r#"+"audit_events"."at""#,
            })
        };
        return Ok(filtered(all.clone(), filter)
            .apply_if(*from, |rows, from| rows.filter(at().gte(from)))
            .apply_if(*until, |rows, until| rows.filter(at().lt(until))));
    }
    // The limit keeps the other conditions out of the inner query, which therefore uses the index of times.
    let in_period = in_period.columns(FILTERED).limit(i64::MAX.unsigned_abs());
    let mut found = filtered(Entity::find(), filter);
    QuerySelect::query(&mut found)
        .from_clear()
        .from_subquery(in_period.into_query(), Entity);
    Ok(found)
}

/// Adds the conditions of a filter except its period.
fn filtered(rows: Select<Entity>, filter: &AuditFilter) -> Select<Entity> {
    let AuditFilter {
        actor,
        actor_name,
        action,
        object_type,
        object_id,
        ..
    } = filter;
    rows.apply_if(actor.as_deref(), |rows, actor| {
        rows.filter(Column::ActorKey.eq(actor))
    })
    .apply_if(actor_name.as_deref(), |rows, name| {
        rows.filter(Column::ActorName.eq(name))
    })
    .apply_if(action.as_deref(), |rows, action| {
        rows.filter(Column::Action.eq(action))
    })
    .apply_if(object_type.as_deref(), |rows, kind| {
        rows.filter(Column::ObjectType.eq(kind))
    })
    .apply_if(object_id.as_deref(), |rows, id| {
        rows.filter(Column::ObjectId.eq(id))
    })
}

/// Counts those of these package names whose deletion is in the audit log.
pub(super) async fn count_deleted_apps(
    reader: &impl Reader,
    scope: TenantScope,
    package_names: &[String],
) -> Result<u64, StorageError> {
    let deleted = Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Action.eq(AuditAction::AppDelete.as_str()))
        .filter(Column::ObjectId.is_in(package_names))
        .select_only()
        .column(Column::ObjectId)
        .distinct();
    Ok(deleted.count(reader.connection()).await?)
}

fn read(model: Model) -> Result<AuditEvent, StorageError> {
    let row = Row::of("audit_events", model.id);
    let json = |text: Option<String>| text.map(JsonText::checked).transpose();
    Ok(AuditEvent {
        id: AuditId::from_uuid(model.id),
        tenant: row.column("tenant_id", model.tenant_id.map(TenantId::parse).transpose())?,
        at: model.at,
        actor_key: model.actor_key,
        actor_name: model.actor_name,
        action: model.action,
        object_type: model.object_type,
        object_id: model.object_id,
        before: row.column("before", json(model.before))?,
        after: row.column("after", json(model.after))?,
        request_id: model.request_id,
    })
}
