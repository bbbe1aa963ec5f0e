//! Slipway.
pub mod access;
pub mod catalog;
pub mod clock;
pub mod config;
pub mod resolve;
pub mod secrets;
