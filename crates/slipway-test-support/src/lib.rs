//! Servers, devices and proxies that the tests and benchmarks use.
#![expect(
    clippy::disallowed_methods,
    reason = "tests measure real time and make their own ids"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod balancer;
pub mod cluster;
pub mod database;
pub mod embedded;
pub mod event_log;
pub mod fuzzing;
pub mod mosquitto;
pub mod mqtt_device;
pub mod node;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod round_trips;
pub mod s3_server;
pub mod sample_app;
pub mod small_disk;
pub mod sse;
pub mod wait;
