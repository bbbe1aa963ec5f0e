//! Slipway.
pub mod access;
pub mod catalog;
pub mod resolve;
