//! Numbers of devices by version and by org places.
//!
//! Triggers keep them with each write of a device, so that the cost of a count does not grow with the devices. On SQLite,
//! which has one writer, they write the numbers. On PostgreSQL they append changes, which [`apply_changes`] adds to the
//! numbers: writers would wait for each other at a row with a number.

use chrono::NaiveDate;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait as _, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Statement,
};

use super::entity::{install_count, place_count};
use super::row::Row;
use super::{Backend, Db, ReadTx, Reader, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::device::OrgInfo;
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::install::VersionCount;
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;

/// Adds the oldest changes to the numbers of installs and removes them. Of two programs that do this at once, the later
/// one finds no change.
const APPLY_INSTALLS_SQL: &str = "WITH taken AS (DELETE FROM install_count_changes WHERE id IN \
     (SELECT id FROM install_count_changes ORDER BY id LIMIT $1) RETURNING *), \
     added AS (INSERT INTO install_counts (tenant_id, app_id, identifier, version_code, seen_on, devices) \
     SELECT tenant_id, app_id, identifier, version_code, seen_on, sum(devices) FROM taken \
     GROUP BY tenant_id, app_id, identifier, version_code, seen_on HAVING sum(devices) <> 0 \
     ON CONFLICT (tenant_id, app_id, identifier, version_code, seen_on) \
     DO UPDATE SET devices = install_counts.devices + excluded.devices) \
     SELECT count(*) AS it FROM taken";
/// The same for places.
const APPLY_PLACES_SQL: &str = "WITH taken AS (DELETE FROM place_count_changes WHERE id IN \
     (SELECT id FROM place_count_changes ORDER BY id LIMIT $1) RETURNING *), \
     added AS (INSERT INTO place_counts (tenant_id, places, devices) \
     SELECT tenant_id, places, sum(devices) FROM taken GROUP BY tenant_id, places HAVING sum(devices) <> 0 \
     ON CONFLICT (tenant_id, md5(places)) DO UPDATE SET devices = place_counts.devices + excluded.devices) \
     SELECT count(*) AS it FROM taken";

/// Makes this transaction read pages in the order of their index: without statistics, PostgreSQL would sort all rows for
/// each page.
const BY_INDEX_SQL: &str = "SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), \
     set_config('enable_seqscan', 'off', true)";

/// Number of devices on a version of an app's resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppVersionCount {
    pub app: AppId,
    pub count: VersionCount,
}

/// Devices with the same places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceCount {
    /// Position in the list of all.
    pub id: i64,
    pub places: Option<OrgInfo>,
    pub devices: u64,
}

/// Adds up to `limit` changes of each kind to the numbers. Returns `true` if there may be more.
pub async fn apply_changes(db: &Db, limit: u64) -> Result<bool, StorageError> {
    if db.backend() == Backend::Sqlite {
        return Ok(false);
    }
    let tx = db.begin().await?;
    let mut has_more = false;
    for statement in [APPLY_INSTALLS_SQL, APPLY_PLACES_SQL] {
        let connection = tx.connection();
        let limit_value = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = Statement::from_sql_and_values(
            connection.get_database_backend(),
            statement,
            [limit_value.into()],
        );
        let row = connection.query_one_raw(statement).await?;
        let applied: i64 = row.map_or(Ok(0), |row| row.try_get("", "it"))?;
        has_more |= applied >= limit_value;
    }
    tx.commit().await?;
    Ok(has_more)
}

/// Removes up to `limit` numbers of each kind that are 0. Returns `true` if there may be more.
pub async fn remove_zeros(db: &Db, scope: TenantScope, limit: u64) -> Result<bool, StorageError> {
    use install_count::Column as Install;
    const KEY: [Install; 5] = [
        Install::TenantId,
        Install::AppId,
        Install::Identifier,
        Install::VersionCode,
        Install::SeenOn,
    ];
    let tenant = scope.tenant().get();
    let installs = install_count::Entity::find()
        .filter(Install::TenantId.eq(tenant))
        .filter(Expr::cust("devices = 0"))
        .limit(limit)
        .select_only()
        .columns(KEY)
        .into_query();
    let places = place_count::Entity::find()
        .filter(place_count::Column::TenantId.eq(tenant))
        .filter(Expr::cust("devices = 0"))
        .limit(limit)
        .select_only()
        .column(place_count::Column::Id)
        .into_query();
    let tx = db.begin().await?;
    let removed_installs = install_count::Entity::delete_many()
        .filter(Expr::tuple(KEY.map(Expr::col)).in_subquery(installs))
        // Another program may have added devices since.
        .filter(Install::Devices.eq(0))
        .exec(tx.connection())
        .await?;
    let removed_places = place_count::Entity::delete_many()
        .filter(place_count::Column::Id.in_subquery(places))
        .filter(place_count::Column::Devices.eq(0))
        .exec(tx.connection())
        .await?;
    tx.commit().await?;
    Ok(removed_installs.rows_affected >= limit || removed_places.rows_affected >= limit)
}

/// Begins the reads of the pages of one count, on one snapshot.
pub async fn begin_pages(db: &Db) -> Result<ReadTx, StorageError> {
    let reader = db.begin_read().await?;
    if db.backend() == Backend::Postgres {
        reader.connection().execute_unprepared(BY_INDEX_SQL).await?;
    }
    Ok(reader)
}

/// Lists up to `limit` versions that follow `after`, by app, identifier and version, with their devices that were seen on
/// or after a day.
pub async fn list_versions(
    reader: &ReadTx,
    scope: TenantScope,
    since: NaiveDate,
    after: Option<&AppVersionCount>,
    limit: u64,
) -> Result<Vec<AppVersionCount>, StorageError> {
    use install_count::Column;
    const VERSION: [Column; 3] = [Column::AppId, Column::Identifier, Column::VersionCode];
    let mut rows = install_count::Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::SeenOn.gte(since))
        .apply_if(after, |rows, last| {
            let version = Expr::tuple([
                Expr::value(last.app.uuid()),
                Expr::value(last.count.identifier.as_str()),
                Expr::value(last.count.version_code.get()),
            ]);
            rows.filter(Expr::tuple(VERSION.map(Expr::col)).gt(version))
        })
        .select_only()
        .columns(VERSION)
        .column_as(Expr::cust("CAST(sum(devices) AS bigint)"), "devices")
        // Writes without triggers can leave a number below 0, which must not stop the count.
        .having(Expr::cust("sum(devices) > 0"));
    for column in VERSION {
        rows = rows.group_by(column).order_by_asc(column);
    }
    let counts: Vec<(Uuid, String, i64, i64)> =
        rows.limit(limit).into_tuple().all(reader.connection()).await?;
    let row = Row::of("install_counts", scope.tenant());
    let read = |(app, identifier, version_code, devices): (Uuid, String, i64, i64)| {
        Ok(AppVersionCount {
            app: AppId::from_uuid(app),
            count: VersionCount {
                identifier: row.column("identifier", Identifier::parse(identifier))?,
                version_code: row.column("version_code", VersionCode::new(version_code))?,
                devices: row.column("devices", u64::try_from(devices))?,
            },
        })
    };
    counts.into_iter().map(read).collect()
}

/// Lists up to `limit` places that follow the one with the id `after`, with their devices.
pub async fn list_places(
    reader: &ReadTx,
    scope: TenantScope,
    after: Option<i64>,
    limit: u64,
) -> Result<Vec<PlaceCount>, StorageError> {
    use place_count::Column;
    let rows = place_count::Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Devices.gt(0))
        .apply_if(after, |rows, after| rows.filter(Column::Id.gt(after)))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(reader.connection())
        .await?;
    let row = Row::of("place_counts", scope.tenant());
    let read = |model: place_count::Model| {
        let places = Some(model.places).filter(|places| !places.is_empty());
        let places = places.as_deref().map(serde_json::from_str).transpose();
        Ok(PlaceCount {
            id: model.id,
            places: row.column("places", places)?,
            devices: row.column("devices", u64::try_from(model.devices))?,
        })
    };
    rows.into_iter().map(read).collect()
}
