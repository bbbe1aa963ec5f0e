//! Who is let in no more, told as soon as this node knows it to whoever holds connections of devices.

use tokio::sync::mpsc;

use super::DeviceKey;
use crate::catalog::ids::TenantId;

/// Who is let in no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedOut {
    /// A device, by the tokens that it had until now.
    Device(DeviceKey),
    /// Every device of the installation, by the tokens that they had until now.
    EveryDevice,
    /// Everybody of a tenant.
    Tenant(TenantId),
}

/// Tells who is let in no more.
#[derive(Debug, Clone)]
pub struct Lockouts(mpsc::UnboundedSender<LockedOut>);

impl Lockouts {
    /// The other half hears of everybody.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<LockedOut>) {
        let (told, heard) = mpsc::unbounded_channel();
        (Self(told), heard)
    }

    pub(super) fn tell(&self, who: LockedOut) {
        // Where nobody hears of it nobody holds connections.
        let _ = self.0.send(who);
    }
}
