//! Received messages and their acknowledgement to the broker.

use std::fmt;

use rumqttc::Publish;

use super::Broker;

/// A received message. The broker keeps it for this node until [`acknowledge`](Self::acknowledge), and sends it
/// again over the next connection.
pub struct ReceivedMessage {
    publish: Publish,
    broker: Broker,
    /// Number of the link over which the message arrived.
    link: u64,
}

impl ReceivedMessage {
    pub(super) fn new(publish: Publish, broker: &Broker) -> Self {
        Self {
            publish,
            broker: broker.clone(),
            link: broker.link.borrow().number,
        }
    }

    pub fn topic(&self) -> &[u8] {
        &self.publish.topic
    }

    pub fn payload(&self) -> &[u8] {
        &self.publish.payload
    }

    /// Acknowledges the message to the broker. If the connection has broken meanwhile, the message arrives again.
    pub async fn acknowledge(self) {
        let mut link = self.broker.link.clone();
        tokio::select! {
            biased;
            // A packet identifier is valid in its own connection only.
            _ = link.wait_for(|link| link.number != self.link) => {}
            sent = self.broker.client.ack(&self.publish) => {
                if let Err(error) = sent {
                    tracing::debug!(%error, "cannot acknowledge a message to the broker");
                }
            }
        }
    }
}

impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReceivedMessage")
            .field("topic", &String::from_utf8_lossy(self.topic()))
            .finish_non_exhaustive()
    }
}
