//! Pushes to named devices, from their senders' side.

mod admin;
mod command;

mod repeats;
mod withdrawing;
