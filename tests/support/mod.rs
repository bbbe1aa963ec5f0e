//! What the tests stand on.

pub(crate) mod database;
pub(crate) mod fuzzing;
pub(crate) mod mosquitto;
pub(crate) mod mqtt_device;
pub(crate) mod postgres;
pub(crate) mod sse;
