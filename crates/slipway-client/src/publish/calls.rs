//! Calls of the admin API, repeated while the server is temporarily unavailable.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::Published;
use super::release::ReleasePlan;
use crate::response::{body, refusal_reason, text};
use crate::retry::RetryBackoff;
use crate::server::{client, streaming_client};

/// Maximum silence of the server during an upload.
const SILENCE: Duration = Duration::from_mins(2);

/// Tenant at a server, with a credential.
pub(super) struct Server {
    url: Url,
    token: String,
    tenant: i64,
    retries: u32,
    client: Client,
    /// Without a limit on the whole call, for uploads.
    pub(super) uploads: Client,
}

impl Server {
    /// `retries` is the number of times that a call is repeated while the server is unavailable.
    pub(super) fn new(url: Url, token: String, tenant: i64, retries: u32) -> Result<Self, Failure> {
        Ok(Self {
            client: client(&url).map_err(Failure::local)?,
            uploads: streaming_client(&url, SILENCE).map_err(Failure::local)?,
            url,
            token,
            tenant,
            retries,
        })
    }

    /// Creates a release, or finds the one of the same version and file.
    pub(super) async fn create_release(
        &self,
        plan: &ReleasePlan<'_>,
        publish: bool,
        overrides: Value,
    ) -> Result<Published, Failure> {
        let mut asked = plan.fields.clone();
        asked["publish"] = json!(publish);
        extend(&mut asked, overrides);
        let segments = ["apps", &plan.app, "releases"];
        let (status, release) = self.post(&segments, &asked).await?;
        Ok(Published {
            app: plan.app.clone(),
            is_new: status == StatusCode::CREATED,
            release,
        })
    }

    /// Publishes drafts together.
    pub(super) async fn publish_together(
        &self,
        created: &mut [Published],
        overrides: Value,
    ) -> Result<(), Failure> {
        let app = created.first().map_or("", |first| first.app.as_str()).to_owned();
        let ids: Vec<_> = created
            .iter()
            .map(|created| text(&created.release["id"]).to_owned())
            .collect();
        let mut asked = json!({"release_ids": ids});
        extend(&mut asked, overrides);
        let (_, mut answer) = self.post(&["apps", &app, "publish"], &asked).await?;
        for (index, created) in created.iter_mut().enumerate() {
            let ignored = created.release["ignored"].take();
            created.release = answer["items"][index].take();
            created.release["ignored"] = ignored;
        }
        Ok(())
    }

    /// Discards drafts that this run created. A failure leaves them, and the next run finds them.
    pub(super) async fn discard_new(&self, created: &[Published]) {
        for created in created.iter().filter(|created| created.is_new) {
            let id = text(&created.release["id"]);
            let _ = self
                .post(&["apps", &created.app, "releases", id, "discard"], &json!({}))
                .await;
        }
    }

    async fn post(&self, segments: &[&str], asked: &Value) -> Result<(StatusCode, Value), Failure> {
        let url = self.address(segments)?;
        self.call(|| self.client.request(Method::POST, url.clone()).json(asked))
            .await
    }

    /// Returns the address of an object of the tenant.
    pub(super) fn address(&self, segments: &[&str]) -> Result<Url, Failure> {
        let mut url = self.url.clone();
        let tenant = self.tenant.to_string();
        let Ok(mut path) = url.path_segments_mut() else {
            return Err(Failure::Usage(format!(
                "{} is not the address of a server",
                self.url
            )));
        };
        path.pop_if_empty()
            .extend(["api", "v1", "tenants", &tenant])
            .extend(segments);
        drop(path);
        Ok(url)
    }

    /// Reads an object; `None` if it is absent.
    pub(super) async fn get(&self, segments: &[&str]) -> Result<Option<Value>, Failure> {
        let url = self.address(segments)?;
        let answered = self.try_call(|| self.client.get(url.clone())).await?;
        match answered {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) if status.is_success() => Ok(Some(answer)),
            (status, answer) => Err(refused(status, &answer)),
        }
    }

    /// Sends a request until the server accepts it. A refusal is an error.
    pub(super) async fn call(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(StatusCode, Value), Failure> {
        match self.try_call(request).await? {
            (status, answer) if status.is_success() => Ok((status, answer)),
            (status, answer) => Err(refused(status, &answer)),
        }
    }

    /// Sends a request until the server answers it.
    async fn try_call(&self, request: impl Fn() -> RequestBuilder) -> Result<(StatusCode, Value), Failure> {
        let mut backoff = RetryBackoff::default();
        let mut failures = 0;
        loop {
            let sent = request().bearer_auth(&self.token).send().await;
            let (reason, asked_for) = match sent {
                Ok(response) if !is_temporary(response.status()) => {
                    return Ok((response.status(), body(response).await));
                }
                Ok(response) => {
                    let (status, asked_for) = (response.status(), retry_after(&response));
                    (refusal_reason(status, &body(response).await), asked_for)
                }
                Err(error) => (crate::response::causes(&error.without_url()), None),
            };
            if failures == self.retries {
                return Err(Failure::Unreachable(format!(
                    "{} cannot be reached: {reason}",
                    self.url
                )));
            }
            failures += 1;
            tokio::time::sleep(backoff.next(asked_for)).await;
        }
    }
}

fn refused(status: StatusCode, answer: &Value) -> Failure {
    Failure::Refused(refusal_reason(status, answer))
}

/// Returns `true` if a repetition may succeed.
fn is_temporary(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn extend(asked: &mut Value, members: Value) {
    for (name, value) in members.as_object().into_iter().flatten() {
        asked[name] = value.clone();
    }
}
