//! Calls of a device that holds a token, and the distinction between temporary and permanent failures.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use super::super::response::{body, refusal_reason, text};
use super::super::server::{client, streaming_client};
use super::DeviceTarget;

/// Timeout of a silent stream. A live server sends a comment every 20 seconds.
const STREAM_TIMEOUT: Duration = Duration::from_mins(1);
/// Time that a poll may take beyond its wait.
const POLL_MARGIN: Duration = Duration::from_secs(30);

/// Client of the device API.
pub(super) struct DeviceApi {
    client: Client,
    streams: Client,
    url: Url,
    device: String,
    token: String,
}

/// Push as the device receives it.
#[derive(Debug, Deserialize)]
pub(super) struct Push {
    /// Identifies a push that is delivered again.
    #[serde(rename = "push_id")]
    pub(super) id: String,
    /// Number of the push among those to the device.
    pub(super) sequence: i64,
    pub(super) action: String,
    pub(super) app_id: String,
    pub(super) app_type: String,
    pub(super) pack_url: String,
}

/// Failure of a call.
#[derive(Debug)]
pub(super) enum Failure {
    /// Temporary. A retry may succeed, but not before the delay that the server requested.
    Temporary { reason: String, after: Option<Duration> },
    /// Permanent. A retry would fail again.
    Permanent(anyhow::Error),
}

impl DeviceApi {
    pub(super) fn new(target: &DeviceTarget, token: String) -> anyhow::Result<Self> {
        Ok(Self {
            client: client(&target.url)?,
            streams: streaming_client(&target.url, STREAM_TIMEOUT)?,
            url: target.url.clone(),
            device: target.device.clone(),
            token,
        })
    }

    /// Opens the event stream, after the last sequence that the device has.
    pub(super) async fn open_events(&self, last_sequence: Option<i64>) -> Result<Response, Failure> {
        let mut request = self.streams.get(self.path(&["events"])?);
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(sequence) = last_sequence {
            request = request.header("Last-Event-ID", sequence);
        }
        self.send(request).await
    }

    /// Polls for pushes, for at most `wait_s` seconds.
    pub(super) async fn poll(&self, wait_s: u32) -> Result<Vec<Push>, Failure> {
        #[derive(Deserialize)]
        struct Pushes {
            items: Vec<Push>,
        }
        let mut url = self.path(&["pushes"])?;
        url.set_query(Some(&format!("wait_s={wait_s}")));
        let longest = Duration::from_secs(wait_s.into()) + POLL_MARGIN;
        let response = self.send(self.client.get(url).timeout(longest)).await?;
        let pushes: Pushes = response.json().await.map_err(temporary)?;
        Ok(pushes.items)
    }

    /// Acknowledges a push with a state, and returns the state that the server keeps.
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

    /// Returns a URL below the device's own. The id may contain any character and is percent-encoded.
    fn path(&self, below: &[&str]) -> Result<Url, Failure> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::Permanent(anyhow!("{} cannot be completed", self.url)))?
            .pop_if_empty()
            .extend(["v1", "devices", &self.device])
            .extend(below);
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.bearer_auth(&self.token).send().await.map_err(temporary)?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let after = retry_after(&response);
        let reason = refusal_reason(status, &body(response).await);
        // All other refusals are permanent, e.g. an invalid token, or a server too old for the call.
        let is_temporary = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if is_temporary {
            Failure::Temporary { reason, after }
        } else {
            Failure::Permanent(anyhow!("the server refuses the device: {reason}"))
        })
    }
}

fn temporary(error: reqwest::Error) -> Failure {
    let error = anyhow::Error::new(error.without_url());
    Failure::Temporary {
        reason: format!("{error:#}"),
        after: None,
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}
