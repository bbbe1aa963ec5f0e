//! Devices that hang here and are let in no more.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::hub::Hub;
use crate::live::LockedOut;

/// Wakes them, so that each sees for itself whether it is still let in, until the task is dropped.
pub(super) async fn run(mut locked_out: mpsc::UnboundedReceiver<LockedOut>, hub: Arc<Hub>) {
    while let Some(who) = locked_out.recv().await {
        match who {
            LockedOut::Device(device) => hub.wake(&device),
            LockedOut::Tenant(tenant) => hub.wake_tenant(tenant),
            LockedOut::EveryDevice => hub.wake_all(),
        }
    }
}
