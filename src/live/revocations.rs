//! Revocations of access, published to the holders of device connections as soon as this node learns of them.

use tokio::sync::mpsc;

use super::DeviceRef;
use slipway_domain::catalog::ids::TenantId;

/// Subject whose access was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// One device; its tokens issued so far are invalid.
    Device(DeviceRef),
    /// All devices of the installation; their tokens issued so far are invalid.
    EveryDevice,
    /// All callers of a tenant.
    Tenant(TenantId),
}

/// Sender of revocations.
#[derive(Debug, Clone)]
pub struct Revocations(mpsc::UnboundedSender<Revocation>);

impl Revocations {
    /// Returns the sender, and the receiver of all revocations.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Revocation>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(super) fn send(&self, revocation: Revocation) {
        // Without a receiver, no connections are held.
        let _ = self.0.send(revocation);
    }
}
