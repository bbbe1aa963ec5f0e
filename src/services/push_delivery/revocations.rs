//! Revocation of access for devices that are connected to this node.

use tokio::sync::mpsc;

use super::hub::Hub;
use crate::live::Revocation;
use crate::supervision::Exit;

/// Wakes the listeners of affected devices, so that each checks its access again. Runs until the task is dropped or the
/// queue is closed.
pub(super) async fn run(revoked: &mut mpsc::UnboundedReceiver<Revocation>, hub: &Hub) -> Exit {
    while let Some(revocation) = revoked.recv().await {
        match revocation {
            Revocation::Device(device) => hub.wake(&device),
            Revocation::Tenant(tenant) => hub.wake_tenant(tenant),
            Revocation::EveryDevice => hub.wake_all(),
        }
    }
    Exit::Finished
}
