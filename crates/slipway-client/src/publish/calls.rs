//! Calls of the admin API, repeated while the server is temporarily unavailable.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

use super::attempt::{Answer, AttemptError, repeat, send, unexpected};
use super::failure::Failure;
use super::output::Published;
use super::release::ReleasePlan;
use crate::response::text;
use crate::retry::idempotency_key;
use crate::server::{client, upload_client};

/// Tenant at a server, with a credential.
pub(super) struct Server {
    url: Url,
    authorization: HeaderValue,
    tenant: i64,
    retries: u32,
    client: Client,
    /// Without a limit on the whole call.
    uploads: Client,
}

impl Server {
    /// `retries` is the number of times that a call is repeated while the server is unavailable.
    pub(super) fn new(url: Url, token: &str, tenant: i64, retries: u32) -> Result<Self, Failure> {
        Ok(Self {
            authorization: authorization(token)?,
            client: client(&url).map_err(Failure::local)?,
            uploads: upload_client(&url).map_err(Failure::local)?,
            url,
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
        let url = self.address(&["apps", &plan.app, "releases"])?;
        // One key for all attempts: if an answer is lost, the next attempt gets the same one, and knows that this run
        // created the release.
        let key = idempotency_key();
        let answer = self
            .call(async || {
                let request = self.client.post(url.clone()).header("Idempotency-Key", &key);
                send(self.authorize(request).json(&asked)).await
            })
            .await?;
        if !is_release(&answer.body) {
            return Err(unexpected("a release"));
        }
        Ok(Published {
            app: plan.app.clone(),
            is_new: answer.status == StatusCode::CREATED,
            release: answer.body,
        })
    }

    /// Publishes drafts together.
    pub(super) async fn publish_together(
        &self,
        created: &mut [Published],
        overrides: Value,
    ) -> Result<(), Failure> {
        let app = created.first().map_or("", |first| first.app.as_str()).to_owned();
        let ids: Vec<_> = created.iter().map(|created| created.id().to_owned()).collect();
        let mut asked = json!({"release_ids": ids});
        extend(&mut asked, overrides);
        let answer = self.post(&["apps", &app, "publish"], &asked).await?;
        let published = published_releases(answer, &ids).ok_or_else(|| unexpected("the releases"))?;
        for (created, mut release) in created.iter_mut().zip(published) {
            extend(&mut release, json!({"ignored": created.release["ignored"]}));
            created.release = release;
        }
        Ok(())
    }

    /// Discards the drafts that this run created. Returns the identifiers of those that could not be discarded.
    pub(super) async fn discard_new<'a>(&self, created: &'a [Published]) -> Vec<&'a str> {
        let mut remaining = Vec::new();
        for created in created.iter().filter(|created| created.is_new) {
            let segments = ["apps", &created.app, "releases", created.id(), "discard"];
            if self.post(&segments, &json!({})).await.is_err() {
                remaining.push(text(&created.release["identifier"]));
            }
        }
        remaining
    }

    async fn post(&self, segments: &[&str], asked: &Value) -> Result<Answer, Failure> {
        let url = self.address(segments)?;
        self.call(async || {
            let request = self.client.request(Method::POST, url.clone());
            send(self.authorize(request).json(asked)).await
        })
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
        let answer = self
            .repeat(async || send(self.authorize(self.client.get(url.clone()))).await)
            .await?;
        match answer.status {
            // A proxy may answer 404 too.
            StatusCode::NOT_FOUND if answer.problem_code() == "not_found" => Ok(None),
            status if status.is_success() => Ok(Some(answer.body)),
            _ => Err(Failure::Refused(answer.refusal())),
        }
    }

    /// Begins an upload.
    pub(super) fn upload(&self, url: &Url) -> RequestBuilder {
        self.authorize(self.uploads.post(url.clone()))
    }

    fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(AUTHORIZATION, self.authorization.clone())
    }

    /// Repeats an attempt until the server accepts it. A refusal is an error.
    async fn call(&self, attempt: impl AsyncFn() -> Result<Answer, AttemptError>) -> Result<Answer, Failure> {
        let answer = self.repeat(attempt).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(Failure::Refused(answer.refusal()))
        }
    }

    /// Repeats an attempt until the server answers it.
    pub(super) async fn repeat(
        &self,
        attempt: impl AsyncFn() -> Result<Answer, AttemptError>,
    ) -> Result<Answer, Failure> {
        repeat(&format!("{} cannot be reached", self.url), self.retries, attempt).await
    }
}

fn authorization(token: &str) -> Result<HeaderValue, Failure> {
    let invalid = |_| {
        let message = "SLIPWAY_TOKEN, --token: contains a control character, such as a line break";
        Failure::Usage(message.to_owned())
    };
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(invalid)?;
    header.set_sensitive(true);
    Ok(header)
}

fn is_release(value: &Value) -> bool {
    value["id"].is_string() && value["state"].is_string()
}

/// Returns the published releases, if they are those that were asked for.
fn published_releases(mut answer: Answer, ids: &[String]) -> Option<Vec<Value>> {
    let Value::Array(items) = answer.body.get_mut("items")?.take() else {
        return None;
    };
    let is_asked = |(item, id): (&Value, &String)| is_release(item) && item["id"] == id.as_str();
    (items.len() == ids.len() && items.iter().zip(ids).all(is_asked)).then_some(items)
}

/// Adds members to an object.
fn extend(object: &mut Value, members: Value) {
    if let (Some(object), Value::Object(members)) = (object.as_object_mut(), members) {
        object.extend(members);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_releases_are_those_that_were_asked_for() {
        let ids = ["1".to_owned(), "2".to_owned()];
        let release = |id: &str| json!({"id": id, "state": "published"});
        let read = |body: Value| {
            let status = StatusCode::OK;
            published_releases(Answer { status, body }, &ids)
        };
        let both = [release("1"), release("2")];
        assert_eq!(read(json!({"items": both})), Some(both.to_vec()));
        for body in [
            json!({}),
            json!({"items": "text"}),
            json!({"items": []}),
            json!({"items": [release("1")]}),
            json!({"items": [release("2"), release("1")]}),
            json!({"items": [release("1"), "2"]}),
            json!([]),
            json!("text"),
            Value::Null,
        ] {
            assert_eq!(read(body.clone()), None, "{body}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_have_is_named() {
        let Err(Failure::Usage(message)) = authorization("slipway_token\nsecret") else {
            panic!("a line break cannot be sent");
        };
        assert!(
            message.contains("SLIPWAY_TOKEN") && !message.contains("secret"),
            "{message}"
        );
    }
}
