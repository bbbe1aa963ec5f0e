//! Channels over which devices get and acknowledge pushes: event streams, long polls and MQTT. What they share on this
//! node is in [`push_delivery`](super::push_delivery).

mod acknowledging;
mod delivered_push;
mod device_pushes;
mod mqtt;
mod polling;
mod stream;

pub use acknowledging::{PushAck, acknowledge, acknowledge_within_limit};
pub use delivered_push::DeliveredPush;
pub use mqtt::{MqttTasks, RunningMqtt};
pub use polling::{MAX_POLL_WAIT_S, MAX_POLLED, poll};
pub use stream::{EventStream, StreamEvent, open_stream};
