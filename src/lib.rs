//! Slipway: release management for fleets of devices.
//!
//! The layers, from the inside out. Dependencies point inwards only; `tests/architecture` checks this.
//!
//! - [`catalog`]: the domain types and their rules. Pure.
//! - [`resolve`]: decides what a device gets, with the reason. Pure.
//! - [`access`]: the authorization rules. Pure.
//! - [`secrets`]: passwords, tokens, encryption.
//! - [`storage`]: the database; the only module that uses the ORM.
//! - [`live`]: the published catalog in memory, kept in sync with the database.
//! - [`broker`]: the MQTT broker; the only module that uses the MQTT client library.
//! - [`services`]: the use cases; they own transactions and audit.
//! - [`supervision`]: runs background tasks and restarts them after failures.
//! - [`http`]: the HTTP APIs; the only module that uses the web framework.
//! - [`commands`]: commands that an integrator runs against a server.
//! - [`maintenance`]: commands that an operator runs against the database.
//! - [`app`]: the composition root.
//! - [`demo`]: a server with sample data.

pub mod access;
pub mod app;
mod backoff;
pub mod broker;
pub mod catalog;
pub mod clock;
pub mod commands;
pub mod config;
pub mod data_directory;
pub mod demo;
mod error_chain;
pub mod http;
pub mod live;
pub mod maintenance;
pub mod resolve;
pub mod secrets;
pub mod services;
pub mod storage;
pub mod supervision;
pub mod telemetry;
mod thread_priority;
