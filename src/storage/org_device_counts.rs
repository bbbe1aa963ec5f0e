//! Numbers of devices at and below org nodes, as last counted. No check depends on them, so a plain [`Tx`] writes them.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::entity::adoption_count;
use super::entity::org_device_count::{Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::row::{Row, to_json};
use super::{Reader, StorageError, Tx, batch};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::node_devices::NodeDevices;
use slipway_domain::catalog::page::{Page, PageRequest};

/// Returns the time of the last count; `None` before the first.
pub async fn counted_at(
    reader: &impl Reader,
    scope: TenantScope,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    let row = adoption_count::Entity::find_by_id(scope.tenant().get())
        .one(reader.connection())
        .await?;
    Ok(row.and_then(|row| row.nodes_counted_at))
}

/// Returns the number of devices at and below a node. The empty path means all devices of the tenant.
pub async fn find(reader: &impl Reader, scope: TenantScope, path: &[String]) -> Result<u64, StorageError> {
    let (parent, code) = key_of(path);
    let row = Entity::find_by_id((scope.tenant().get(), parent, code))
        .one(reader.connection())
        .await?;
    Ok(row.map(read).transpose()?.map_or(0, |node| node.devices))
}

/// Returns the nodes with devices among these children of a node.
pub async fn find_children(
    reader: &impl Reader,
    scope: TenantScope,
    parent: &[String],
    codes: &[String],
) -> Result<Vec<NodeDevices>, StorageError> {
    let rows = children(scope, parent)
        .filter(Column::Code.is_in(codes))
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read).collect()
}

/// Lists the children of a node that have devices, by code.
pub async fn list_children(
    reader: &impl Reader,
    scope: TenantScope,
    parent: &[String],
    page: &PageRequest,
) -> Result<Page<NodeDevices>, StorageError> {
    let rows = children(scope, parent);
    fetch_page(page, reader, rows, SortBy::Ascending(Column::Code), |row| {
        row.code.clone()
    })
    .await?
    .try_map(read)
}

/// Lists up to `limit` nodes that follow the node `after`, in the order of their keys.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    after: Option<&[String]>,
    limit: u64,
) -> Result<Vec<NodeDevices>, StorageError> {
    let follows = |last: &[String]| {
        let (parent, code) = key_of(last);
        let of_same_parent = Condition::all()
            .add(Column::Parent.eq(parent.as_str()))
            .add(Column::Code.gt(code));
        Condition::any()
            .add(Column::Parent.gt(parent))
            .add(of_same_parent)
    };
    let rows = of_tenant(scope)
        .apply_if(after, |rows, last| rows.filter(follows(last)))
        .order_by_asc(Column::Parent)
        .order_by_asc(Column::Code)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read).collect()
}

/// Writes numbers over the stored ones.
pub async fn upsert(tx: &Tx, scope: TenantScope, nodes: &[NodeDevices]) -> Result<(), StorageError> {
    let overwrite = OnConflict::columns([Column::TenantId, Column::Parent, Column::Code])
        .update_column(Column::Devices)
        .to_owned();
    let mut rows: Vec<_> = nodes.iter().map(|node| write(scope, node)).collect();
    rows.sort_unstable_by(|a, b| (&a.parent, &a.code).cmp(&(&b.parent, &b.code)));
    batch::upsert::<Entity>(tx, rows, &overwrite).await
}

/// Deletes the numbers of nodes.
pub async fn delete(tx: &Tx, scope: TenantScope, nodes: &[NodeDevices]) -> Result<(), StorageError> {
    for siblings in nodes.chunk_by(|a, b| key_of(&a.path).0 == key_of(&b.path).0) {
        let codes = siblings.iter().map(|node| key_of(&node.path).1);
        let Some((parent, _)) = siblings.first().map(|node| key_of(&node.path)) else {
            continue;
        };
        Entity::delete_many()
            .filter(Column::TenantId.eq(scope.tenant().get()))
            .filter(Column::Parent.eq(parent))
            .filter(Column::Code.is_in(codes))
            .exec(tx.connection())
            .await?;
    }
    Ok(())
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn children(scope: TenantScope, parent: &[String]) -> Select<Entity> {
    of_tenant(scope).filter(Column::Parent.eq(to_json(&parent)))
}

/// Returns the parent of a node as JSON, and the node's own code.
fn key_of(path: &[String]) -> (String, String) {
    match path.split_last() {
        Some((code, parent)) => (to_json(&parent), code.clone()),
        None => (String::new(), String::new()),
    }
}

fn write(scope: TenantScope, node: &NodeDevices) -> Model {
    let (parent, code) = key_of(&node.path);
    Model {
        tenant_id: scope.tenant().get(),
        parent,
        code,
        devices: i64::try_from(node.devices).unwrap_or(i64::MAX),
    }
}

fn read(model: Model) -> Result<NodeDevices, StorageError> {
    let row = Row::of("org_device_counts", &model.code);
    let mut path: Vec<String> = Vec::new();
    if !model.parent.is_empty() {
        path = row.column("parent", serde_json::from_str(&model.parent))?;
        path.push(model.code.clone());
    }
    Ok(NodeDevices {
        path,
        devices: row.column("devices", u64::try_from(model.devices))?,
    })
}
