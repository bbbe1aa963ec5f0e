//! Pushes by one long poll after another.

use super::api::{DeviceApi, Failure, Push};

/// How long a poll waits, in seconds. Longer ones save calls, where nothing between the device and the server cuts them.
const WAIT_S: u32 = 30;

/// The polls of a device.
pub(super) struct Polls<'a> {
    pub(super) api: &'a DeviceApi,
}

impl Polls<'_> {
    /// The pushes that come next, perhaps none.
    pub(super) async fn next(&mut self) -> Result<Vec<Push>, Failure> {
        self.api.poll(WAIT_S).await
    }
}
