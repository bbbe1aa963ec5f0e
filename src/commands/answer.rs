//! What servers answer to commands, and how it is shown.

use std::io::Write;

use anyhow::Context as _;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

/// Posts JSON to a path below a server's base, with a key or token.
pub(super) async fn post(
    client: &Client,
    (base, path): (&Url, &str),
    token: &str,
    asked: &Value,
) -> anyhow::Result<(StatusCode, Value)> {
    let url = base.join(path).context("the address cannot be completed")?;
    let sent = client.post(url).bearer_auth(token).json(asked).send().await;
    let response = sent
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("{base} cannot be called"))?;
    Ok((response.status(), body(response).await))
}

/// The body as JSON; null where it is none.
pub(super) async fn body(response: Response) -> Value {
    let text = response.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Why something was refused: the status, and what the problem document says where there is one.
pub(super) fn why(status: StatusCode, problem: &Value) -> String {
    match problem["detail"].as_str() {
        Some(detail) => format!("{status}: {detail}"),
        None => status.to_string(),
    }
}

/// A text of an answer, empty where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What others wrote may have line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    // Whoever waits wants to see it now, through a pipe too.
    output.flush().context("the answer cannot be shown")
}
