//! Artifacts of tenants.
//!
//! Changes that an offer can depend on (another link, damage) require a [`CatalogTx`]. An upload changes no offer.

mod link;
mod maintenance;
mod row;
mod usage;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, SelectExt,
};

pub use self::link::{LinkedArtifact, find_by_key};
pub use self::maintenance::{
    ArtifactCursor, OwnedArtifact, count_damaged, count_damaged_of, is_unused_since, list_due_for_scrub,
    list_existing, list_unused_since, record_scrub, refresh_unused_since,
};
pub use self::usage::{Usage, lock_usage, read_usage};
use super::effective_releases::is_not_discarded;
use super::entity::{artifact, release};
use super::etag::random_tag;
use super::page::{SortBy, fetch_large_page};
use super::row::Row;
use super::statements::QueuedWrite;
use super::versioned::{first_version, next_version};
use super::{CatalogTx, Reader, StorageError, Tx, Writer};
use artifact::{Column, Entity};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::{Artifact, ArtifactFilter, Damage, DownloadLink};
use slipway_domain::catalog::artifact_use::ArtifactUse;
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::{RecallMode, ReleaseState, ReleaseStateKind};
use slipway_domain::catalog::text::{Identifier, Md5, Sha256};
use slipway_domain::catalog::version::VersionCode;
use slipway_domain::catalog::versioned::Versioned;

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    sha256: &Sha256,
) -> Result<Option<Versioned<Artifact>>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), sha256.as_str().to_owned()))
        .one(reader.connection())
        .await?;
    row.map(row::read).transpose()
}

/// Returns `true` if any tenant has an artifact.
pub async fn any_exist(reader: &impl Reader) -> Result<bool, StorageError> {
    Ok(Entity::find().exists(reader.connection()).await?)
}

/// Lists the artifacts of a tenant by upload, newest first.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    filter: &ArtifactFilter<'_>,
    page: &PageRequest,
) -> Result<Page<Versioned<Artifact>>, StorageError> {
    let rows = of_tenant(scope)
        .apply_if(filter.kind, |rows, kind| {
            rows.filter(Column::Kind.eq(kind.as_str()))
        })
        .apply_if(filter.package_name, |rows, name| {
            rows.filter(Column::PackageName.eq(name))
        })
        .apply_if(filter.is_unused, |rows, is_unused| {
            let is_used = Expr::exists(uses_of_row());
            rows.filter(if is_unused { is_used.not() } else { is_used })
        })
        .apply_if(filter.is_damaged, |rows, is_damaged| {
            rows.filter(if is_damaged {
                Column::DamagedAt.is_not_null()
            } else {
                Column::DamagedAt.is_null()
            })
        });
    fetch_large_page(page, reader, rows, SortBy::Descending(Column::Id), |row| row.id)
        .await?
        .try_map(row::read)
}

/// Lists up to `limit` artifacts with this MD5, newest first.
pub async fn list_with_md5(
    reader: &impl Reader,
    scope: TenantScope,
    md5: &Md5,
    limit: u64,
) -> Result<Vec<Versioned<Artifact>>, StorageError> {
    let rows = of_tenant(scope)
        .filter(Column::Md5.eq(md5.as_str()))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(row::read).collect()
}

/// Lists releases that use an artifact and are not discarded, newest first.
pub async fn list_uses(
    reader: &impl Reader,
    scope: TenantScope,
    sha256: &Sha256,
    limit: u64,
) -> Result<Vec<ArtifactUse>, StorageError> {
    let rows = releases_with(scope, sha256)
        .filter(is_not_discarded())
        .order_by_desc(release::Column::Id)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read_use).collect()
}

/// Inserts an artifact that the tenant does not have, and counts its size. `usage` must be locked in this transaction.
pub async fn insert(
    tx: &Tx,
    scope: TenantScope,
    usage: &Usage,
    value: Artifact,
    now: DateTime<Utc>,
) -> Result<Versioned<Artifact>, StorageError> {
    let after = Usage {
        used_bytes: usage.used_bytes.saturating_add(value.size),
        last_link: value.link.number,
    };
    usage::write(tx, scope, &after).await?;
    let stored = first_version(value, now);
    let row = row::write_new(scope.tenant().get(), &stored).into_active_model();
    Entity::insert(row)
        .exec_without_returning(tx.connection())
        .await?;
    Ok(stored)
}

/// Replaces the download link of an artifact, in its row and in the offers of its releases.
///
/// Errors: [`StorageError::Changed`] if the row differs from `before`.
pub async fn replace_link(
    tx: &CatalogTx,
    before: &Versioned<Artifact>,
    link: DownloadLink,
    now: DateTime<Utc>,
) -> Result<Versioned<Artifact>, StorageError> {
    let mut usage = usage::lock_usage(tx, tx.scope()).await?;
    usage.last_link = link.number;
    usage::write(tx, tx.scope(), &usage).await?;
    let mut value = before.value.clone();
    value.link = link;
    let stored = update(tx, tx.scope(), before, value, now).await?;
    renew_release_tags(tx, &before.value.sha256).await?;
    mark_offers_changed(tx, &before.value.sha256).await?;
    Ok(stored)
}

/// Gives the releases of an artifact a new entity tag, because their representation contains its
/// address and its damage.
async fn renew_release_tags(tx: &CatalogTx, sha256: &Sha256) -> Result<(), StorageError> {
    release::Entity::update_many()
        .col_expr(release::Column::Etag, Expr::value(random_tag()))
        .filter(release::Column::TenantId.eq(tx.tenant_id()))
        .filter(release::Column::ArtifactSha256.eq(sha256.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Records damage of the content, or its repair. The offers of its releases change.
pub async fn set_damage(
    tx: &CatalogTx,
    before: &Versioned<Artifact>,
    damage: Option<Damage>,
    now: DateTime<Utc>,
) -> Result<Versioned<Artifact>, StorageError> {
    let mut value = before.value.clone();
    value.damage = damage;
    let stored = update(tx, tx.scope(), before, value, now).await?;
    renew_release_tags(tx, &before.value.sha256).await?;
    mark_offers_changed(tx, &before.value.sha256).await?;
    Ok(stored)
}

/// Sets the exemption from the deletion of unused artifacts.
pub async fn set_keep(
    tx: &Tx,
    scope: TenantScope,
    before: &Versioned<Artifact>,
    keep: bool,
    now: DateTime<Utc>,
) -> Result<Versioned<Artifact>, StorageError> {
    let mut value = before.value.clone();
    value.keep = keep;
    update(tx, scope, before, value, now).await
}

/// Queues the record that a release uses the artifact from now on. Its retention starts again when the last use ends.
pub(super) fn mark_used(tx: &CatalogTx, sha256: &Sha256) {
    let update = Entity::update_many()
        .col_expr(Column::UnusedSince, Expr::cust("NULL"))
        .filter(Column::TenantId.eq(tx.tenant_id()))
        .filter(Column::Sha256.eq(sha256.as_str()));
    tx.queue(QueuedWrite {
        statement: update.build(tx.connection().get_database_backend()),
        key: None,
        if_unchanged: None,
    });
}

/// Restarts the retention of an unused artifact.
pub async fn restart_retention(
    tx: &impl Writer,
    scope: TenantScope,
    sha256: &Sha256,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    Entity::update_many()
        .col_expr(Column::UnusedSince, Expr::value(now))
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Sha256.eq(sha256.as_str()))
        .filter(Column::UnusedSince.is_not_null())
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Deletes the row of an artifact, and frees its space. Discarded releases lose their reference to it.
///
/// Errors: [`StorageError::BrokenReference`] while another release uses it.
pub async fn delete(tx: &CatalogTx, artifact: &Artifact) -> Result<(), StorageError> {
    let scope = tx.scope();
    release::Entity::update_many()
        .col_expr(release::Column::ArtifactSha256, Expr::cust("NULL"))
        .col_expr(release::Column::Etag, Expr::value(random_tag()))
        .filter(release::Column::TenantId.eq(tx.tenant_id()))
        .filter(release::Column::ArtifactSha256.eq(artifact.sha256.as_str()))
        .filter(release::Column::State.eq(ReleaseStateKind::Discarded.as_str()))
        .exec(tx.connection())
        .await?;
    let usage = usage::lock_usage(tx, scope).await?;
    let deleted = Entity::delete_many()
        .filter(Column::TenantId.eq(tx.tenant_id()))
        .filter(Column::Id.eq(artifact.id.uuid()))
        .exec(tx.connection())
        .await?;
    if deleted.rows_affected == 0 {
        return Err(StorageError::Changed);
    }
    let after = Usage {
        used_bytes: usage.used_bytes.saturating_sub(artifact.size),
        ..usage
    };
    usage::write(tx, scope, &after).await
}

/// Writes the columns that can change, if the row is still `before`.
async fn update(
    connection: &impl Reader,
    scope: TenantScope,
    before: &Versioned<Artifact>,
    value: Artifact,
    now: DateTime<Utc>,
) -> Result<Versioned<Artifact>, StorageError> {
    let stored = next_version(before, value, now);
    let artifact = &stored.value;
    let damage = artifact.damage.map(|damage| damage.kind.as_str());
    let updated = Entity::update_many()
        .col_expr(Column::LinkNumber, Expr::value(artifact.link.number))
        .col_expr(Column::DownloadKey, Expr::value(artifact.link.key.as_str()))
        .col_expr(Column::Keep, Expr::value(artifact.keep))
        .col_expr(Column::Damage, Expr::value(damage))
        .col_expr(
            Column::DamagedAt,
            Expr::value(artifact.damage.map(|damage| damage.found_at)),
        )
        .col_expr(Column::Etag, Expr::value(stored.etag.as_str()))
        .col_expr(Column::UpdatedAt, Expr::value(stored.updated_at))
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Sha256.eq(artifact.sha256.as_str()))
        .filter(Column::Etag.eq(&before.etag))
        .exec(connection.connection())
        .await?;
    if updated.rows_affected == 0 {
        return Err(StorageError::Changed);
    }
    Ok(stored)
}

/// Records that the offers of every release with this artifact have changed.
async fn mark_offers_changed(tx: &CatalogTx, sha256: &Sha256) -> Result<(), StorageError> {
    let resources: Vec<(sea_orm::prelude::Uuid, String)> = releases_with(tx.scope(), sha256)
        .filter(is_not_discarded())
        .select_only()
        .columns([release::Column::AppId, release::Column::Identifier])
        .distinct()
        .into_tuple()
        .all(tx.connection())
        .await?;
    for (app, identifier) in resources {
        let row = Row::of("releases", app);
        let identifier = row.column("identifier", Identifier::parse(identifier))?;
        tx.mark_releases_changed(AppId::from_uuid(app), &identifier);
    }
    Ok(())
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn releases_with(scope: TenantScope, sha256: &Sha256) -> Select<release::Entity> {
    release::Entity::find()
        .filter(release::Column::TenantId.eq(scope.tenant().get()))
        .filter(release::Column::ArtifactSha256.eq(sha256.as_str()))
}

/// Subquery for the releases, except discarded ones, that use the artifact of the outer row.
fn uses_of_row() -> SelectStatement {
    let column = |name: &'static str| Expr::col((Alias::new("releases"), Alias::new(name)));
    Query::select()
        .expr(Expr::val(1))
        .from(release::Entity)
        .and_where(column("tenant_id").equals((Entity, Column::TenantId)))
        .and_where(column("artifact_sha256").equals((Entity, Column::Sha256)))
        .and_where(column("state").ne(ReleaseStateKind::Discarded.as_str()))
        .to_owned()
}

fn read_use(model: release::Model) -> Result<ArtifactUse, StorageError> {
    let row = Row::of("releases", model.id);
    let kind = row.column("state", ReleaseStateKind::parse(&model.state))?;
    let mode = model.recall_mode.as_deref().map(RecallMode::parse).transpose();
    let mode = row.column("recall_mode", mode)?;
    Ok(ArtifactUse {
        release: ReleaseId::from_uuid(model.id),
        app: AppId::from_uuid(model.app_id),
        identifier: row.column("identifier", Identifier::parse(model.identifier))?,
        version_code: row.column("version_code", VersionCode::of_release(model.version_code))?,
        state: row.column("state", ReleaseState::of_kind(kind, mode))?,
    })
}
