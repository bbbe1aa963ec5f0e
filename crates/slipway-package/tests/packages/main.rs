//! The inspection of made files: valid, hostile, cut off and mutated.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod meter;
mod mutated;
mod valid;
