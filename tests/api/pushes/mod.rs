//! Pushes to named devices, from the senders' side.

mod admin;
mod command;

mod repeats;
mod withdrawing;
