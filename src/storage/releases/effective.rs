//! The releases that a check can depend on, among those in the states that it can depend on.
//!
//! A published release is *superseded* if a newer one passes for every device: no check offers it, unless a pin keeps a
//! device below the newer one. Superseded releases stay in the database and are not loaded into memory. They become
//! effective again when the newer one is paused, recalled or restricted. Floors, mandatory and recalled releases are
//! never superseded, because they matter to devices that have an older or the same version.
//!
//! The flags are computed in the transaction of the change, for the changed resources alone.

use std::collections::BTreeSet;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::entity::release::{Column, Entity};
use super::super::pins::list_pinned_versions;
use super::super::row::to_json;
use super::super::{CatalogTx, Reader, StorageError};
use super::row::EFFECTIVE_STATES;
use super::{is_in_state, is_not_discarded, of_app};
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::release::ReleaseStateKind;
use slipway_domain::catalog::rollout::Share;
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::Identifier;

/// Maximum number of pinned versions that are treated separately. With more, everything from the lowest one up is
/// effective.
const MAX_PINNED_VERSIONS: usize = 50;

/// Range of version codes, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct VersionRange {
    first: i64,
    last: i64,
}

/// Resource whose flags are computed.
struct Resource<'a> {
    tx: &'a CatalogTx,
    app: AppId,
    identifier: &'a Identifier,
}

/// Computes the flags of a resource's releases. The cost grows with the number of effective releases and of pins, not
/// with the number of superseded releases.
pub(in super::super) async fn refresh(
    tx: &CatalogTx,
    app: AppId,
    identifier: &Identifier,
) -> Result<(), StorageError> {
    let resource = Resource { tx, app, identifier };
    let ranges = resource.effective_ranges().await?;
    resource.clear_outside(&ranges).await?;
    for range in ranges {
        resource.set_within(range).await?;
    }
    Ok(())
}

impl Resource<'_> {
    /// Returns the ranges of versions that a check can choose from: from the newest release for everybody upwards, and
    /// the same below each ceiling.
    async fn effective_ranges(&self) -> Result<Vec<VersionRange>, StorageError> {
        let newest = self.newest_for_everybody(i64::MAX).await?;
        let mut ranges = vec![VersionRange {
            first: newest,
            last: i64::MAX,
        }];
        let pinned = list_pinned_versions(self.tx, self.app, self.identifier).await?;
        let below: BTreeSet<_> = pinned
            .into_iter()
            .filter_map(|mode| match mode {
                PinMode::Exact(version) => Some((version.get(), version.get())),
                PinMode::Ceiling(version) => Some((version.get(), 0)),
                PinMode::Hold => None,
            })
            .filter(|(version, _)| *version < newest)
            .collect();
        if below.len() > MAX_PINNED_VERSIONS {
            let lowest = below.first().map_or(newest, |(version, _)| *version);
            ranges[0].first = self.newest_for_everybody(lowest).await?;
            return Ok(ranges);
        }
        for (last, exact) in below {
            let first = if exact == 0 {
                self.newest_for_everybody(last).await?
            } else {
                exact
            };
            ranges.push(VersionRange { first, last });
        }
        Ok(ranges)
    }

    /// Returns the highest published version up to `ceiling` that passes for every device at any time; 0 without one.
    async fn newest_for_everybody(&self, ceiling: i64) -> Result<i64, StorageError> {
        let newest: Option<i64> = self
            .releases()
            .filter(is_not_discarded())
            .filter(is_in_state([ReleaseStateKind::Published]))
            .filter(Column::VersionCode.lte(ceiling))
            .filter(Column::RolloutShare.eq(i32::from(Share::EVERYBODY.hundredths())))
            .filter(Column::Targeting.eq(to_json(&Targeting::default())))
            .filter(Column::StartsAt.is_null())
            .filter(Column::EndsAt.is_null())
            .select_only()
            .column(Column::VersionCode)
            .order_by_desc(Column::VersionCode)
            .limit(1)
            .into_tuple()
            .one(self.tx.connection())
            .await?;
        Ok(newest.unwrap_or(0))
    }

    async fn clear_outside(&self, ranges: &[VersionRange]) -> Result<(), StorageError> {
        let mut kept_if_published = Condition::any()
            .add(Column::Floor.eq(true))
            .add(Column::Mandatory.eq(true));
        for range in ranges {
            kept_if_published = kept_if_published.add(Column::VersionCode.between(range.first, range.last));
        }
        let kept = Condition::any()
            .add(is_in_state([ReleaseStateKind::Recalled]))
            .add(
                Condition::all()
                    .add(is_in_state([ReleaseStateKind::Published]))
                    .add(kept_if_published),
            );
        Entity::update_many()
            .col_expr(Column::Effective, Expr::value(false))
            .filter(self.condition(true))
            .filter(kept.not())
            .exec(self.tx.connection())
            .await?;
        Ok(())
    }

    async fn set_within(&self, range: VersionRange) -> Result<(), StorageError> {
        Entity::update_many()
            .col_expr(Column::Effective, Expr::value(true))
            .filter(self.condition(false))
            .filter(Column::VersionCode.between(range.first, range.last))
            .filter(is_in_state(EFFECTIVE_STATES))
            .exec(self.tx.connection())
            .await?;
        Ok(())
    }

    fn releases(&self) -> Select<Entity> {
        of_app(self.tx.scope(), self.app).filter(Column::Identifier.eq(self.identifier.as_str()))
    }

    fn condition(&self, effective: bool) -> Condition {
        Condition::all()
            .add(Column::TenantId.eq(self.tx.tenant_id()))
            .add(Column::AppId.eq(self.app.uuid()))
            .add(Column::Effective.eq(effective))
            .add(Column::Identifier.eq(self.identifier.as_str()))
    }
}
