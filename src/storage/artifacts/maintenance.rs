//! Queries of the jobs that delete and verify artifacts, over all tenants.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, SelectExt};

use super::super::row::Row;
use super::super::{Db, Reader, StorageError};
use super::artifact::{Column, Entity, Model};
use super::{row, uses_of_row};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::ids::{ArtifactId, TenantId};
use slipway_domain::catalog::versioned::Versioned;

/// Artifact of any tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedArtifact {
    pub scope: TenantScope,
    pub artifact: Versioned<Artifact>,
}

/// Records since when each artifact is unused, and that used ones are not. Releases that a node of an older version
/// wrote are included.
pub async fn refresh_unused_since(db: &Db, now: DateTime<Utc>) -> Result<(), StorageError> {
    let write = db.begin_single_write().await?;
    Entity::update_many()
        .col_expr(Column::UnusedSince, Expr::value(now))
        .filter(Column::UnusedSince.is_null())
        .filter(Expr::exists(uses_of_row()).not())
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    let write = db.begin_single_write().await?;
    Entity::update_many()
        .col_expr(Column::UnusedSince, Expr::cust("NULL"))
        .filter(Column::UnusedSince.is_not_null())
        .filter(Expr::exists(uses_of_row()))
        .exec(write.connection())
        .await?;
    write.confirm().await
}

/// Lists artifacts that are unused since before an instant and not exempt from deletion, the longest unused first.
pub async fn list_unused_since(
    reader: &impl Reader,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<OwnedArtifact>, StorageError> {
    let rows = Entity::find()
        .filter(Column::UnusedSince.lt(before))
        .filter(Column::Keep.eq(false))
        .order_by_asc(Column::UnusedSince)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read_owned).collect()
}

/// Returns `true` if an artifact is unused since before an instant, and not exempt from deletion.
pub async fn is_unused_since(
    reader: &impl Reader,
    scope: TenantScope,
    id: ArtifactId,
    before: DateTime<Utc>,
) -> Result<bool, StorageError> {
    Ok(Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::UnusedSince.lt(before))
        .filter(Column::Keep.eq(false))
        .filter(Expr::exists(uses_of_row()).not())
        .exists(reader.connection())
        .await?)
}

/// Lists artifacts whose verification is due, the oldest first: those last verified before `before`, and damaged ones
/// last verified before `damaged_before`.
pub async fn list_due_for_scrub(
    reader: &impl Reader,
    before: DateTime<Utc>,
    damaged_before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<OwnedArtifact>, StorageError> {
    let is_due_again = Column::DamagedAt
        .is_not_null()
        .and(Column::ScrubbedAt.lt(damaged_before));
    let rows = Entity::find()
        .filter(Column::ScrubbedAt.lt(before).or(is_due_again))
        .order_by_asc(Column::ScrubbedAt)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read_owned).collect()
}

/// Records that the content of an artifact was verified, with any result.
pub async fn record_scrub(
    db: &Db,
    scope: TenantScope,
    id: ArtifactId,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let write = db.begin_single_write().await?;
    Entity::update_many()
        .col_expr(Column::ScrubbedAt, Expr::value(now))
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Id.eq(id.uuid()))
        .exec(write.connection())
        .await?;
    write.confirm().await
}

/// Counts the artifacts of all tenants with damaged or missing content.
pub async fn count_damaged(reader: &impl Reader) -> Result<u64, StorageError> {
    Ok(Entity::find()
        .filter(Column::DamagedAt.is_not_null())
        .count(reader.connection())
        .await?)
}

/// Returns those of these ids that artifacts have.
pub async fn list_existing(
    reader: &impl Reader,
    scope: TenantScope,
    ids: &[ArtifactId],
) -> Result<HashSet<ArtifactId>, StorageError> {
    let found: Vec<sea_orm::prelude::Uuid> = Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Id.is_in(ids.iter().map(|id| id.uuid())))
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(reader.connection())
        .await?;
    Ok(found.into_iter().map(ArtifactId::from_uuid).collect())
}

pub(super) fn read_owned(model: Model) -> Result<OwnedArtifact, StorageError> {
    let tenant = TenantId::parse(model.tenant_id);
    let tenant = Row::of("artifacts", model.id).column("tenant_id", tenant)?;
    Ok(OwnedArtifact {
        scope: TenantScope::internal(tenant),
        artifact: row::read(model)?,
    })
}
