//! The releases that a check can depend on, among those in the states that it can depend on.
//!
//! A published release is *superseded* if a newer one passes for every device: no check offers it, unless a pin keeps a
//! device below the newer one. Superseded releases stay in the database and are not loaded into memory. They become
//! effective again when the newer one is paused, recalled or restricted. Floors, mandatory and recalled releases are
//! never superseded, because they matter to devices that have an older or the same version.
//!
//! A release whose file requires an API level supersedes only releases that require this level or a higher one: devices
//! below it still get those that require less. The newest release is therefore found for each level of the resource.
//!
//! The flags are computed in the transaction of the change, for the changed resources alone.

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::StorageError;
use super::entity::release::{Column, Entity};
use super::entity::{artifact, pin, resource};
use super::row::Row;
use super::statements::Transaction;
use slipway_domain::catalog::pin::{PinMode, PinModeError};
use slipway_domain::catalog::release::{ReleaseState, ReleaseStateKind};
use slipway_domain::catalog::rollout::Share;
use slipway_domain::catalog::version::VersionCode;

/// States that a check can depend on.
pub(super) const EFFECTIVE_STATES: [ReleaseStateKind; 2] =
    [ReleaseStateKind::Published, ReleaseStateKind::Recalled];

/// Maximum number of pinned versions that are treated separately. With more, everything from the lowest one up is
/// effective.
const MAX_PINNED_VERSIONS: usize = 50;

/// Stored texts of a targeting that excludes no device. When the targeting gets a field, its text is added: existing rows
/// keep theirs.
const FOR_EVERYBODY: [&str; 1] = [
    r#"{"org_scopes":[],"org_exclusions":[],"device_types":[],"host_version_min":null,"host_version_max":null,"attribute_rules":[],"device_ids":[]}"#,
];

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

/// Maximum number of levels that are treated separately. With more, every release is effective.
const MAX_LEVELS: usize = 64;

/// API level that files require; `None` requires none.
type Level = Option<i32>;

fn requires(level: Level) -> SimpleExpr {
    match level {
        Some(level) => Column::MinSdk.eq(level),
        None => Column::MinSdk.is_null(),
    }
}

/// Range of version codes, inclusive, of the releases that require a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct VersionRange {
    level: Level,
    first: i64,
    last: i64,
}

impl VersionRange {
    fn contains(&self) -> SimpleExpr {
        requires(self.level).and(Column::VersionCode.between(self.first, self.last))
    }
}

/// Versions that a check can choose from.
#[derive(Debug)]
struct Choice {
    ranges: Vec<VersionRange>,
    exact: Vec<i64>,
    /// Too many levels: every version.
    is_everything: bool,
}

impl Choice {
    const EVERYTHING: Self = Self {
        ranges: Vec::new(),
        exact: Vec::new(),
        is_everything: true,
    };
}

/// App of a tenant, in a transaction that has changed it.
#[derive(Clone, Copy)]
pub(super) struct ChangedApp<'a> {
    pub(super) connection: &'a Transaction,
    pub(super) tenant: i64,
    pub(super) id: Uuid,
}

impl ChangedApp<'_> {
    /// Computes the flags of all releases, whatever they were.
    pub(super) async fn refresh_all(self) -> Result<(), StorageError> {
        // A release may have become a floor, mandatory or recalled without its flag.
        Entity::update_many()
            .col_expr(Column::Effective, Expr::value(true))
            .filter(Column::TenantId.eq(self.tenant))
            .filter(Column::AppId.eq(self.id))
            .filter(Column::Effective.eq(false))
            .filter(is_in_state(EFFECTIVE_STATES))
            .exec(self.connection)
            .await?;
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
        let choice = resource.choice().await?;
        if choice.is_everything {
            return resource.set(Column::VersionCode.gte(0)).await;
        }
        resource.clear_except(&choice).await?;
        for range in choice.ranges {
            resource.set(range.contains()).await?;
        }
        if !choice.exact.is_empty() {
            resource.set(Column::VersionCode.is_in(choice.exact)).await?;
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
    /// Returns the versions that a check can choose from: from the newest release for everybody upwards, the same below
    /// each ceiling, and exact ones.
    async fn choice(&self) -> Result<Choice, StorageError> {
        let Some(levels) = self.levels().await? else {
            return Ok(Choice::EVERYTHING);
        };
        let mut ranges = self.ranges_up_to(i64::MAX, &levels).await?;
        let newest = ranges.last().map_or(0, |range| range.first);
        let mut exact = Vec::new();
        let mut pinned = self.pinned_below(newest).await?;
        if pinned.len() > MAX_PINNED_VERSIONS {
            let lowest = pinned.iter().filter_map(|mode| mode.version_code()).min();
            let lowest = lowest.map_or(newest, VersionCode::get);
            ranges = self.ranges_up_to(lowest, &levels).await?;
            for range in &mut ranges {
                range.last = i64::MAX;
            }
            pinned.clear();
        }
        for mode in pinned {
            match mode {
                PinMode::Exact(version) => exact.push(version.get()),
                PinMode::Ceiling(version) => {
                    ranges.extend(self.ranges_up_to(version.get(), &levels).await?);
                }
                PinMode::Hold => {}
            }
        }
        Ok(Choice {
            ranges,
            exact,
            is_everything: false,
        })
    }

    /// Returns the levels that releases of the resource require, lowest first; `None` if there are too many.
    async fn levels(&self) -> Result<Option<Vec<Level>>, StorageError> {
        let mut levels = vec![None];
        // Each statement reads one entry of an index, where DISTINCT would read all.
        while let Some(next) = self.next_level(levels.last().copied().flatten()).await? {
            if levels.len() == MAX_LEVELS {
                return Ok(None);
            }
            levels.push(Some(next));
        }
        Ok(Some(levels))
    }

    async fn next_level(&self, level: Level) -> Result<Level, StorageError> {
        let next: Option<i32> = Entity::find()
            .filter(Column::TenantId.eq(self.app.tenant))
            .filter(Column::AppId.eq(self.app.id))
            .filter(Column::Identifier.eq(self.identifier))
            .filter(Column::MinSdk.gt(level.unwrap_or(0)))
            .select_only()
            .column(Column::MinSdk)
            .order_by_asc(Column::MinSdk)
            .limit(1)
            .into_tuple()
            .one(self.app.connection)
            .await?;
        Ok(next)
    }

    /// Returns the effective versions up to `ceiling` for each level: from the newest release on that supersedes those
    /// that require the level.
    async fn ranges_up_to(&self, ceiling: i64, levels: &[Level]) -> Result<Vec<VersionRange>, StorageError> {
        let mut ranges = Vec::with_capacity(levels.len());
        let mut first = 0;
        for level in levels.iter().copied() {
            first = std::cmp::max(first, self.newest_for_everybody(level, ceiling).await?);
            ranges.push(VersionRange {
                level,
                first,
                last: ceiling,
            });
        }
        Ok(ranges)
    }

    /// Returns the modes of pins with a lower version, each once.
    async fn pinned_below(&self, version: i64) -> Result<Vec<PinMode>, StorageError> {
        let modes: Vec<(String, i64)> = pin::Entity::find()
            .filter(pin::Column::TenantId.eq(self.app.tenant))
            .filter(pin::Column::AppId.eq(self.app.id))
            .filter(pin::Column::Identifier.eq(self.identifier))
            .filter(pin::Column::VersionCode.lt(version))
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
                let mode = PinMode::parse(&mode, Some(version)).map_err(PinModeError::into_reason);
                row.column("mode", mode)
            })
            .collect()
    }

    /// Returns the highest published version up to `ceiling` that passes for every device at any time, except those
    /// below the level; 0 without one.
    async fn newest_for_everybody(&self, level: Level, ceiling: i64) -> Result<i64, StorageError> {
        let newest: Option<i64> = Entity::find()
            .filter(Column::TenantId.eq(self.app.tenant))
            .filter(Column::AppId.eq(self.app.id))
            .filter(Column::Identifier.eq(self.identifier))
            .filter(is_not_discarded())
            .filter(is_in_state([ReleaseStateKind::Published]))
            .filter(Column::VersionCode.lte(ceiling))
            .filter(Column::RolloutShare.eq(i32::from(Share::EVERYBODY.hundredths())))
            .filter(Column::Targeting.is_in(FOR_EVERYBODY))
            .filter(Column::StartsAt.is_null())
            .filter(Column::EndsAt.is_null())
            .filter(requires(level))
            .filter(self.has_damaged_artifact().not())
            .select_only()
            .column(Column::VersionCode)
            .order_by_desc(Column::VersionCode)
            .limit(1)
            .into_tuple()
            .one(self.app.connection)
            .await?;
        Ok(newest.unwrap_or(0))
    }

    /// A release whose artifact is damaged is not offered, so that older ones are.
    fn has_damaged_artifact(&self) -> SimpleExpr {
        let artifact = |column| Expr::col((artifact::Entity, column));
        Expr::exists(
            Query::select()
                .expr(Expr::value(1))
                .from(artifact::Entity)
                .and_where(artifact(artifact::Column::TenantId).eq(self.app.tenant))
                .and_where(artifact(artifact::Column::Sha256).equals((Entity, Column::ArtifactSha256)))
                .and_where(artifact(artifact::Column::DamagedAt).is_not_null())
                .to_owned(),
        )
    }

    async fn clear_except(&self, choice: &Choice) -> Result<(), StorageError> {
        let mut kept_if_published = Condition::any()
            .add(Column::Floor.eq(true))
            .add(Column::Mandatory.eq(true))
            .add(Column::VersionCode.is_in(choice.exact.iter().copied()));
        for range in &choice.ranges {
            kept_if_published = kept_if_published.add(range.contains());
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

    /// Sets the flag of some versions. Each condition is one that the index serves: with several in one statement,
    /// SQLite would read every superseded release.
    async fn set(&self, versions: SimpleExpr) -> Result<(), StorageError> {
        Entity::update_many()
            .col_expr(Column::Effective, Expr::value(true))
            .filter(self.condition(false))
            .filter(versions)
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

#[cfg(test)]
mod tests {
    use slipway_domain::catalog::targeting::Targeting;

    use super::super::row::to_json;
    use super::*;

    #[test]
    fn the_text_of_a_targeting_for_everybody_is_known() {
        assert_eq!(
            FOR_EVERYBODY.last(),
            Some(&to_json(&Targeting::default()).as_str())
        );
    }
}
