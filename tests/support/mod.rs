//! What the tests stand on.

pub(crate) mod cluster;
pub(crate) mod database;
pub(crate) mod embedded;
pub(crate) mod fuzzing;
pub(crate) mod mosquitto;
pub(crate) mod mqtt_device;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod sse;
pub(crate) mod story;
pub(crate) mod wait;
