//! Slipway.
pub mod access;
pub mod catalog;
pub mod clock;
pub mod config;
pub mod live;
pub mod resolve;
pub mod secrets;
pub mod services;
pub mod storage;
