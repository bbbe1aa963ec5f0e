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
use slipway_domain::catalog::version::VersionCode;

/// States that a check can depend on.
pub(super) const EFFECTIVE_STATES: [ReleaseStateKind; 2] =
    [ReleaseStateKind::Published, ReleaseStateKind::Recalled];

/// Condition on a release `r` that passes for every device at any time. The words are those of `releases_everybody_idx`.
///
/// If you add a field to `Targeting`, keep this condition for existing rows and add one with the new text. Each needs its
/// own partial index, and PostgreSQL's function needs it, too.
const FOR_EVERYBODY_SQL: &str = "r.state = 'published' AND r.rollout_share = 10000 AND r.starts_at IS NULL \
     AND r.ends_at IS NULL AND r.targeting = '{\"org_scopes\":[],\"org_exclusions\":[],\"device_types\":[],\
     \"host_version_min\":null,\"host_version_max\":null,\"attribute_rules\":[],\"device_ids\":[]}'";

/// API level that a release `r` requires; 0 requires none. The words are those of the partial indexes.
const LEVEL_SQL: &str = "COALESCE(r.min_sdk, 0)";

/// Condition on a release `r` whose file is not a damaged artifact. A damaged one is not offered, so that older releases
/// are.
const INTACT_SQL: &str = "(SELECT a.damaged_at FROM artifacts a WHERE a.tenant_id = r.tenant_id \
     AND a.sha256 = r.artifact_sha256) IS NULL";

/// Maximum number of levels that are treated separately. Releases with a higher one are never superseded.
const MAX_LEVELS: u8 = 16;

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
    pub(super) fn refresh(self, backend: DbBackend, identifier: &str) -> Statement {
        Statement::from_sql_and_values(
            backend,
            refresh_sql(backend),
            [self.tenant.into(), self.id.into(), identifier.into()],
        )
    }
}

/// Returns the text of the statement that computes the flags of a resource, with the parameters tenant, app and
/// identifier.
///
/// A check can choose, among the releases of each level, from the newest one for everybody with this or a lower level
/// upwards; from the same below each ceiling of a pin; and from pinned versions. The cost grows with the numbers of
/// pins, of levels and of changed flags. It does not grow with the number of releases, because partial indexes serve
/// each part. The releases to write are selected by tenant and id alone: with the app, another index would fit, too.
///
/// PostgreSQL has the same statement as a function, in migration 12, because it would plan it anew for each change.
fn refresh_sql(backend: DbBackend) -> String {
    match backend {
        DbBackend::Postgres => "SELECT refresh_effective_releases($1, $2, $3)".to_owned(),
        _ => sqlite_refresh_sql(),
    }
}

fn sqlite_refresh_sql() -> String {
    let (releases, pins) = (of_resource("r"), of_resource("p"));
    let highest = VersionCode::MAX.get();
    let levels = levels_sql(&releases);
    // SQLite never reorders a cross join. It would read a resource's releases before the limits of an inner join.
    let supersedable = |flag: &str, versions: &str| {
        format!(
            "CROSS JOIN releases r ON {releases} AND {flag} AND {SUPERSEDABLE_SQL} AND {LEVEL_SQL} {versions}"
        )
    };
    let superseded = supersedable("r.effective", "= u.low AND r.version_code < u.lowest");
    let newest = supersedable("NOT r.effective", "= u.low AND r.version_code >= u.lowest");
    let of_pins = "= k.low AND r.version_code BETWEEN k.lowest AND k.highest";
    let (kept, pinned) = (
        supersedable("r.effective", of_pins),
        supersedable("NOT r.effective", of_pins),
    );
    let above_levels = supersedable("NOT r.effective", "> l.low");
    format!(
        "WITH RECURSIVE {levels}, \
         ceiling (highest) AS (SELECT {highest} UNION \
             SELECT p.version_code FROM pins p WHERE {pins} AND p.mode = 'ceiling'), \
         newest (highest, low, version_code) AS (SELECT c.highest, l.low, COALESCE((SELECT r.version_code \
                 FROM releases r WHERE {releases} AND {FOR_EVERYBODY_SQL} AND {LEVEL_SQL} = l.low \
                 AND r.version_code <= c.highest AND {INTACT_SQL} ORDER BY r.version_code DESC LIMIT 1), 0) \
             FROM ceiling c CROSS JOIN level l WHERE l.low IS NOT NULL), \
         choice (highest, low, lowest) AS (SELECT highest, low, \
             max(version_code) OVER (PARTITION BY highest ORDER BY low) FROM newest), \
         unpinned (low, lowest) AS (SELECT low, lowest FROM choice WHERE highest = {highest}), \
         pinned (low, lowest, highest) AS (\
             SELECT c.low, c.lowest, c.highest FROM choice c JOIN unpinned u ON u.low = c.low \
                 WHERE c.highest < u.lowest \
             UNION SELECT u.low, p.version_code, p.version_code FROM pins p CROSS JOIN unpinned u \
                 WHERE {pins} AND p.mode = 'exact' AND p.version_code < u.lowest), \
         kept (id) AS (SELECT r.id FROM pinned k {kept}) \
         UPDATE releases SET effective = NOT effective WHERE tenant_id = $1 AND id IN (\
             SELECT r.id FROM unpinned u {superseded} WHERE r.id NOT IN (SELECT id FROM kept) \
             UNION ALL SELECT r.id FROM unpinned u {newest} \
             UNION ALL SELECT r.id FROM pinned k {pinned} \
             UNION ALL SELECT r.id FROM level l {above_levels} WHERE l.number = {MAX_LEVELS})"
    )
}

/// Returns a recursive query `level (low, number)` for the levels of a resource, lowest first. Each step reads one entry
/// of an index, where `DISTINCT` would read all. The last `low` is null unless there are too many levels.
fn levels_sql(releases: &str) -> String {
    let lowest = |above: &str| {
        let of_index = |condition: &str| {
            format!(
                "SELECT (SELECT {LEVEL_SQL} FROM releases r WHERE {releases} AND {condition}{above} \
                 ORDER BY {LEVEL_SQL} LIMIT 1) AS low"
            )
        };
        let indexes = [
            of_index(FOR_EVERYBODY_SQL),
            of_index(&format!("r.effective AND {SUPERSEDABLE_SQL}")),
            of_index(&format!("NOT r.effective AND {SUPERSEDABLE_SQL}")),
        ];
        format!("(SELECT min(f.low) FROM ({}) f)", indexes.join(" UNION ALL "))
    };
    format!(
        "level (low, number) AS (SELECT {}, 1 UNION ALL \
         SELECT {}, level.number + 1 FROM level WHERE level.low IS NOT NULL AND level.number < {MAX_LEVELS})",
        lowest(""),
        lowest(&format!(" AND {LEVEL_SQL} > level.low"))
    )
}

fn of_resource(alias: &str) -> String {
    format!("{alias}.tenant_id = $1 AND {alias}.app_id = $2 AND {alias}.identifier = $3")
}

#[cfg(test)]
mod tests {
    use migration::{Migrator, MigratorTrait as _};
    use sea_orm::Database;
    use slipway_domain::catalog::rollout::Share;
    use slipway_domain::catalog::targeting::Targeting;

    use super::super::row::to_json;
    use super::*;

    /// Without the limits it would read all releases of the resource for each change.
    #[tokio::test]
    async fn sqlite_reads_releases_within_the_limits_of_a_level() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let app = ChangedApp {
            tenant: 1,
            id: Uuid::nil(),
        };
        let mut plan = app.refresh(DbBackend::Sqlite, "com.example.wms");
        plan.sql = format!("EXPLAIN QUERY PLAN {}", plan.sql);
        let steps = db.query_all_raw(plan).await.unwrap();
        let steps = steps
            .iter()
            .map(|step| step.try_get::<String>("", "detail").unwrap());
        let of_releases: Vec<_> = steps.filter(|step| step.starts_with("SEARCH r ")).collect();
        assert_eq!(of_releases.len(), 12, "{of_releases:#?}");
        let whole = of_releases.iter().filter(|step| !step.contains("<expr>"));
        assert_eq!(
            whole.count(),
            3,
            "the lowest level in each of three indexes: {of_releases:#?}"
        );
    }

    #[test]
    fn the_text_of_a_targeting_for_everybody_is_known() {
        let text = to_json(&Targeting::default());
        assert!(FOR_EVERYBODY_SQL.ends_with(&format!("r.targeting = '{text}'")));
        assert_eq!(Share::EVERYBODY.hundredths(), 10_000);
    }
}
