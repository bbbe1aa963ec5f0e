//! A node, and the newest pair of each tenant that it has named.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Mutex;

use super::history::Pair;
use slipway_test_support::node::NodeProcess;
pub(super) use slipway_test_support::node::{NoAnswer, NodeAnswer};
use slipway_test_support::proxy::Target;

/// Seconds without the database after which a node is stale; short, so that it happens.
const STALE_AFTER_S: &str = "2";

pub(super) struct Node {
    process: NodeProcess,
    /// Number of the run that the pairs belong to, and the pairs by tenant.
    floors: Mutex<(u32, HashMap<i64, Pair>)>,
}

impl Deref for Node {
    type Target = NodeProcess;

    fn deref(&self) -> &NodeProcess {
        &self.process
    }
}

impl Node {
    pub(super) async fn start(number: usize, target: Target) -> Self {
        let settings = vec![("SLIPWAY_STALE_AFTER_S", STALE_AFTER_S.to_owned())];
        Self {
            process: NodeProcess::start(number, target, settings).await,
            floors: Mutex::default(),
        }
    }

    /// Returns the newest pair of a tenant that the node has named in this run, and the number of the run.
    pub(super) fn floor(&self, tenant: i64) -> Option<(u32, Pair)> {
        let now = self.run_number();
        let floors = self.floors.lock().unwrap();
        let (_, named) = Some(&*floors).filter(|(run_number, _)| *run_number == now)?;
        Some((now, named.get(&tenant)?.clone()))
    }

    /// Records that a run of the node has named a pair. Afterwards it must not name an older one.
    pub(super) fn raise_floor(&self, run_number: u32, tenant: i64, pair: &Pair) {
        let mut floors = self.floors.lock().unwrap();
        if floors.0 < run_number {
            *floors = (run_number, HashMap::new());
        }
        let (of_run, named) = &mut *floors;
        let is_higher = named
            .get(&tenant)
            .is_none_or(|floor| floor.revision < pair.revision);
        if *of_run == run_number && is_higher {
            named.insert(tenant, pair.clone());
        }
    }

    /// Forgets the pairs: after a failover another history applies.
    pub(super) fn drop_floors(&self) {
        self.floors.lock().unwrap().1.clear();
    }
}

/// Returns the pair that an answer names.
pub(super) fn pair_of(answer: &NodeAnswer) -> Option<Pair> {
    answer.revision.as_deref().and_then(Pair::parse)
}
