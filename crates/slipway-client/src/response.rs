//! Answers of servers, and their output.

use std::io::Write;

use anyhow::Context as _;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

/// Posts JSON to a path below a server's base URL, with a key or token.
pub(super) async fn post(
    client: &Client,
    base: &Url,
    path: &str,
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

/// Returns the body as JSON, or null if it is not JSON.
pub(super) async fn body(response: Response) -> Value {
    let text = response.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Returns the reason for a refusal: the status, and the detail of the problem document if there is one.
pub(super) fn refusal_reason(status: StatusCode, problem: &Value) -> String {
    match problem["detail"].as_str() {
        Some(detail) => format!("{status}: {detail}"),
        None => status.to_string(),
    }
}

/// Returns an error with its causes. The outermost message alone seldom says what is wrong.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns a text of an answer, or an empty one if it is absent.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Replaces control characters, so that text of others cannot command the terminal.
pub(super) fn printable(text: &str) -> String {
    text.replace(is_unprintable, "\u{fffd}")
}

/// Formats a document. Control characters are escaped, also those that JSON allows in a string.
pub(super) fn json_text(document: &Value) -> String {
    let text = format!("{document:#}\n");
    let escape = |c: char| {
        if c != '\n' && is_unprintable(c) {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

/// Returns `true` for control characters, and for those that reorder the text around them.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Joins all lines, because text of others may contain line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    // Flushed, so that the output appears immediately, even through a pipe.
    output.flush().context("the answer cannot be shown")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{json_text, printable};

    #[test]
    fn no_text_commands_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2J\u{9b}b\n\u{202e}"),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}\u{fffd}"
        );
        let document = json!({"name": "货架\u{1b}\u{7f}\u{9b}\u{202e}\n"});
        let text = json_text(&document);
        assert_eq!(
            text,
            "{\n  \"name\": \"货架\\u001b\\u007f\\u009b\\u202e\\n\"\n}\n"
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, document);
    }
}
