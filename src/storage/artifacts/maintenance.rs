//! Queries of the jobs that delete and verify artifacts, over all tenants.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, SubQueryStatement};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, SelectExt,
};

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

/// Place in the order of all artifacts, up to which a pass over them has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactCursor {
    tenant: i64,
    sha256: String,
}

/// Use of an artifact, compared with what its row records.
#[derive(Debug, FromQueryResult)]
struct RecordedUse {
    tenant_id: i64,
    sha256: String,
    unused_since: Option<DateTime<Utc>>,
    is_used: bool,
}

/// Records since when the next `limit` artifacts are unused, and that used ones are not. Releases that a node of an
/// older version wrote are included. Returns the place of the last one; `None` after the last of all.
///
/// Rows are only written if they differ. A pass therefore holds no lock for longer than a few rows take.
pub async fn refresh_unused_since(
    db: &Db,
    after: Option<&ArtifactCursor>,
    limit: u64,
    now: DateTime<Utc>,
) -> Result<Option<ArtifactCursor>, StorageError> {
    let rows = list_recorded_uses(db, after, limit).await?;
    let mut wrong: BTreeMap<(i64, bool), Vec<&str>> = BTreeMap::new();
    for row in &rows {
        if row.is_used != row.unused_since.is_none() {
            let of_tenant = wrong.entry((row.tenant_id, row.is_used)).or_default();
            of_tenant.push(&row.sha256);
        }
    }
    for ((tenant, is_used), digests) in wrong {
        correct_unused_since(db, tenant, digests, (!is_used).then_some(now)).await?;
    }
    let is_last = (rows.len() as u64) < limit;
    let last = rows.into_iter().next_back().filter(|_| !is_last);
    Ok(last.map(|row| ArtifactCursor {
        tenant: row.tenant_id,
        sha256: row.sha256,
    }))
}

/// Lists artifacts in the order of their primary key.
///
/// A use is looked up as a value. For `EXISTS`, PostgreSQL reads the releases of all artifacts if it has no statistics.
async fn list_recorded_uses(
    reader: &impl Reader,
    after: Option<&ArtifactCursor>,
    limit: u64,
) -> Result<Vec<RecordedUse>, StorageError> {
    let key = Expr::tuple([
        Expr::col((Entity, Column::TenantId)),
        Expr::col((Entity, Column::Sha256)),
    ]);
    let one_use = uses_of_row().limit(1).to_owned();
    Ok(Entity::find()
        .select_only()
        .columns([Column::TenantId, Column::Sha256, Column::UnusedSince])
        .expr_as(
            Expr::from(SubQueryStatement::from(one_use)).is_not_null(),
            "is_used",
        )
        .apply_if(after, |rows, after| {
            let place = Expr::tuple([Expr::val(after.tenant), Expr::val(after.sha256.as_str())]);
            rows.filter(key.gt(place))
        })
        .order_by_asc(Column::TenantId)
        .order_by_asc(Column::Sha256)
        .limit(limit)
        .into_model()
        .all(reader.connection())
        .await?)
}

/// Sets since when some artifacts of a tenant are unused, unless their use has changed meanwhile.
async fn correct_unused_since(
    db: &Db,
    tenant: i64,
    digests: Vec<&str>,
    unused_since: Option<DateTime<Utc>>,
) -> Result<(), StorageError> {
    let (is_used, was_unused) = (Expr::exists(uses_of_row()), Column::UnusedSince.is_not_null());
    let is_wrong = if unused_since.is_some() {
        is_used.not().and(was_unused.not())
    } else {
        is_used.and(was_unused)
    };
    let write = db.begin_single_write().await?;
    Entity::update_many()
        .col_expr(Column::UnusedSince, Expr::value(unused_since))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Sha256.is_in(digests))
        .filter(is_wrong)
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
        .filter(is_not_exempt())
        .order_by_asc(Column::UnusedSince)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read_owned).collect()
}

/// Condition of the index on deletable artifacts. It is written as the index has it, because a partial index serves only a
/// condition without parameters.
fn is_not_exempt() -> Expr {
    Expr::cust("NOT keep")
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

/// Lists artifacts whose verification is due, the oldest first: those last verified before `before`, and then damaged
/// ones last verified before `damaged_before`, which is not earlier.
///
/// Each of the two queries reads a range of an index. A condition for both would read every artifact.
pub async fn list_due_for_scrub(
    reader: &impl Reader,
    before: DateTime<Utc>,
    damaged_before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<OwnedArtifact>, StorageError> {
    let oldest = Entity::find()
        .filter(Column::ScrubbedAt.lt(before))
        .order_by_asc(Column::ScrubbedAt)
        .limit(limit)
        .all(reader.connection());
    let mut rows = oldest.await?;
    let damaged = Entity::find()
        .filter(Column::DamagedAt.is_not_null())
        .filter(Column::ScrubbedAt.gte(before))
        .filter(Column::ScrubbedAt.lt(damaged_before))
        .order_by_asc(Column::ScrubbedAt)
        .limit(limit.saturating_sub(rows.len() as u64))
        .all(reader.connection());
    rows.extend(damaged.await?);
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

/// Counts the artifacts of a tenant with damaged or missing content.
pub async fn count_damaged_of(reader: &impl Reader, scope: TenantScope) -> Result<u64, StorageError> {
    Ok(Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
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
