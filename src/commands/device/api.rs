//! The calls of a device that holds a token, and which of their failures pass.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use super::super::answer::{body, text, why};
use super::super::server::{client, streaming_client};
use super::Identity;

/// A stream that is silent for so long is dead: a server that lives sends a comment every 20 seconds.
const SILENCE: Duration = Duration::from_mins(1);
/// How much longer than it waits a poll may take.
const POLL_MARGIN: Duration = Duration::from_secs(30);

/// A device's calls.
pub(super) struct DeviceApi {
    client: Client,
    streams: Client,
    url: Url,
    device: String,
    token: String,
}

/// A push as the device gets it.
#[derive(Debug, Deserialize)]
pub(super) struct Push {
    /// Tells a push that comes again.
    #[serde(rename = "push_id")]
    pub(super) id: String,
    /// Counts the pushes to the device.
    pub(super) sequence: i64,
    pub(super) action: String,
    pub(super) app_id: String,
    pub(super) app_type: String,
    pub(super) pack_url: String,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is worth another try, no earlier than after what the server asked for.
    Passing { why: String, after: Option<Duration> },
    /// It would fail again.
    Lasting(anyhow::Error),
}

impl DeviceApi {
    pub(super) fn new(identity: &Identity, token: String) -> anyhow::Result<Self> {
        Ok(Self {
            client: client(&identity.url)?,
            streams: streaming_client(&identity.url, SILENCE)?,
            url: identity.url.clone(),
            device: identity.device.clone(),
            token,
        })
    }

    /// Opens the stream of events, after the last sequence that the device has.
    pub(super) async fn open_events(&self, has_up_to: Option<i64>) -> Result<Response, Failure> {
        let mut request = self.streams.get(self.path(&["events"])?);
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(sequence) = has_up_to {
            request = request.header("Last-Event-ID", sequence);
        }
        self.send(request).await
    }

    /// Asks for pushes, for so many seconds at most.
    pub(super) async fn poll(&self, wait_s: u32) -> Result<Vec<Push>, Failure> {
        #[derive(Deserialize)]
        struct Pushes {
            items: Vec<Push>,
        }
        let mut url = self.path(&["pushes"])?;
        url.set_query(Some(&format!("wait_s={wait_s}")));
        let longest = Duration::from_secs(wait_s.into()) + POLL_MARGIN;
        let response = self.send(self.client.get(url).timeout(longest)).await?;
        let pushes: Pushes = response.json().await.map_err(passing)?;
        Ok(pushes.items)
    }

    /// Says how far a push has come on the device, and returns the state that counts.
    pub(super) async fn acknowledge(
        &self,
        push_id: &str,
        state: &str,
        detail: Option<&str>,
    ) -> Result<String, Failure> {
        let url = self.path(&["pushes", push_id, "ack"])?;
        let said = json!({"state": state, "detail": detail});
        let response = self.send(self.client.post(url).json(&said)).await?;
        Ok(text(&body(response).await["state"]).to_owned())
    }

    /// An address below the device's own; an id may hold anything, and is percent-encoded.
    fn path(&self, below: &[&str]) -> Result<Url, Failure> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::Lasting(anyhow!("{} cannot be completed", self.url)))?
            .pop_if_empty()
            .extend(["v1", "devices", &self.device])
            .extend(below);
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.bearer_auth(&self.token).send().await.map_err(passing)?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let after = retry_after(&response);
        let why = why(status, &body(response).await);
        // The token is good no more, say, or the server is too old for the call: that does not pass.
        let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if passes {
            Failure::Passing { why, after }
        } else {
            Failure::Lasting(anyhow!("the server refuses the device: {why}"))
        })
    }
}

fn passing(error: reqwest::Error) -> Failure {
    let error = anyhow::Error::new(error.without_url());
    Failure::Passing {
        why: format!("{error:#}"),
        after: None,
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}
