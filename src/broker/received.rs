//! A message that came in, and telling the broker that it is taken care of.

use std::fmt;

use rumqttc::Publish;

use super::Broker;

/// A message that came in. Until it is [confirmed](Self::confirm) the broker keeps it for this node, and sends it again
/// over the next connection.
pub struct Received {
    publish: Publish,
    broker: Broker,
    /// The link that it came over.
    link: u64,
}

impl Received {
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

    /// Lets the broker forget the message. Where the connection has broken since, it comes once more.
    pub async fn confirm(self) {
        let mut link = self.broker.link.clone();
        tokio::select! {
            biased;
            // The number of a message counts in its own connection only.
            _ = link.wait_for(|link| link.number != self.link) => {}
            told = self.broker.client.ack(&self.publish) => {
                if let Err(error) = told {
                    tracing::debug!(%error, "a message cannot be confirmed to the broker");
                }
            }
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Received")
            .field("topic", &String::from_utf8_lossy(self.topic()))
            .finish_non_exhaustive()
    }
}
