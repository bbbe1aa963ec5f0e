//! Who hangs on this node: the event streams and long polls of devices, woken when something is pushed to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::presence::Presence;
use crate::catalog::ids::TenantId;
use crate::live::DeviceKey;

/// Streams and polls that one device may have here at a time. Beyond it the oldest is ended: it may be a connection
/// that died unnoticed, while the newest is certainly alive.
const LISTENERS_OF_A_DEVICE: usize = 8;

/// Every listener of this node, by device.
#[derive(Default)]
pub(super) struct Hub {
    devices: Mutex<HashMap<DeviceKey, Vec<Arc<Signal>>>>,
    is_ended: AtomicBool,
    streams: AtomicUsize,
    polls: AtomicUsize,
    something_pushed: Notify,
    pub(super) presence: Presence,
}

/// Which kind of listener it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListenerKind {
    Stream,
    Poll,
}

/// How a listener is told something.
#[derive(Default)]
struct Signal {
    wake: Notify,
    is_ended: AtomicBool,
}

/// Leave to listen; it ends when it is dropped.
pub(super) struct Listener {
    hub: Arc<Hub>,
    device: DeviceKey,
    kind: ListenerKind,
    signal: Arc<Signal>,
}

impl Hub {
    /// Begins to listen, or `None` when this node is about to stop. Whoever listens reads afterwards what is open: what
    /// is pushed later wakes them.
    pub(super) fn listen(self: &Arc<Self>, device: DeviceKey, kind: ListenerKind) -> Option<Listener> {
        let signal = Arc::new(Signal::default());
        let mut devices = self.lock();
        // Asked under the lock, so that nobody comes after all were ended.
        if self.is_ended.load(Ordering::Relaxed) {
            return None;
        }
        let listeners = devices.entry(device.clone()).or_default();
        if listeners.len() >= LISTENERS_OF_A_DEVICE {
            // It leaves the list by itself once its stream ends.
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

    /// Something was pushed to a device: wakes everybody who listens for it, and who listens for all.
    pub(super) fn pushed(&self, device: &DeviceKey) {
        self.wake(device);
        self.something_pushed.notify_one();
    }

    /// Wakes everybody who listens for a device.
    pub(super) fn wake(&self, device: &DeviceKey) {
        for signal in self.lock().get(device).into_iter().flatten() {
            signal.wake.notify_one();
        }
    }

    /// Returns once something was pushed to any device since it returned last.
    pub(super) async fn something_pushed(&self) {
        self.something_pushed.notified().await;
    }

    /// Wakes everybody who listens for a device of a tenant.
    pub(super) fn wake_tenant(&self, tenant: TenantId) {
        let devices = self.lock();
        let of_tenant = devices.iter().filter(|(device, _)| device.tenant == tenant);
        for signal in of_tenant.flat_map(|(_, signals)| signals) {
            signal.wake.notify_one();
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        for signal in self.lock().values().flatten() {
            signal.wake.notify_one();
        }
    }

    pub(super) fn has(&self, device: &DeviceKey) -> bool {
        self.lock().contains_key(device)
    }

    /// Every device that listens here.
    pub(super) fn devices(&self) -> Vec<DeviceKey> {
        self.lock().keys().cloned().collect()
    }

    /// Ends every listener, and lets no more come.
    pub(super) fn end(&self) {
        let devices = self.lock();
        self.is_ended.store(true, Ordering::Relaxed);
        for signal in devices.values().flatten() {
            signal.end();
        }
    }

    /// How many listeners of a kind there are.
    pub(super) fn count_of(&self, kind: ListenerKind) -> usize {
        self.count(kind).load(Ordering::Relaxed)
    }

    fn count(&self, kind: ListenerKind) -> &AtomicUsize {
        match kind {
            ListenerKind::Stream => &self.streams,
            ListenerKind::Poll => &self.polls,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceKey, Vec<Arc<Signal>>>> {
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
    /// Returns once something was pushed since it returned last, the listener was ended, or its device may be let in
    /// no more.
    pub(super) async fn woken(&self) {
        self.signal.wake.notified().await;
    }

    pub(super) fn is_ended(&self) -> bool {
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
    use crate::catalog::text::DeviceId;

    fn device(tenant: i64, id: &str) -> DeviceKey {
        DeviceKey {
            tenant: TenantId::parse(tenant).unwrap(),
            device: DeviceId::parse(id).unwrap(),
        }
    }

    async fn is_woken(listener: &Listener) -> bool {
        timeout(Duration::ZERO, listener.woken()).await.is_ok()
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
