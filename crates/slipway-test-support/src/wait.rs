//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Polls a condition until it holds. Panics at the time limit.
pub async fn until(what: &str, within: Duration, is_so: impl AsyncFnMut() -> bool) {
    assert!(comes_true(within, is_so).await, "not within {within:?}: {what}");
}

/// Polls a condition. Returns true if it held within the time limit.
pub async fn comes_true(within: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !is_so().await {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
