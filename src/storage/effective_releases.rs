//! The releases that a check can depend on, among those in the states that it can depend on.
//!
//! A published release is *superseded* if a newer one passes for every device: no check offers it, unless a pin keeps a
//! device below the newer one. Superseded releases stay in the database and are not loaded into memory. They become
//! effective again when the newer one is paused, recalled or restricted. Floors, mandatory and recalled releases are
//! never superseded, because they matter to devices that have an older or the same version.
//!
//! The flags are computed in the transaction of the change, for the changed resources alone.

use std::collections::BTreeSet;

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::StorageError;
use super::entity::release::{Column, Entity};
use super::entity::{pin, resource};
use super::row::{Row, to_json};
use super::statements::Transaction;
use slipway_domain::catalog::pin::{PinMode, PinModeError};
use slipway_domain::catalog::release::{ReleaseState, ReleaseStateKind};
use slipway_domain::catalog::rollout::Share;
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::version::VersionCode;

/// States that a check can depend on.
pub(super) const EFFECTIVE_STATES: [ReleaseStateKind; 2] =
    [ReleaseStateKind::Published, ReleaseStateKind::Recalled];

/// Maximum number of pinned versions that are treated separately. With more, everything from the lowest one up is
/// effective.
const MAX_PINNED_VERSIONS: usize = 50;

/// Returns `true` in the states that a check can depend on.
pub(super) fn is_effective(state: ReleaseState) -> bool {
    EFFECTIVE_STATES.contains(&state.kind())
}

pub(super) fn is_in_state<const N: usize>(kinds: [ReleaseStateKind; N]) -> SimpleExpr {
    Column::State.is_in(kinds.map(ReleaseStateKind::as_str))
}

/// Condition of the unique index on version codes. It is written as the index has it, because a partial index serves
/// only a condition without parameters.
pub(super) fn is_not_discarded() -> SimpleExpr {
    Expr::cust(format!("state <> '{}'", ReleaseStateKind::Discarded.as_str()))
}

/// Range of version codes, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct VersionRange {
    first: i64,
    last: i64,
}

/// App of a tenant, in a transaction that has changed it.
#[derive(Clone, Copy)]
pub(super) struct ChangedApp<'a> {
    pub(super) connection: &'a Transaction,
    pub(super) tenant: i64,
    pub(super) id: Uuid,
}

impl ChangedApp<'_> {
    /// Computes the flags of all releases.
    pub(super) async fn refresh_all(self) -> Result<(), StorageError> {
        let identifiers: Vec<String> = resource::Entity::find()
            .filter(resource::Column::TenantId.eq(self.tenant))
            .filter(resource::Column::AppId.eq(self.id))
            .select_only()
            .column(resource::Column::Identifier)
            .into_tuple()
            .all(self.connection)
            .await?;
        for identifier in identifiers {
            self.refresh(&identifier).await?;
        }
        Ok(())
    }

    /// Computes the flags of a resource's releases. The cost grows with the number of effective releases and of pins,
    /// not with the number of superseded releases.
    pub(super) async fn refresh(self, identifier: &str) -> Result<(), StorageError> {
        let resource = ChangedResource {
            app: self,
            identifier,
        };
        let ranges = resource.effective_ranges().await?;
        resource.clear_outside(&ranges).await?;
        for range in ranges {
            resource.set_within(range).await?;
        }
        Ok(())
    }
}

/// Resource whose flags are computed.
struct ChangedResource<'a> {
    app: ChangedApp<'a>,
    identifier: &'a str,
}

impl ChangedResource<'_> {
    /// Returns the ranges of versions that a check can choose from: from the newest release for everybody upwards, and
    /// the same below each ceiling.
    async fn effective_ranges(&self) -> Result<Vec<VersionRange>, StorageError> {
        let newest = self.newest_for_everybody(i64::MAX).await?;
        let mut ranges = vec![VersionRange {
            first: newest,
            last: i64::MAX,
        }];
        let pinned = self.pinned_versions().await?;
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

    /// Returns the modes with a version that pins have, each once.
    async fn pinned_versions(&self) -> Result<Vec<PinMode>, StorageError> {
        let modes: Vec<(String, i64)> = pin::Entity::find()
            .filter(pin::Column::TenantId.eq(self.app.tenant))
            .filter(pin::Column::AppId.eq(self.app.id))
            .filter(pin::Column::Identifier.eq(self.identifier))
            .filter(pin::Column::VersionCode.is_not_null())
            .select_only()
            .columns([pin::Column::Mode, pin::Column::VersionCode])
            .distinct()
            .into_tuple()
            .all(self.app.connection)
            .await?;
        let row = Row::of("pins", format!("{} of {}", self.identifier, self.app.id));
        modes
            .into_iter()
            .map(|(mode, version)| {
                let version = row.column("version_code", VersionCode::new(version))?;
                row.column(
                    "mode",
                    PinMode::parse(&mode, Some(version)).map_err(PinModeError::into_reason),
                )
            })
            .collect()
    }

    /// Returns the highest published version up to `ceiling` that passes for every device at any time; 0 without one.
    async fn newest_for_everybody(&self, ceiling: i64) -> Result<i64, StorageError> {
        let newest: Option<i64> = Entity::find()
            .filter(Column::TenantId.eq(self.app.tenant))
            .filter(Column::AppId.eq(self.app.id))
            .filter(Column::Identifier.eq(self.identifier))
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
            .one(self.app.connection)
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
            .exec(self.app.connection)
            .await?;
        Ok(())
    }

    async fn set_within(&self, range: VersionRange) -> Result<(), StorageError> {
        Entity::update_many()
            .col_expr(Column::Effective, Expr::value(true))
            .filter(self.condition(false))
            .filter(Column::VersionCode.between(range.first, range.last))
            .filter(is_in_state(EFFECTIVE_STATES))
            .exec(self.app.connection)
            .await?;
        Ok(())
    }

    fn condition(&self, effective: bool) -> Condition {
        Condition::all()
            .add(Column::TenantId.eq(self.app.tenant))
            .add(Column::AppId.eq(self.app.id))
            .add(Column::Effective.eq(effective))
            .add(Column::Identifier.eq(self.identifier))
    }
}
