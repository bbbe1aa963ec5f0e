//! Devices that hang here and are let in no more.

use tokio::sync::mpsc;

use super::hub::Hub;
use crate::live::LockedOut;
use crate::supervision::Exit;

/// Wakes them, so that each sees for itself whether it is still let in, until the task is dropped or there can be no more of them.
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
