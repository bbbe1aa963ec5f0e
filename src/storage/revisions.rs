//! Revisions of apps and of tenants, which each catalog transaction advances.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, OnConflict, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QueryResult,
    QueryTrait, Select, Statement,
};

use super::StorageError;
use super::effective_releases::ChangedApp;
use super::entity::{app, app_revision, catalog_revision, resource};
use super::etag::random_tag;
use super::row::models;
use super::selection::{ByApp, by_app};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::Identifier;

/// Number of revisions of an app that are kept. A node that serves an older one reads the whole app.
const KEPT_REVISIONS: u32 = 256;

/// Advances the revision of an app, and with it the revision for which the flags of effective releases are computed if
/// they are. See [`has_current_flags`] for its result.
pub(super) fn advance_app(backend: DbBackend, changed: ChangedApp, is_row_changed: bool) -> Statement {
    use app::Column;
    let next = || Expr::col(Column::Revision).add(1);
    let follows = Expr::case(
        Expr::col(Column::EffectiveAsOf).eq(Expr::col(Column::Revision)),
        next(),
    )
    .finally(Expr::col(Column::EffectiveAsOf));
    let changed_in = if is_row_changed {
        next()
    } else {
        Expr::col(Column::ChangedIn)
    };
    let advance = Query::update()
        .table(app::Entity)
        .value(Column::Revision, next())
        .value(Column::Head, random_tag())
        .value(Column::EffectiveAsOf, follows)
        .value(Column::ChangedIn, changed_in)
        .and_where(Column::TenantId.eq(changed.tenant))
        .and_where(Column::Id.eq(changed.id))
        .returning(Query::returning().columns([Column::Revision, Column::EffectiveAsOf]))
        .to_owned();
    backend.build(&advance)
}

/// Records the new revision of an advanced app, and the resources that changed with it. A node that serves an earlier
/// revision then reads those alone.
pub(super) fn record_changes(
    backend: DbBackend,
    changed: ChangedApp,
    resources: &BTreeSet<Identifier>,
) -> Vec<Statement> {
    let revision = || {
        Query::select()
            .column(app::Column::Revision)
            .from(app::Entity)
            .and_where(app::Column::TenantId.eq(changed.tenant))
            .and_where(app::Column::Id.eq(changed.id))
            .to_owned()
    };
    let mut statements = Vec::new();
    if !resources.is_empty() {
        let mark = resource::Entity::update_many()
            .col_expr(
                resource::Column::ChangedIn,
                SimpleExpr::SubQuery(None, Box::new(revision().into())),
            )
            .filter(resource::Column::TenantId.eq(changed.tenant))
            .filter(resource::Column::AppId.eq(changed.id))
            .filter(resource::Column::Identifier.is_in(resources.iter().map(Identifier::as_str)));
        statements.push(mark.build(backend));
    }
    let this_app = || [changed.tenant.into(), changed.id.into()];
    let forget = format!(
        "DELETE FROM app_revisions WHERE tenant_id = $1 AND app_id = $2 AND revision <= \
         (SELECT revision FROM apps WHERE tenant_id = $1 AND id = $2) - {KEPT_REVISIONS}"
    );
    let keep = "INSERT INTO app_revisions (tenant_id, app_id, revision, head) \
         SELECT tenant_id, id, revision, head FROM apps WHERE tenant_id = $1 AND id = $2";
    statements.push(Statement::from_sql_and_values(backend, forget, this_app()));
    statements.push(Statement::from_sql_and_values(backend, keep, this_app()));
    statements
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
    let row = rows
        .first()
        .ok_or_else(|| DbErr::RecordNotFound("catalog_revisions".to_owned()))?;
    Ok(CatalogRevision {
        revision: row.try_get("", "revision")?,
        head: row.try_get("", "head")?,
    })
}

/// Selects the history of apps of a tenant from these revisions on.
pub(super) fn history_since(
    scope: TenantScope,
    since: &[(AppId, CatalogRevision)],
) -> Select<app_revision::Entity> {
    use app_revision::{Column, Entity};
    let from = since.iter().map(|(app, revision)| {
        Condition::all()
            .add(Column::AppId.eq(app.uuid()))
            .add(Column::Revision.gte(revision.revision))
    });
    Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(from.fold(Condition::any(), Condition::add))
        .order_by_asc(Column::Revision)
}

/// Reads the rows of [`history_since`].
pub(super) fn read_history(rows: &[QueryResult]) -> Result<ByApp<CatalogRevision>, DbErr> {
    let rows: Vec<app_revision::Model> = models(rows)?;
    Ok(by_app(rows.into_iter().map(|row| {
        let app_revision::Model { revision, head, .. } = row;
        (row.app_id, CatalogRevision { revision, head })
    })))
}
