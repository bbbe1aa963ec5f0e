//! Slipway.
pub mod access;
pub mod catalog;
