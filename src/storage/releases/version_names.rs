//! Version names that contradict the order of the version codes.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait as _, DbBackend, DbErr, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Statement, TryGetableMany as _,
};

use super::super::effective_releases::is_not_discarded;
use super::super::entity::release::Column;
use super::super::reader::Connection as _;
use super::super::row::Row;
use super::super::{Reader, StorageError};
use super::published_or_paused;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::release::Release;
use slipway_domain::catalog::text::VersionName;
use slipway_domain::catalog::version::{VersionCode, semver_order_key};

/// Finds a published or paused release of the same resource whose version name contradicts the order of the version
/// codes: both names are `SemVer`, in the reverse order. For the newest version the cost does not depend on the number
/// of releases.
pub async fn find_contradicting_name(
    reader: &impl Reader,
    scope: TenantScope,
    release: &Release,
) -> Result<Option<(VersionCode, VersionName)>, StorageError> {
    let connection = reader.connection();
    let queries = names_to_compare(connection.get_database_backend(), scope, release);
    if queries.is_empty() {
        return Ok(None);
    }
    contradicting(release, &connection.query_together(queries).await?)
}

/// Selects code and name of the published and paused releases of the same resource whose name may contradict. No query
/// is needed for a name that is not `SemVer`.
pub(super) fn names_to_compare(backend: DbBackend, scope: TenantScope, release: &Release) -> Vec<Statement> {
    let code = release.content.version_code;
    let key = semver_order_key(&release.content.version_name);
    if key.is_empty() {
        return Vec::new();
    }
    // Each statement uses the index of the condition that few releases meet if there is no contradiction. The other
    // condition is written so that no index can serve it.
    let higher_name = Condition::all()
        .add(Column::VersionOrder.gt(key.as_str()))
        .add(Expr::col(Column::VersionCode).add(0).lt(code.get()));
    let lower_name = Condition::all()
        .add(is_not_discarded())
        .add(Column::VersionCode.gt(code.get()))
        .add(Expr::cust("version_order || ''").ne(""))
        .add(Expr::cust("version_order || ''").lt(key.as_str()));
    // Written by a version of the program that did not compute the order.
    let unknown_order = Condition::all().add(Column::VersionOrder.is_null());
    let conditions = [higher_name, lower_name, unknown_order].into_iter();
    let queries = conditions.map(|condition| {
        published_or_paused(scope, release.app_id)
            .filter(Column::Identifier.eq(release.identifier.as_str()))
            .filter(condition)
            .select_only()
            .columns([Column::VersionCode, Column::VersionName])
            .order_by_asc(Column::VersionCode)
            .build(backend)
    });
    queries.collect()
}

/// Returns the first contradicting name among the rows of [`names_to_compare`].
pub(super) fn contradicting(
    release: &Release,
    found: &[Vec<QueryResult>],
) -> Result<Option<(VersionCode, VersionName)>, StorageError> {
    let row = Row::of(
        "releases",
        format!("{} of {}", release.identifier, release.app_id),
    );
    let own_code = release.content.version_code;
    let own_key = semver_order_key(&release.content.version_name);
    for other in found.iter().flatten() {
        let (code, name) = <(i64, String)>::try_get_many_by_index(other).map_err(DbErr::from)?;
        let code = row.column("version_code", VersionCode::of_release(code))?;
        let name = row.column("version_name", VersionName::parse(name))?;
        let key = semver_order_key(&name);
        if !key.is_empty() && key != own_key && (key < own_key) == (code > own_code) {
            return Ok(Some((code, name)));
        }
    }
    Ok(None)
}
