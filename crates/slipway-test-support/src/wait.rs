//! Waiting for what must come to be so.

use std::time::{Duration, Instant};

/// Looks again and again until it is so; panics when it is not in time.
pub async fn until(what: &str, within: Duration, is_so: impl AsyncFnMut() -> bool) {
    assert!(comes_true(within, is_so).await, "not within {within:?}: {what}");
}

/// Looks again and again; says whether it came to be so in time.
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
