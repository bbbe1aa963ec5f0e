//! Tests of the crate's public interface, in one binary.
#![expect(
    clippy::disallowed_methods,
    reason = "tests measure real time and make their own ids"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod chaos;
mod faults;
mod resolve;
mod storage;
