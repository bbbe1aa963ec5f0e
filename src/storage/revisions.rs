//! Revisions of apps and of tenants, which each catalog transaction advances.

use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{ColumnTrait, DbBackend, DbErr, ExprTrait, QueryResult, Statement};

use super::StorageError;
use super::effective_releases::ChangedApp;
use super::entity::{app, catalog_revision};
use super::etag::random_tag;
use slipway_domain::catalog::revision::CatalogRevision;

/// Advances the revision of an app, and with it the revision for which the flags of effective releases are computed if
/// they are. See [`has_current_flags`] for its result.
pub(super) fn advance_app(backend: DbBackend, changed: ChangedApp) -> Statement {
    use app::Column;
    let next = || Expr::col(Column::Revision).add(1);
    let follows = Expr::case(
        Expr::col(Column::EffectiveAsOf).eq(Expr::col(Column::Revision)),
        next(),
    )
    .finally(Expr::col(Column::EffectiveAsOf));
    let advance = Query::update()
        .table(app::Entity)
        .value(Column::Revision, next())
        .value(Column::Head, random_tag())
        .value(Column::EffectiveAsOf, follows)
        .and_where(Column::TenantId.eq(changed.tenant))
        .and_where(Column::Id.eq(changed.id))
        .returning(Query::returning().columns([Column::Revision, Column::EffectiveAsOf]))
        .to_owned();
    backend.build(&advance)
}

/// Returns `true` if the flags of an advanced app are computed; `None` if the app is deleted.
pub(super) fn has_current_flags(rows: &[QueryResult]) -> Result<Option<bool>, DbErr> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (revision, as_of): (i64, i64) = (row.try_get("", "revision")?, row.try_get("", "effective_as_of")?);
    Ok(Some(revision == as_of))
}

/// Draws the next position on SQLite, which has no sequences.
pub(super) fn draw_position(backend: DbBackend) -> Option<Statement> {
    let draw = "UPDATE catalog_position SET value = value + 1";
    (backend == DbBackend::Sqlite).then(|| Statement::from_string(backend, draw))
}

/// Advances the revision of a tenant. See [`read_revision`] for its result.
pub(super) fn advance_tenant(backend: DbBackend, tenant: i64) -> Statement {
    use catalog_revision::{Column, Entity};
    let position = match backend {
        DbBackend::Postgres => "nextval('catalog_position')",
        _ => "(SELECT value FROM catalog_position)",
    };
    let advance = OnConflict::column(Column::TenantId)
        .value(Column::Revision, Expr::col((Entity, Column::Revision)).add(1))
        .update_columns([Column::Head, Column::Position])
        .to_owned();
    let insert = Query::insert()
        .into_table(Entity)
        .columns([Column::TenantId, Column::Revision, Column::Head, Column::Position])
        .values_panic([
            tenant.into(),
            1_i64.into(),
            random_tag().into(),
            Expr::cust(position),
        ])
        .on_conflict(advance)
        .returning(Query::returning().columns([Column::Revision, Column::Head]))
        .to_owned();
    backend.build(&insert)
}

/// Reads the revision of an advanced tenant.
pub(super) fn read_revision(rows: &[QueryResult]) -> Result<CatalogRevision, StorageError> {
    let row = rows.first().ok_or_else(|| DbErr::RecordNotFound("catalog_revisions".to_owned()))?;
    Ok(CatalogRevision {
        revision: row.try_get("", "revision")?,
        head: row.try_get("", "head")?,
    })
}
