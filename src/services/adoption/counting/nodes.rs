//! The count of a tenant's devices by org node.

use std::sync::Arc;

use super::{ROWS_AT_ONCE, Round, pause_after};
use crate::live::Lookup;
use crate::services::ServiceError;
use crate::storage::{catalog_states, device_counts, org_device_counts};
use crate::timer;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::node_devices::{NodeCounts, NodeDevices};
use slipway_domain::catalog::org::OrgDirectory;

/// Places read by one statement. They are parsed between two statements.
const PLACES_AT_ONCE: u64 = 1_000;
/// Stored numbers read by one statement.
const NODES_AT_ONCE: u64 = 1_000;

/// Differences between the counted and the stored numbers.
struct Differences {
    changed: Vec<NodeDevices>,
    gone: Vec<NodeDevices>,
}

impl Round<'_> {
    /// Counts the devices of a tenant by org node. Returns `false` if the lease was lost meanwhile.
    pub(super) async fn count_nodes(&mut self, scope: TenantScope) -> Result<bool, ServiceError> {
        let mut counts = NodeCounts::new(self.find_directory(scope).await?);
        let mut last: Option<i64> = None;
        if !self.renew_lease().await? {
            return Ok(false);
        }
        let reader = device_counts::begin_pages(self.ctx.db()).await?;
        loop {
            let began = timer::now();
            let page = device_counts::list_places(&reader, scope, last, PLACES_AT_ONCE).await?;
            let is_last_page = (page.len() as u64) < PLACES_AT_ONCE;
            last = page.last().map(|count| count.id);
            for count in page {
                counts.add(count.places.as_ref(), count.devices);
            }
            if is_last_page {
                break;
            }
            pause_after(began).await;
        }
        drop(reader);
        let differences = self.compare(scope, counts).await?;
        self.save_nodes(scope, &differences).await?;
        Ok(true)
    }

    /// Returns the directory in memory, because parsing a large one takes long.
    async fn find_directory(&self, scope: TenantScope) -> Result<Arc<OrgDirectory>, ServiceError> {
        if let Lookup::Found(served) = self.ctx.catalog().tenant(scope.tenant()) {
            return Ok(served.directory.clone());
        }
        let reader = self.ctx.db().begin_read().await?;
        let nodes = catalog_states::load_directory(&reader, scope).await?;
        Ok(Arc::new(OrgDirectory::of_nodes(&nodes)))
    }

    async fn compare(&self, scope: TenantScope, mut counts: NodeCounts) -> Result<Differences, ServiceError> {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        let mut last: Option<NodeDevices> = None;
        loop {
            let after = last.as_ref().map(|node| node.path.as_slice());
            let stored = org_device_counts::list(self.ctx.db(), scope, after, NODES_AT_ONCE).await?;
            let is_last_page = (stored.len() as u64) < NODES_AT_ONCE;
            last = stored.last().cloned();
            for node in stored {
                match counts.take(&node.path) {
                    0 => gone.push(node),
                    devices if devices == node.devices => {}
                    devices => changed.push(NodeDevices { devices, ..node }),
                }
            }
            if is_last_page {
                break;
            }
        }
        changed.append(&mut counts.into_rest());
        Ok(Differences { changed, gone })
    }

    async fn save_nodes(
        &mut self,
        scope: TenantScope,
        differences: &Differences,
    ) -> Result<(), ServiceError> {
        for nodes in differences.changed.chunks(ROWS_AT_ONCE) {
            let began = timer::now();
            let tx = self.ctx.db().begin().await?;
            org_device_counts::upsert(&tx, scope, nodes).await?;
            tx.commit().await?;
            self.report.nodes += nodes.len() as u64;
            pause_after(began).await;
        }
        for nodes in differences.gone.chunks(ROWS_AT_ONCE) {
            let began = timer::now();
            let tx = self.ctx.db().begin().await?;
            org_device_counts::delete(&tx, scope, nodes).await?;
            tx.commit().await?;
            self.report.nodes += nodes.len() as u64;
            pause_after(began).await;
        }
        Ok(())
    }
}
