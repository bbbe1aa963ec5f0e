//! Every test that goes through the crate's public face, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod chaos;
mod faults;
mod resolve;
mod storage;
