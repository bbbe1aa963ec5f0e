//! A node, and the newest pair of each tenant that it has named.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Mutex;

use super::history::Pair;
use slipway_test_support::node::NodeProcess;
pub(super) use slipway_test_support::node::{NoAnswer, NodeAnswer};
use slipway_test_support::proxy::Target;

/// After so long without the database a node is stale: short, so that it happens.
const STALE_AFTER_S: &str = "2";

pub(super) struct Node {
    process: NodeProcess,
    /// Those of one life.
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

    /// The newest pair of a tenant that the node has named in this life, and which life that is.
    pub(super) fn floor(&self, tenant: i64) -> Option<(u32, Pair)> {
        let now = self.life();
        let floors = self.floors.lock().unwrap();
        let (_, named) = Some(&*floors).filter(|(life, _)| *life == now)?;
        Some((now, named.get(&tenant)?.clone()))
    }

    /// Notes that a life of the node has named a pair, so that it may name no older one any more.
    pub(super) fn raise_floor(&self, life: u32, tenant: i64, pair: &Pair) {
        let mut floors = self.floors.lock().unwrap();
        if floors.0 < life {
            *floors = (life, HashMap::new());
        }
        let (of_life, named) = &mut *floors;
        let is_higher = named
            .get(&tenant)
            .is_none_or(|floor| floor.revision < pair.revision);
        if *of_life == life && is_higher {
            named.insert(tenant, pair.clone());
        }
    }

    /// After a failover another history counts.
    pub(super) fn drop_floors(&self) {
        self.floors.lock().unwrap().1.clear();
    }
}

/// The pair that an answer names.
pub(super) fn pair_of(answer: &NodeAnswer) -> Option<Pair> {
    answer.revision.as_deref().and_then(Pair::parse)
}
