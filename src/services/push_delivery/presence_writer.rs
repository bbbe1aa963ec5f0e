//! Writes to the database which devices are connected to this node, in batches. Any node can then list connected
//! devices.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::hub::Hub;
use crate::live::DeviceRef;
use crate::poller::{Poller, PollingTask};
use crate::storage::{Db, StorageError, device_presence};
use crate::supervision::Exit;
use crate::timer;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

const WRITE_EVERY: Duration = Duration::from_secs(1);
/// A device that reconnects within this time stays connected: a polling device is absent between two polls.
const GRACE: Duration = Duration::from_secs(5);
/// Rows per transaction, so that a push to one of these devices waits only briefly.
const BATCH: usize = 500;
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(5);

/// Writes the changes from [`Presence`](super::presence::Presence) to the database.
pub(super) struct PresenceWriter {
    db: Db,
    hub: Arc<Hub>,
    /// Id of this run of the node in the database.
    node: Uuid,
    /// Devices that are connected to this node according to the database.
    written: HashSet<DeviceRef>,
}

/// Connection or disconnection of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    device: DeviceRef,
    is_connected: bool,
}

/// Changes to write, and devices to check again after the grace period.
#[derive(Debug, Default)]
struct PresenceChanges {
    changes: Vec<Change>,
    later: Vec<(DeviceRef, Instant)>,
}

impl PresenceWriter {
    pub(super) fn new(db: Db, hub: Arc<Hub>, node: Uuid) -> Self {
        Self {
            db,
            hub,
            node,
            written: HashSet::new(),
        }
    }

    /// Writes until `is_over` returns, and then writes the remaining changes within a time limit.
    pub(super) async fn run(&mut self, is_over: impl Future<Output = ()>) -> Exit {
        self.reconsider_all();
        Poller::new("presence", WRITE_EVERY)
            .run_until(is_over, self)
            .await;
        let written = timeout(WRITE_LAST_WITHIN, self.write(Duration::ZERO)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!("the last disconnects were not written; they take effect once this node expires");
        }
        Exit::Finished
    }

    /// Checks every device again: the previous run may have lost changes.
    fn reconsider_all(&self) {
        let now = timer::runtime_now();
        let devices = self.hub.devices().into_iter().chain(self.written.iter().cloned());
        self.hub.presence.put_back(devices.map(|device| (device, now)));
    }

    async fn write(&mut self, grace: Duration) -> Result<(), StorageError> {
        let decided = self.decide(self.hub.presence.take(), grace);
        self.hub.presence.put_back(decided.later);
        let mut unwritten = decided.changes.as_slice();
        while let Some(batch) = unwritten.chunks(BATCH).next() {
            if let Err(error) = self.write_batch(batch).await {
                let now = timer::runtime_now();
                let again = unwritten.iter().map(|change| (change.device.clone(), now));
                self.hub.presence.put_back(again);
                return Err(error);
            }
            self.remember(batch);
            unwritten = &unwritten[batch.len()..];
        }
        Ok(())
    }

    fn decide(&self, changed: HashMap<DeviceRef, Instant>, grace: Duration) -> PresenceChanges {
        let mut decided = PresenceChanges::default();
        for (device, at) in changed {
            let is_connected = self.hub.has(&device);
            if is_connected == self.written.contains(&device) {
                continue;
            }
            if !is_connected && at.elapsed() < grace {
                decided.later.push((device, at));
            } else {
                decided.changes.push(Change { device, is_connected });
            }
        }
        // Sorted by tenant first, because they are written by tenant.
        decided
            .changes
            .sort_unstable_by(|a, b| a.sorted_by().cmp(&b.sorted_by()));
        decided
    }

    async fn write_batch(&self, changes: &[Change]) -> Result<(), StorageError> {
        let tx = self.db.begin().await?;
        for of_tenant in changes.chunk_by(|a, b| a.device.tenant == b.device.tenant) {
            let scope = TenantScope::internal(of_tenant[0].device.tenant);
            for alike in of_tenant.chunk_by(|a, b| a.is_connected == b.is_connected) {
                let ids: Vec<_> = alike.iter().map(|change| change.device.device.as_str()).collect();
                if alike[0].is_connected {
                    device_presence::set_connected(&tx, scope, &ids, self.node).await?;
                } else {
                    device_presence::set_disconnected(&tx, scope, &ids, self.node).await?;
                }
            }
        }
        tx.commit().await
    }

    fn remember(&mut self, changes: &[Change]) {
        for change in changes {
            if change.is_connected {
                self.written.insert(change.device.clone());
            } else {
                self.written.remove(&change.device);
            }
        }
    }
}

impl PollingTask for PresenceWriter {
    type Hint = Infallible;
    type Error = StorageError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<(), StorageError> {
        self.write(GRACE).await
    }
}

impl Change {
    fn sorted_by(&self) -> (TenantId, bool, &DeviceId) {
        (self.device.tenant, self.is_connected, &self.device.device)
    }
}
