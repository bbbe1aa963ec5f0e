//! A minimal API client.

use anyhow::bail;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

pub(super) struct ApiClient {
    url: String,
    token: String,
    http: Client,
}

impl ApiClient {
    /// Creates a client for paths below `url`, with a key or token.
    pub(super) fn new(url: String, token: String) -> anyhow::Result<Self> {
        // The demo server uses plain HTTP, and the machine may have no certificates.
        let http = Client::builder().tls_certs_only([]).build()?;
        Ok(Self { url, token, http })
    }

    /// Creates a client for the admin API.
    pub(super) async fn login(url: &str, username: &str, password: &str) -> anyhow::Result<Self> {
        let mut client = Self::new(format!("{url}/api/v1"), String::new())?;
        let login = json!({"username": username, "password": password});
        let answer = client.call(Method::POST, "/auth/login", &login).await?;
        client.token = text(&answer, "access_token");
        Ok(client)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, body).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PUT, path, body).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PATCH, path, body).await
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(path, self.request(Method::GET, path)).await
    }

    /// Posts a file.
    pub(super) async fn upload(&self, path: &str, bytes: &'static [u8]) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path);
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes);
        self.send(path, request).await
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(path, self.request(method, path).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    async fn send(&self, path: &str, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request.bearer_auth(&self.token).send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if !status.is_success() {
            bail!("{path} was answered {status}: {answer}");
        }
        Ok(answer)
    }
}

/// Returns a string member of an answer, or an empty string.
pub(super) fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap_or_default().to_owned()
}
