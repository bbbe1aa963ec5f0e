//! Pushes over consecutive long polls.

use super::api::{DeviceApi, Failure, Push};

/// Wait of a poll in seconds. Longer waits save calls if nothing between the device and the server cuts them off.
const WAIT_S: u32 = 30;

/// Long polls of a device.
pub(super) struct Polls<'a> {
    pub(super) api: &'a DeviceApi,
}

impl Polls<'_> {
    /// Returns the next pushes, possibly none.
    pub(super) async fn next(&mut self) -> Result<Vec<Push>, Failure> {
        self.api.poll(WAIT_S).await
    }
}
