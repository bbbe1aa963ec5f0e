//! Domain of Slipway: its types, their rules, and the authorization rules.
//!
//! This crate is pure: no HTTP, SQL, async, clock or environment.

pub mod access;
pub mod catalog;
