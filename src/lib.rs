//! Slipway: release management for fleets of devices. This package is the server.
//!
//! The domain (`slipway-domain`), the decision of a check (`slipway-resolver`), the gateway's wire protocol
//! (`slipway-gateway`) and the client commands (`slipway-client`) are packages of their own in `crates`.
//!
//! The layers, from the inside out. Dependencies point inwards only; `tests/architecture` checks this.
//!
//! - [`secrets`]: passwords, tokens, encryption.
//! - [`storage`]: the database; the only module that uses the ORM.
//! - [`live`]: the published catalog in memory, kept in sync with the database.
//! - [`artifact_store`]: the files of artifacts; the only module that uses `object_store`.
//! - [`broker`]: the MQTT broker; the only module that uses the MQTT client library.
//! - [`services`]: the use cases; they own transactions and audit.
//! - [`supervision`]: runs background tasks and restarts them after failures.
//! - [`http`]: the HTTP APIs; the only module that uses the web framework.
//! - [`maintenance`]: commands that an operator runs against the database.
//! - [`app`]: the composition root.
//! - [`demo`]: a server with sample data.

pub mod app;
pub mod artifact_store;
mod backoff;
pub mod broker;
pub mod clock;
pub mod config;
pub mod data_directory;
pub mod demo;
mod error_chain;
pub mod http;
pub mod live;
pub mod maintenance;
pub mod random;
pub mod secrets;
pub mod services;
pub mod storage;
pub mod supervision;
pub mod telemetry;
mod thread_priority;
mod timer;
