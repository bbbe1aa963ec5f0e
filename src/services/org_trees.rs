//! Org directories in memory, for the pages that show a part of one. Parsing a large directory takes longer than showing it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::org_tree::OrgTree;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::MAX_DIRECTORY_NODES;

/// Maximum number of nodes in memory.
const MAX_NODES: usize = 2 * MAX_DIRECTORY_NODES;
/// Maximum number of directories in memory.
const MAX_TREES: usize = 100;

/// The directories that were shown last, the newest use first.
#[derive(Debug, Default)]
pub(super) struct OrgTrees(Mutex<Vec<CachedTree>>);

#[derive(Debug, Clone)]
struct CachedTree {
    tenant: TenantId,
    etag: String,
    tree: Arc<OrgTree>,
}

impl OrgTrees {
    /// Returns this version of a tenant's directory if it is in memory.
    pub(super) fn find(&self, tenant: TenantId, etag: &str) -> Option<Arc<OrgTree>> {
        let mut trees = self.lock();
        let place = trees
            .iter()
            .position(|cached| cached.tenant == tenant && cached.etag == etag)?;
        trees[..=place].rotate_right(1);
        Some(trees[0].tree.clone())
    }

    /// Keeps the current version of a tenant's directory, in place of those that were not used for the longest time.
    pub(super) fn insert(&self, tenant: TenantId, etag: String, tree: Arc<OrgTree>) {
        let mut trees = self.lock();
        trees.retain(|cached| cached.tenant != tenant);
        trees.insert(0, CachedTree { tenant, etag, tree });
        let mut nodes = 0;
        let kept = trees.iter().take(MAX_TREES).take_while(|cached| {
            nodes += cached.tree.nodes().len();
            nodes <= MAX_NODES
        });
        let kept = kept.count();
        trees.truncate(kept);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<CachedTree>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant(number: i64) -> TenantId {
        TenantId::parse(number).unwrap()
    }

    fn tree(nodes: usize) -> Arc<OrgTree> {
        let nodes = (0..nodes).map(|number| json!({"path": [format!("S{number}")]}));
        let nodes = serde_json::from_value(nodes.collect()).unwrap();
        Arc::new(OrgTree::new(nodes))
    }

    #[test]
    fn only_the_version_that_was_inserted_last_is_found() {
        let trees = OrgTrees::default();
        trees.insert(tenant(1), "a".to_owned(), tree(1));
        trees.insert(tenant(1), "b".to_owned(), tree(2));
        assert!(trees.find(tenant(1), "a").is_none());
        assert!(trees.find(tenant(2), "b").is_none());
        assert_eq!(trees.find(tenant(1), "b").unwrap().nodes().len(), 2);
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let trees = OrgTrees::default();
        for number in 1..=2 {
            trees.insert(tenant(number), "a".to_owned(), tree(MAX_DIRECTORY_NODES));
        }
        trees.find(tenant(1), "a").unwrap();
        trees.insert(tenant(3), "a".to_owned(), tree(1));
        let is_kept = |number| trees.find(tenant(number), "a").is_some();
        assert_eq!([1, 2, 3].map(is_kept), [true, false, true]);
    }
}
