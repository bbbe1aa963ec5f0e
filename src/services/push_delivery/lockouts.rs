//! Revocation of access for devices that are connected to this node.

use tokio::sync::mpsc;

use super::hub::Hub;
use crate::live::LockedOut;
use crate::supervision::Exit;

/// Wakes the listeners of affected devices, so that each checks its access again. Runs until the task is dropped or the
/// queue is closed.
pub(super) async fn run(locked_out: &mut mpsc::UnboundedReceiver<LockedOut>, hub: &Hub) -> Exit {
    while let Some(who) = locked_out.recv().await {
        match who {
            LockedOut::Device(device) => hub.wake(&device),
            LockedOut::Tenant(tenant) => hub.wake_tenant(tenant),
            LockedOut::EveryDevice => hub.wake_all(),
        }
    }
    Exit::Finished
}
