//! Every state that the database has committed, by its pair.
//!
//! `history.sql` makes the database record the states in the same transactions. Before a failover all of them are read
//! from the server that will be lost, so the states of lost pairs stay known. An answer that names a pair without a
//! known state is therefore always wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::PgPool;

use super::state::case_of;
use slipway_test_support::wait::until;

/// Time limit of the runner's own queries.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A pair in the form of the header `Slipway-Revision`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) revision: i64,
    pub(super) head: String,
}

impl Pair {
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (revision, head) = header.split_once('.')?;
        Some(Self {
            revision: revision.parse().ok()?,
            head: head.to_owned(),
        })
    }
}

/// State of one tenant, from which answers are made.
pub(super) struct State {
    rows: String,
    case: OnceLock<Value>,
    /// True if a failover lost the state.
    lost: AtomicBool,
}

impl State {
    /// Returns the state in the form of the reference resolver's cases.
    pub(super) fn case(&self) -> &Value {
        self.case.get_or_init(|| case_of(&self.rows))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

type Known = HashMap<(i64, Pair), Arc<State>>;

pub(super) struct History {
    pool: Mutex<PgPool>,
    known: Mutex<Known>,
}

/// Result of a search for a state.
pub(super) enum Found {
    State(Arc<State>),
    /// The database never had the state.
    Never,
    /// The database is unavailable.
    NotNow,
}

impl History {
    /// Installs the recording of states in the database.
    pub(super) async fn begin(pool: PgPool) -> Self {
        sqlx::raw_sql(include_str!("history.sql"))
            .execute(&pool)
            .await
            .unwrap();
        Self {
            pool: Mutex::new(pool),
            known: Mutex::default(),
        }
    }

    fn pool(&self) -> PgPool {
        self.pool.lock().unwrap().clone()
    }

    pub(super) async fn find(&self, tenant: i64, pair: &Pair) -> Found {
        if let Some(state) = self.recall(tenant, pair) {
            return Found::State(state);
        }
        let query = "SELECT state FROM faults.history WHERE tenant_id = $1 AND revision = $2 AND head = $3";
        let query = sqlx::query_scalar(query)
            .bind(tenant)
            .bind(pair.revision)
            .bind(&pair.head);
        match query.fetch_optional(&self.pool()).await {
            Ok(Some(rows)) => Found::State(self.learn(tenant, pair.clone(), rows)),
            // A failover may have happened meanwhile. It reads all states before.
            Ok(None) => self.recall(tenant, pair).map_or(Found::Never, Found::State),
            Err(_) => Found::NotNow,
        }
    }

    /// Finds a state, waiting while the database is unavailable. Returns `None` if it never existed.
    pub(super) async fn find_surely(&self, tenant: i64, pair: &Pair) -> Option<Arc<State>> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.find(tenant, pair).await {
                Found::State(state) => return Some(state),
                Found::Never => return None,
                Found::NotNow => assert!(Instant::now() < deadline, "the database cannot be asked"),
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// Returns the current pair of every tenant in the database.
    pub(super) async fn current(&self) -> BTreeMap<i64, Pair> {
        let query = "SELECT tenant_id, revision, head FROM catalog_revisions";
        let rows: Vec<(i64, i64, String)> = self.read(query).await;
        rows.into_iter()
            .map(|(tenant, revision, head)| (tenant, Pair { revision, head }))
            .collect()
    }

    /// Returns the number of commits of all tenants.
    pub(super) async fn commit_count(&self) -> i64 {
        let rows: Vec<(i64,)> = self.read("SELECT count(*) FROM faults.history").await;
        rows[0].0
    }

    /// Returns the revisions of each tenant that are missing or duplicated.
    pub(super) async fn gaps(&self) -> Vec<(i64, i64, i64)> {
        self.read(
            "SELECT tenant_id, count(*), max(revision) FROM faults.history GROUP BY tenant_id \
             HAVING count(*) <> max(revision) OR count(DISTINCT revision) <> count(*)",
        )
        .await
    }

    /// Delays each commit by up to this duration.
    pub(super) async fn slow_commits_down(&self, most: Duration) {
        let slow = sqlx::query("UPDATE faults.pace SET commit_s = $1").bind(most.as_secs_f64());
        slow.execute(&self.pool()).await.unwrap();
    }

    /// Reads all recorded states that are not in memory yet.
    pub(super) async fn learn_all(&self) {
        let rows: Vec<(i64, i64, String, String)> = self
            .read("SELECT tenant_id, revision, head, state FROM faults.history")
            .await;
        for (tenant, revision, head, state) in rows {
            self.learn(tenant, Pair { revision, head }, state);
        }
    }

    /// Waits until no node is connected.
    pub(super) async fn is_left_alone(&self) {
        until("the nodes' connections end", Duration::from_mins(1), async || {
            let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slipway'";
            let rows: Vec<(i64,)> = self.read(query).await;
            rows[0].0 == 0
        })
        .await;
    }

    /// Switches to another server. Returns the number of lost states.
    pub(super) async fn fail_over(&self, pool: PgPool) -> usize {
        *self.pool.lock().unwrap() = pool;
        let rows: Vec<(i64, i64, String)> = self
            .read("SELECT tenant_id, revision, head FROM faults.history")
            .await;
        let kept: HashSet<_> = rows
            .into_iter()
            .map(|(tenant, revision, head)| (tenant, Pair { revision, head }))
            .collect();
        let known = self.known.lock().unwrap();
        let lost = known.iter().filter(|(pair, _)| !kept.contains(pair));
        lost.filter(|(_, state)| !state.lost.swap(true, Ordering::Relaxed))
            .count()
    }

    /// Drops the states that can be read from the database again.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap().retain(|_, state| state.is_lost());
    }

    fn recall(&self, tenant: i64, pair: &Pair) -> Option<Arc<State>> {
        self.known.lock().unwrap().get(&(tenant, pair.clone())).cloned()
    }

    fn learn(&self, tenant: i64, pair: Pair, rows: String) -> Arc<State> {
        let state = || {
            Arc::new(State {
                rows,
                case: OnceLock::new(),
                lost: AtomicBool::new(false),
            })
        };
        let mut known = self.known.lock().unwrap();
        known.entry((tenant, pair)).or_insert_with(state).clone()
    }

    /// Runs a query, waiting while the database is unavailable.
    async fn read<T>(&self, query: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match sqlx::query_as(query).fetch_all(&self.pool()).await {
                Ok(rows) => return rows,
                Err(error) => assert!(Instant::now() < deadline, "the database cannot be asked: {error}"),
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }
}
