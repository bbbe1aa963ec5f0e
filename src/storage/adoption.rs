//! Adoption of the versions of resources: one row for each resource and day.

use std::collections::{BTreeSet, HashSet};

use chrono::NaiveDate;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait as _, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
};

use super::entity::adoption_day::{Column, Entity, Model};
use super::entity::app;
use super::reader::Connection as _;
use super::row::{Row, models, to_json};
use super::{Db, Reader, StorageError, Tx, batch};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::adoption::{AdoptionCounts, DailyAdoption, ResourceDay, VersionDevices};
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;

/// Days of one app's resources.
#[derive(Debug, Clone, Copy)]
pub struct HistorySelection<'a> {
    pub app: AppId,
    pub identifiers: &'a [Identifier],
    pub from: NaiveDate,
    /// The last day, included.
    pub to: NaiveDate,
}

/// Lists days of resources, ordered by identifier and day.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    of: HistorySelection<'_>,
) -> Result<Vec<ResourceDay>, StorageError> {
    let connection = reader.connection();
    // For a list of identifiers, PostgreSQL may read the days of all resources of the app.
    let of_resource = |identifier: &&str| {
        of_tenant(scope)
            .filter(Column::AppId.eq(of.app.uuid()))
            .filter(Column::Identifier.eq(*identifier))
            .filter(Column::Day.between(of.from, of.to))
            .order_by_asc(Column::Day)
            .build(connection.get_database_backend())
    };
    let identifiers: BTreeSet<_> = of.identifiers.iter().map(Identifier::as_str).collect();
    let queries = identifiers.iter().map(of_resource).collect();
    let mut days = Vec::new();
    for rows in connection.query_together(queries).await? {
        for row in models(&rows)? {
            days.push(read(row)?);
        }
    }
    Ok(days)
}

/// Lists up to `limit` resources of a day that follow the resource `after`, ordered by app and identifier.
pub async fn list_of_day(
    reader: &impl Reader,
    scope: TenantScope,
    day: NaiveDate,
    after: Option<&ResourceDay>,
    limit: u64,
) -> Result<Vec<ResourceDay>, StorageError> {
    let follows = |last: &ResourceDay| {
        let of_next_app = Condition::all().add(Column::AppId.gt(last.app.uuid()));
        let of_same_app = Condition::all()
            .add(Column::AppId.eq(last.app.uuid()))
            .add(Column::Identifier.gt(last.identifier.as_str()));
        Condition::any().add(of_next_app).add(of_same_app)
    };
    let rows = of_tenant(scope)
        .filter(Column::Day.eq(day))
        .apply_if(after, |rows, last| rows.filter(follows(last)))
        .order_by_asc(Column::AppId)
        .order_by_asc(Column::Identifier)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read).collect()
}

/// Writes days over the stored ones. Days of apps that no longer exist are omitted.
pub async fn upsert(tx: &Tx, scope: TenantScope, days: &[ResourceDay]) -> Result<(), StorageError> {
    let apps = existing_apps(tx, scope, days).await?;
    let overwrite = OnConflict::columns([Column::TenantId, Column::AppId, Column::Identifier, Column::Day])
        .update_columns([Column::Versions, Column::Others])
        .to_owned();
    let rows = days
        .iter()
        .filter(|day| apps.contains(&day.app.uuid()))
        .map(|day| write(scope, day));
    batch::upsert::<Entity>(tx, rows, &overwrite).await
}

async fn existing_apps(
    reader: &impl Reader,
    scope: TenantScope,
    days: &[ResourceDay],
) -> Result<HashSet<Uuid>, StorageError> {
    let named: HashSet<_> = days.iter().map(|day| day.app.uuid()).collect();
    let found: Vec<Uuid> = app::Entity::find()
        .filter(app::Column::TenantId.eq(scope.tenant().get()))
        .filter(app::Column::Id.is_in(named))
        .select_only()
        .column(app::Column::Id)
        .into_tuple()
        .all(reader.connection())
        .await?;
    Ok(found.into_iter().collect())
}

/// Deletes one day of a resource.
pub async fn delete(tx: &Tx, scope: TenantScope, day: &ResourceDay) -> Result<(), StorageError> {
    Entity::delete_many()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::AppId.eq(day.app.uuid()))
        .filter(Column::Identifier.eq(day.identifier.as_str()))
        .filter(Column::Day.eq(day.adoption.day))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Deletes up to `limit` days of all tenants before a day and returns their number.
pub async fn delete_before(db: &Db, day: NaiveDate, limit: u64) -> Result<u64, StorageError> {
    let old = Entity::find()
        .filter(Column::Day.lt(day))
        .order_by_asc(Column::Day)
        .limit(limit);
    let write = db.begin_single_write().await?;
    let deleted = delete_selected(old).exec(write.connection()).await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}

/// Deletes up to `limit` days of a deleted app and returns their number.
pub(super) async fn delete_of_app(tx: &Tx, tenant: i64, app: Uuid, limit: u64) -> Result<u64, StorageError> {
    let of_app = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AppId.eq(app))
        .limit(limit);
    let deleted = delete_selected(of_app).exec(tx.connection()).await?;
    Ok(deleted.rows_affected)
}

fn delete_selected(selected: Select<Entity>) -> sea_orm::DeleteMany<Entity> {
    const KEY: [Column; 4] = [Column::TenantId, Column::AppId, Column::Identifier, Column::Day];
    let keys = selected.select_only().columns(KEY).into_query();
    Entity::delete_many().filter(Expr::tuple(KEY.map(Expr::col)).in_subquery(keys))
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn write(scope: TenantScope, day: &ResourceDay) -> Model {
    let counts = &day.adoption.counts;
    let versions: Vec<_> = counts
        .versions
        .iter()
        .map(|count| (count.version_code.get(), count.devices))
        .collect();
    Model {
        tenant_id: scope.tenant().get(),
        app_id: day.app.uuid(),
        identifier: day.identifier.as_str().to_owned(),
        day: day.adoption.day,
        versions: to_json(&versions),
        others: i64::try_from(counts.others).unwrap_or(i64::MAX),
    }
}

fn read(model: Model) -> Result<ResourceDay, StorageError> {
    let row = Row::of("adoption_days", model.app_id);
    let stored: Vec<(i64, u64)> = row.column("versions", serde_json::from_str(&model.versions))?;
    let version = |(version, devices): (i64, u64)| {
        Ok(VersionDevices {
            version_code: row.column("versions", VersionCode::new(version))?,
            devices,
        })
    };
    let counts = AdoptionCounts {
        versions: stored
            .into_iter()
            .map(version)
            .collect::<Result<_, StorageError>>()?,
        others: row.column("others", u64::try_from(model.others))?,
    };
    Ok(ResourceDay {
        app: AppId::from_uuid(model.app_id),
        identifier: row.column("identifier", Identifier::parse(model.identifier))?,
        adoption: DailyAdoption {
            day: model.day,
            counts,
        },
    })
}
