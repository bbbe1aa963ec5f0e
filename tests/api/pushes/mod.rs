//! Pushes to named devices, from their senders' side.

mod admin;

mod repeats;
mod withdrawing;
