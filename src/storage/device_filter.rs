//! Filters of device lists.
//!
//! The devices that match an org node or an install are found in one of two ways, so that a page costs the same however
//! many devices the tenant has. Few matches are collected with an index and sorted. Among many, the list soon comes to
//! enough matches for a page, so that each of its devices is tested in turn.

use sea_orm::sea_query::{Expr, Func, SimpleExpr, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};
use uuid::Uuid;

use super::device_installs::{self, FEW, devices_with, has_install};
use super::entity::device::{Column, Entity};
use super::reader::finds_more_than;
use super::row::to_json;
use super::{Reader, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::device::DeviceFilter;
use slipway_domain::catalog::install::InstallFilter;
use slipway_domain::catalog::org::OrgScope;

/// Number of characters of the places that `devices_place_idx` has.
const INDEXED_CHARACTERS: usize = 200;

/// Selects the devices that match a filter. `nodes` are the running nodes.
pub(super) async fn select(
    reader: &impl Reader,
    scope: TenantScope,
    filter: &DeviceFilter<'_>,
    nodes: &[Uuid],
) -> Result<Select<Entity>, StorageError> {
    let mut rows = of_tenant(scope)
        .apply_if(filter.project, |rows, project| {
            rows.filter(Column::ProjectId.eq(project.as_str()))
        })
        .apply_if(filter.device_type, |rows, device_type| {
            rows.filter(Column::DeviceType.eq(device_type.as_str()))
        })
        .apply_if(filter.is_connected, |rows, is_connected| {
            rows.filter(is_so_connected(is_connected, nodes))
        });
    if let Some(org) = filter.org {
        rows = rows.filter(is_below(reader, scope, org).await?);
    }
    if let Some(install) = &filter.install {
        rows = rows.filter(has(reader, scope, install).await?);
    }
    Ok(rows)
}

pub(super) fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

/// Matches devices with an install.
async fn has(
    reader: &impl Reader,
    scope: TenantScope,
    install: &InstallFilter<'_>,
) -> Result<SimpleExpr, StorageError> {
    Ok(if device_installs::are_few(reader, scope, install).await? {
        Column::DeviceId.in_subquery(devices_with(scope, install))
    } else {
        Expr::exists(has_install(
            reader.connection().get_database_backend(),
            scope,
            install,
        ))
    })
}

/// Matches devices at or below an org node by the serialized beginning of their membership.
///
/// The stored JSON contains the codes in the order of their levels and without spaces. No text inside it can contain an
/// unescaped quote.
async fn is_below(
    reader: &impl Reader,
    scope: TenantScope,
    org: &OrgScope,
) -> Result<SimpleExpr, StorageError> {
    let backend = reader.connection().get_database_backend();
    let mut beginning = to_json(org);
    beginning.pop();
    let is_below = contains(backend, &beginning);
    let (place, indexed) = (first_place(backend), format!("[{beginning}"));
    let indexed: String = indexed.chars().take(INDEXED_CHARACTERS).collect();
    // A comma or a brace follows the beginning. Both are less than a tilde.
    let beyond = format!("{indexed}~");
    let ids = |rows: Select<Entity>| rows.select_only().column(Column::DeviceId).into_query();
    let of_first = of_tenant(scope)
        .filter(place.clone().gte(indexed))
        .filter(place.clone().lt(beyond));
    let in_order = ids(of_first.clone().order_by_asc(place));
    if finds_more_than(reader, in_order, FEW).await? {
        return Ok(is_below);
    }
    let of_others = of_tenant(scope)
        .filter(Expr::cust(SEVERAL_PLACES))
        .filter(is_below.clone());
    let mut found = ids(of_first.filter(is_below));
    found.union(UnionType::All, ids(of_others));
    Ok(Column::DeviceId.in_subquery(found))
}

/// Condition of `devices_places_idx`.
const SEVERAL_PLACES: &str = r#""devices"."org_info" LIKE '%},{%'"#;

/// Returns the expression of `devices_place_idx`.
fn first_place(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => r#"(substr("devices"."org_info", 1, 200) COLLATE "C")"#,
        _ => r#"substr("devices"."org_info", 1, 200)"#,
    })
}

fn contains(backend: DbBackend, beginning: &str) -> SimpleExpr {
    let position = match backend {
        DbBackend::Postgres => "strpos",
        _ => "instr",
    };
    let position = Func::cust(position).arg(Expr::col((Entity, Column::OrgInfo)));
    Expr::expr(position.arg(Expr::value(beginning))).gt(0)
}

fn is_so_connected(is_connected: bool, nodes: &[Uuid]) -> SimpleExpr {
    let nodes = nodes.iter().copied();
    if is_connected {
        return Column::ConnectedNode.is_in(nodes);
    }
    let is_elsewhere = Column::ConnectedNode.is_not_in(nodes);
    Column::ConnectedNode.is_null().or(is_elsewhere)
}
