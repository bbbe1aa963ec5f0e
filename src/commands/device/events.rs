//! Pushes over a stream of server-sent events, opened again whenever it ends.

use anyhow::Context as _;
use reqwest::Response;

use super::api::{DeviceApi, Failure, Push};
use super::sse::{Event, EventReader};

/// The stream of a device.
pub(super) struct Events<'a> {
    api: &'a DeviceApi,
    /// The highest sequence that came, or that the device had before.
    has_up_to: Option<i64>,
    open: Option<Response>,
    reader: EventReader,
}

impl<'a> Events<'a> {
    pub(super) fn new(api: &'a DeviceApi, has_up_to: Option<i64>) -> Self {
        Self {
            api,
            has_up_to,
            open: None,
            reader: EventReader::default(),
        }
    }

    /// The pushes that come next, perhaps none. An error says that the stream is not open.
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
                let pushes = pushes.map_err(Failure::Lasting)?;
                self.has_up_to = self.has_up_to.max(pushes.iter().map(|push| push.sequence).max());
                Ok(pushes)
            }
            Ok(None) => Err(self.ended("the stream ended".to_owned())),
            Err(error) => Err(self.ended(format!(
                "the stream broke: {:#}",
                anyhow::Error::new(error.without_url())
            ))),
        }
    }

    async fn open(&mut self) -> Result<Response, Failure> {
        self.reader.begin();
        self.api.open_events(self.has_up_to).await
    }

    fn ended(&self, why: String) -> Failure {
        Failure::Passing {
            why,
            after: self.reader.retry,
        }
    }
}

/// Events of other names may come from a later server.
fn read(event: &Event) -> Option<anyhow::Result<Push>> {
    let push = || serde_json::from_str(&event.data).context("a push cannot be read");
    (event.name == "push").then(push)
}
