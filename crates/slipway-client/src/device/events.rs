//! Pushes over a stream of server-sent events, reopened whenever it ends.

use anyhow::Context as _;
use reqwest::Response;

use super::api::{DeviceApi, Failure, Push};
use super::sse::{Event, EventReader};

/// Event stream of a device.
pub(super) struct Events<'a> {
    api: &'a DeviceApi,
    /// Highest sequence received, or that the device had before.
    last_sequence: Option<i64>,
    open: Option<Response>,
    reader: EventReader,
}

impl<'a> Events<'a> {
    pub(super) fn new(api: &'a DeviceApi, last_sequence: Option<i64>) -> Self {
        Self {
            api,
            last_sequence,
            open: None,
            reader: EventReader::default(),
        }
    }

    /// Returns the next pushes, possibly none. An error means that the stream is not open.
    pub(super) async fn next(&mut self) -> Result<Vec<Push>, Failure> {
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        match stream.chunk().await {
            Ok(Some(bytes)) => {
                self.open = Some(stream);
                let events = self.reader.read(&bytes);
                let pushes: Result<Vec<_>, _> = events.iter().filter_map(read).collect();
                let pushes = pushes.map_err(Failure::Permanent)?;
                self.last_sequence = self
                    .last_sequence
                    .max(pushes.iter().map(|push| push.sequence).max());
                Ok(pushes)
            }
            Ok(None) => Err(self.ended("the stream ended".to_owned())),
            Err(error) => Err(self.ended(format!(
                "the stream failed: {:#}",
                anyhow::Error::new(error.without_url())
            ))),
        }
    }

    async fn open(&mut self) -> Result<Response, Failure> {
        self.reader.begin();
        self.api.open_events(self.last_sequence).await
    }

    fn ended(&self, reason: String) -> Failure {
        Failure::Temporary {
            reason,
            after: self.reader.retry,
        }
    }
}

/// Returns `None` for an event with another name, which a later server may send.
fn read(event: &Event) -> Option<anyhow::Result<Push>> {
    let push = || serde_json::from_str(&event.data).context("a push cannot be read");
    (event.name == "push").then(push)
}
