//! The releases that a check can depend on, among those in the states that it can depend on.
//!
//! A published release is *superseded* if a newer one passes for every device: no check offers it, unless a pin keeps a
//! device below the newer one. Superseded releases stay in the database and are not loaded into memory. They become
//! effective again when the newer one is paused, recalled or restricted. Floors, mandatory and recalled releases are
//! never superseded, because they matter to devices that have an older or the same version.
//!
//! The flags are computed in the transaction of the change, for the changed resources alone.

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    QueryTrait, Statement,
};

use super::StorageError;
use super::entity::release::{Column, Entity};
use super::entity::{app, resource};
use super::script::Command;
use super::statements::Transaction;
use slipway_domain::catalog::release::{ReleaseState, ReleaseStateKind};

/// States that a check can depend on.
pub(super) const EFFECTIVE_STATES: [ReleaseStateKind; 2] =
    [ReleaseStateKind::Published, ReleaseStateKind::Recalled];

/// Condition on a release `r` that passes for every device at any time. The words are those of `releases_everybody_idx`.
///
/// When the targeting gets a field, its text for everybody changes. Existing rows keep the old text, so both are then
/// compared, each with an index of its own.
const FOR_EVERYBODY_SQL: &str = "r.state = 'published' AND r.rollout_share = 10000 AND r.starts_at IS NULL \
     AND r.ends_at IS NULL AND r.targeting = '{\"org_scopes\":[],\"org_exclusions\":[],\"device_types\":[],\
     \"host_version_min\":null,\"host_version_max\":null,\"attribute_rules\":[],\"device_ids\":[]}'";

/// Condition on a release `r` that a newer one can supersede. The words are those of the partial indexes.
const SUPERSEDABLE_SQL: &str = "r.state = 'published' AND NOT r.floor AND NOT r.mandatory";

/// Number of resources of an app whose flags are computed in one round trip, which bounds its text.
const RESOURCES_AT_ONCE: usize = 100;

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

/// App of a tenant, in a transaction that has changed it.
#[derive(Clone, Copy)]
pub(super) struct ChangedApp {
    pub(super) tenant: i64,
    pub(super) id: Uuid,
}

impl ChangedApp {
    /// Computes the flags of all releases, whatever they were, and records that they are computed.
    pub(super) async fn refresh_all(self, tx: &Transaction) -> Result<(), StorageError> {
        let identifiers: Vec<String> = resource::Entity::find()
            .filter(resource::Column::TenantId.eq(self.tenant))
            .filter(resource::Column::AppId.eq(self.id))
            .select_only()
            .column(resource::Column::Identifier)
            .into_tuple()
            .all(tx)
            .await?;
        let backend = tx.get_database_backend();
        // A release may have become a floor, mandatory or recalled without its flag, or have ended with it.
        let [without_flag, with_flag] = [false, true].map(|flag| Column::Effective.eq(flag));
        let is_wrong = Condition::any()
            .add(without_flag.and(is_in_state(EFFECTIVE_STATES)))
            .add(with_flag.and(is_in_state(EFFECTIVE_STATES).not()));
        let reset = Entity::update_many()
            .col_expr(Column::Effective, Expr::col(Column::Effective).not())
            .filter(Column::TenantId.eq(self.tenant))
            .filter(Column::AppId.eq(self.id))
            .filter(is_wrong);
        let trust = app::Entity::update_many()
            .col_expr(app::Column::EffectiveAsOf, Expr::col(app::Column::Revision))
            .filter(app::Column::TenantId.eq(self.tenant))
            .filter(app::Column::Id.eq(self.id));
        tx.run(vec![Command::Execute(reset.build(backend))]).await?;
        for identifiers in identifiers.chunks(RESOURCES_AT_ONCE) {
            let refresh = identifiers
                .iter()
                .map(|identifier| self.refresh(backend, identifier));
            tx.run(refresh.map(Command::Execute).collect()).await?;
        }
        tx.run(vec![Command::Execute(trust.build(backend))])
            .await
            .map(drop)
    }

    /// Returns the statement that computes the flags of a resource's releases. Only flags that change are written.
    ///
    /// A check can choose from the newest release for everybody upwards, from the same below each ceiling of a pin, and
    /// from pinned versions. The cost grows with the number of pins and of changed flags. It does not grow with the
    /// number of releases, because partial indexes serve each part.
    pub(super) fn refresh(self, backend: DbBackend, identifier: &str) -> Statement {
        let of_resource = |alias: &str| {
            format!("{alias}.tenant_id = $1 AND {alias}.app_id = $2 AND {alias}.identifier = $3")
        };
        let (releases, pins) = (of_resource("r"), of_resource("p"));
        let newest_up_to = |ceiling: &str| {
            format!(
                "COALESCE((SELECT max(r.version_code) FROM releases r WHERE {releases} AND {FOR_EVERYBODY_SQL}{ceiling}), 0)"
            )
        };
        let (newest, newest_below) = (
            newest_up_to(""),
            newest_up_to(" AND r.version_code <= p.version_code"),
        );
        // An array is computed once. With outdated statistics PostgreSQL would compute the query again for each release.
        let (one_of, end) = match backend {
            DbBackend::Postgres => ("= ANY (ARRAY(", "))"),
            _ => ("IN (", ")"),
        };
        let sql = format!(
            "WITH newest (version_code) AS (SELECT {newest}), \
             pinned (lowest, highest) AS (SELECT DISTINCT \
                 CASE p.mode WHEN 'exact' THEN p.version_code ELSE {newest_below} END, p.version_code \
                 FROM pins p WHERE {pins} AND p.version_code < (SELECT version_code FROM newest)), \
             kept (id) AS (SELECT r.id FROM pinned JOIN releases r ON {releases} \
                 AND r.effective AND {SUPERSEDABLE_SQL} AND r.version_code BETWEEN pinned.lowest AND pinned.highest) \
             UPDATE releases SET effective = NOT effective WHERE tenant_id = $1 AND app_id = $2 AND id {one_of}\
                 SELECT r.id FROM releases r WHERE {releases} AND r.effective AND {SUPERSEDABLE_SQL} \
                     AND r.version_code < (SELECT version_code FROM newest) AND r.id NOT IN (SELECT id FROM kept) \
                 UNION ALL SELECT r.id FROM releases r WHERE {releases} AND NOT r.effective AND {SUPERSEDABLE_SQL} \
                     AND r.version_code >= (SELECT version_code FROM newest) \
                 UNION ALL SELECT r.id FROM pinned JOIN releases r ON {releases} AND NOT r.effective \
                     AND {SUPERSEDABLE_SQL} AND r.version_code BETWEEN pinned.lowest AND pinned.highest{end}"
        );
        Statement::from_sql_and_values(
            backend,
            sql,
            [self.tenant.into(), self.id.into(), identifier.into()],
        )
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::catalog::rollout::Share;
    use slipway_domain::catalog::targeting::Targeting;

    use super::super::row::to_json;
    use super::*;

    #[test]
    fn the_text_of_a_targeting_for_everybody_is_known() {
        let text = to_json(&Targeting::default());
        assert!(FOR_EVERYBODY_SQL.ends_with(&format!("r.targeting = '{text}'")));
        assert_eq!(Share::EVERYBODY.hundredths(), 10_000);
    }
}
