//! The event streams and long polls open on this node. A push to a device wakes the device's listeners.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::presence::Presence;
use crate::live::DeviceRef;
use slipway_domain::catalog::ids::TenantId;

/// Maximum number of streams and polls per device on this node. Above it the oldest is ended: its connection may have
/// died unnoticed, while the newest is certainly alive.
const LISTENERS_OF_A_DEVICE: usize = 8;

/// All listeners of this node, by device.
#[derive(Default)]
pub(super) struct Hub {
    devices: Mutex<HashMap<DeviceRef, Vec<Arc<Signal>>>>,
    is_ended: AtomicBool,
    streams: AtomicUsize,
    polls: AtomicUsize,
    something_pushed: Notify,
    pub(super) presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum ListenerKind {
    Stream,
    Poll,
}

/// Shared state of a listener: its wake-up and its end.
#[derive(Default)]
struct Signal {
    wake: Notify,
    is_ended: AtomicBool,
}

/// A registered listener. Dropping it unregisters it.
pub(in crate::services) struct Listener {
    hub: Arc<Hub>,
    device: DeviceRef,
    kind: ListenerKind,
    signal: Arc<Signal>,
}

impl Hub {
    /// Registers a listener. Returns `None` if this node is stopping. The caller must read the pending pushes
    /// afterwards; any later push wakes the listener.
    pub(super) fn listen(self: &Arc<Self>, device: DeviceRef, kind: ListenerKind) -> Option<Listener> {
        let signal = Arc::new(Signal::default());
        let mut devices = self.lock();
        // Checked under the lock, so that no listener can register after all were ended.
        if self.is_ended.load(Ordering::Relaxed) {
            return None;
        }
        let listeners = devices.entry(device.clone()).or_default();
        if listeners.len() >= LISTENERS_OF_A_DEVICE {
            // The listener unregisters when its stream ends.
            if let Some(oldest) = listeners.iter().find(|signal| !signal.is_ended()) {
                oldest.end();
            }
        }
        listeners.push(signal.clone());
        let is_first = listeners.len() == 1;
        drop(devices);
        if is_first {
            self.presence.changed(&device);
        }
        self.count(kind).fetch_add(1, Ordering::Relaxed);
        Some(Listener {
            hub: self.clone(),
            device,
            kind,
            signal,
        })
    }

    /// Wakes all listeners of a device that was pushed to, and the MQTT publisher.
    pub(super) fn notify_push(&self, device: &DeviceRef) {
        self.wake(device);
        self.something_pushed.notify_one();
    }

    /// Wakes all listeners of a device.
    pub(super) fn wake(&self, device: &DeviceRef) {
        for signal in self.lock().get(device).into_iter().flatten() {
            signal.wake.notify_one();
        }
    }

    /// Waits for a push to any device since the last call returned.
    pub(super) async fn wait_for_push(&self) {
        self.something_pushed.notified().await;
    }

    /// Wakes all listeners of a tenant's devices.
    pub(super) fn wake_tenant(&self, tenant: TenantId) {
        let devices = self.lock();
        let of_tenant = devices.iter().filter(|(device, _)| device.tenant == tenant);
        for signal in of_tenant.flat_map(|(_, signals)| signals) {
            signal.wake.notify_one();
        }
    }

    pub(super) fn wake_all(&self) {
        for signal in self.lock().values().flatten() {
            signal.wake.notify_one();
        }
    }

    pub(super) fn has(&self, device: &DeviceRef) -> bool {
        self.lock().contains_key(device)
    }

    /// Returns the devices that have a listener on this node.
    pub(super) fn devices(&self) -> Vec<DeviceRef> {
        self.lock().keys().cloned().collect()
    }

    /// Ends all listeners. New ones are not registered any more.
    pub(super) fn end(&self) {
        let devices = self.lock();
        self.is_ended.store(true, Ordering::Relaxed);
        for signal in devices.values().flatten() {
            signal.end();
        }
    }

    /// Returns the number of listeners of a kind.
    pub(super) fn count_of(&self, kind: ListenerKind) -> usize {
        self.count(kind).load(Ordering::Relaxed)
    }

    fn count(&self, kind: ListenerKind) -> &AtomicUsize {
        match kind {
            ListenerKind::Stream => &self.streams,
            ListenerKind::Poll => &self.polls,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceRef, Vec<Arc<Signal>>>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signal {
    fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

impl Listener {
    /// Waits until a push arrives, the listener is ended or its device may have lost access.
    pub(in crate::services) async fn wait(&self) {
        self.signal.wake.notified().await;
    }

    pub(in crate::services) fn is_ended(&self) -> bool {
        self.signal.is_ended()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut devices = self.hub.lock();
        let mut is_last = false;
        if let Some(listeners) = devices.get_mut(&self.device) {
            listeners.retain(|signal| !Arc::ptr_eq(signal, &self.signal));
            is_last = listeners.is_empty();
        }
        if is_last {
            devices.remove(&self.device);
        }
        drop(devices);
        if is_last {
            self.hub.presence.changed(&self.device);
        }
        self.hub.count(self.kind).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;
    use slipway_domain::catalog::text::DeviceId;

    fn device(tenant: i64, id: &str) -> DeviceRef {
        DeviceRef {
            tenant: TenantId::parse(tenant).unwrap(),
            device: DeviceId::parse(id).unwrap(),
        }
    }

    async fn is_woken(listener: &Listener) -> bool {
        timeout(Duration::ZERO, listener.wait()).await.is_ok()
    }

    #[tokio::test]
    async fn everybody_who_listens_for_the_device_is_woken_and_nobody_else() {
        let hub = Arc::new(Hub::default());
        let listen = |key| hub.listen(key, ListenerKind::Stream).unwrap();
        let both = [listen(device(1, "A")), listen(device(1, "A"))];
        let others = [listen(device(2, "A")), listen(device(1, "B"))];
        hub.wake(&device(1, "A"));
        for listener in &both {
            assert!(is_woken(listener).await && !is_woken(listener).await);
        }
        for listener in &others {
            assert!(!is_woken(listener).await);
        }
        hub.wake_tenant(others[0].device.tenant);
        assert!(is_woken(&others[0]).await && !is_woken(&others[1]).await);
        drop(both);
        assert!(!hub.has(&device(1, "A")) && hub.has(&device(1, "B")));
        assert_eq!(hub.count_of(ListenerKind::Stream), 2);
    }

    #[tokio::test]
    async fn one_listener_too_many_ends_the_oldest() {
        let hub = Arc::new(Hub::default());
        let key = device(1, "A");
        let listen = || hub.listen(key.clone(), ListenerKind::Poll).unwrap();
        let listeners: Vec<_> = (0..LISTENERS_OF_A_DEVICE + 2).map(|_| listen()).collect();
        let ended = listeners.iter().map(Listener::is_ended);
        let expected = (0..LISTENERS_OF_A_DEVICE + 2).map(|index| index < 2);
        assert!(ended.eq(expected));
        assert!(is_woken(&listeners[0]).await);
        assert!(!hub.listen(device(1, "B"), ListenerKind::Poll).unwrap().is_ended());
    }

    #[tokio::test]
    async fn an_ended_hub_lets_nobody_in() {
        let hub = Arc::new(Hub::default());
        let listener = hub.listen(device(1, "A"), ListenerKind::Stream).unwrap();
        hub.end();
        assert!(is_woken(&listener).await && listener.is_ended());
        assert!(hub.listen(device(1, "A"), ListenerKind::Stream).is_none());
    }
}
