//! Monotonic time, for time limits and intervals. Unlike the [`Clock`](crate::clock::Clock), it says nothing about the
//! time of day.

use std::time::Instant;

/// Returns the current instant.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the current instant of the runtime's timers, which tests can pause.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn runtime_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
