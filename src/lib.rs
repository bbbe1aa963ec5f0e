//! Slipway: release management for fleets of devices.
//!
//! The rooms, from the inside out. Dependencies point inwards only; `tests/architecture.rs` checks it.
//!
//! - [`catalog`]: the nouns and their rules. Pure.
//! - [`resolve`]: the decision what a device gets, and why. Pure.
//! - [`access`]: who may do what. Pure.
//! - [`secrets`]: passwords, tokens, encryption.
//! - [`storage`]: the database; the only room that knows the ORM.
//! - [`live`]: the published catalog in memory, following the database.
//! - [`broker`]: the MQTT broker; the only room that knows its client.
//! - [`services`]: the use cases; they own transactions and audit.
//! - [`supervision`]: background tasks, restarted when they fail.
//! - [`http`]: the faces; the only room that knows the web framework.
//! - [`commands`]: what an integrator runs against a server.
//! - [`maintenance`]: what an operator runs against the database.
//! - [`app`]: puts the parts together. [`demo`]: a server to try.

pub mod access;
pub mod app;
mod backoff;
pub mod broker;
pub mod catalog;
mod causes;
pub mod clock;
pub mod commands;
pub mod config;
pub mod data_directory;
pub mod demo;
pub mod http;
pub mod live;
pub mod maintenance;
pub mod resolve;
pub mod secrets;
pub mod services;
pub mod storage;
pub mod supervision;
pub mod telemetry;
