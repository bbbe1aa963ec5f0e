//! Audit log: the actor, the time, and the state before and after each change.
//!
//! An event is written in the transaction of its change and never altered.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    QueryTrait, Select,
};

use super::entity::audit_event::{Column, Entity, Model};
use super::page::{SortBy, fetch_large_page};
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
    let rows = Entity::find().filter(Column::TenantId.eq(scope.tenant().get()));
    let rows = filtered(rows, filter);
    fetch_large_page(page, reader, rows, SortBy::Descending(Column::Id), |row| row.id)
        .await?
        .try_map(read)
}

/// Lists the events that belong to no tenant, newest first.
pub async fn list_platform(
    reader: &impl Reader,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>, StorageError> {
    let rows = filtered(Entity::find().filter(Column::TenantId.is_null()), filter);
    fetch_large_page(page, reader, rows, SortBy::Descending(Column::Id), |row| row.id)
        .await?
        .try_map(read)
}

fn filtered(rows: Select<Entity>, filter: &AuditFilter) -> Select<Entity> {
    let AuditFilter {
        actor,
        actor_name,
        action,
        object_type,
        object_id,
        from,
        until,
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
    .apply_if(*from, |rows, from| rows.filter(Column::At.gte(from)))
    .apply_if(*until, |rows, until| rows.filter(Column::At.lt(until)))
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
