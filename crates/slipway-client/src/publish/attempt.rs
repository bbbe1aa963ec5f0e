//! Attempts of a call. Those that fail for a while are repeated.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::failure::Failure;
use crate::response::{causes, refusal_reason};
use crate::retry::RetryBackoff;

/// Maximum size of an answer. The largest is the publication of 100 releases with their notes.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Delay while the server still runs the previous attempt of a create. If that server died, the key is free again after
/// a minute, and the default number of retries covers it.
const KEY_IN_USE_DELAY: Duration = Duration::from_secs(15);
const NOT_SLIPWAY: &str =
    "this is not an answer of Slipway; check SLIPWAY_URL, proxies and the network's login page";

/// Answer of the server, with its body as JSON.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// Failed attempt.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// A repetition may succeed.
    Temporary {
        reason: String,
        /// Delay that the server asked for.
        asked_for: Option<Duration>,
    },
    Final(Failure),
}

impl Answer {
    /// Returns the code of a problem document; empty for other answers.
    pub(super) fn problem_code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Returns the reason for a refusal.
    pub(super) fn refusal(&self) -> String {
        let reason = refusal_reason(self.status, &self.body);
        if self.problem_code().is_empty() {
            format!("{reason}; {NOT_SLIPWAY}")
        } else {
            reason
        }
    }

    fn check(self, asked_for: Option<Duration>) -> Result<Self, AttemptError> {
        let temporary = |reason, asked_for| Err(AttemptError::Temporary { reason, asked_for });
        if is_temporary(self.status) {
            return temporary(refusal_reason(self.status, &self.body), asked_for);
        }
        if self.problem_code() == "idempotency_key_in_use" {
            return temporary(self.refusal(), asked_for.max(Some(KEY_IN_USE_DELAY)));
        }
        let is_refusal = self.status.is_client_error() || self.status.is_server_error();
        if is_refusal || (self.status.is_success() && self.body.is_object()) {
            return Ok(self);
        }
        temporary(format!("{}; {NOT_SLIPWAY}", self.status), asked_for)
    }
}

impl AttemptError {
    pub(super) fn temporary(reason: impl Into<String>) -> Self {
        Self::Temporary {
            reason: reason.into(),
            asked_for: None,
        }
    }

    /// Classifies an error of the client. One of building the request or of following redirects stays.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let is_final = error.is_builder() || error.is_redirect();
        let reason = causes(&error.without_url());
        if is_final {
            Self::Final(Failure::Refused(format!("the request cannot be sent: {reason}")))
        } else {
            Self::temporary(reason)
        }
    }

    /// Returns the error of a temporary status.
    pub(super) fn of_status(response: &Response) -> Self {
        Self::Temporary {
            reason: response.status().to_string(),
            asked_for: retry_after(response),
        }
    }
}

/// Returns the failure of an answer that has not the expected content.
pub(super) fn unexpected(content: &str) -> Failure {
    Failure::Unreachable(format!("the answer is not {content}; {NOT_SLIPWAY}"))
}

/// Sends a request and reads its answer.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, AttemptError> {
    let response = request.send().await.map_err(AttemptError::of)?;
    let (status, asked_for) = (response.status(), retry_after(&response));
    let body = read(response).await?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Answer { status, body }.check(asked_for)
}

async fn read(mut response: Response) -> Result<Vec<u8>, AttemptError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(AttemptError::of)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let reason = format!("the answer has more than {MAX_ANSWER_BYTES} bytes; {NOT_SLIPWAY}");
            return Err(AttemptError::temporary(reason));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Repeats an attempt until it succeeds or fails finally. `what` introduces the message of the last failure.
pub(super) async fn repeat<T>(
    what: &str,
    retries: u32,
    attempt: impl AsyncFn() -> Result<T, AttemptError>,
) -> Result<T, Failure> {
    let mut backoff = RetryBackoff::default();
    let mut failures = 0;
    loop {
        let (reason, asked_for) = match attempt().await {
            Ok(done) => return Ok(done),
            Err(AttemptError::Final(failure)) => return Err(failure),
            Err(AttemptError::Temporary { reason, asked_for }) => (reason, asked_for),
        };
        if failures == retries {
            return Err(Failure::Unreachable(format!("{what}: {reason}")));
        }
        failures += 1;
        tokio::time::sleep(backoff.next(asked_for)).await;
    }
}

/// Returns `true` if a repetition may succeed.
pub(super) fn is_temporary(status: StatusCode) -> bool {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(status: u16, body: Value) -> Result<Answer, AttemptError> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, body }.check(None)
    }

    #[test]
    fn only_json_objects_are_successes() {
        assert!(check(200, json!({"id": "1"})).is_ok());
        for (status, body) in [
            (200, json!(null)),
            (201, json!([])),
            (200, json!("text")),
            (204, json!(null)),
            (302, json!({})),
        ] {
            let error = check(status, body).unwrap_err();
            let AttemptError::Temporary { reason, .. } = error else {
                panic!("{error:?}");
            };
            assert!(reason.contains("not an answer of Slipway"), "{reason}");
        }
    }

    #[test]
    fn a_refusal_has_the_message_of_the_server() {
        let refused = check(409, json!({"code": "in_use", "detail": "it is used"})).unwrap();
        assert_eq!(refused.refusal(), "409 Conflict: it is used");
        let refused = check(413, json!(null)).unwrap();
        assert!(
            refused
                .refusal()
                .starts_with("413 Payload Too Large; this is not")
        );
    }

    #[test]
    fn a_create_that_still_runs_is_waited_for() {
        let error = check(409, json!({"code": "idempotency_key_in_use", "detail": "wait"})).unwrap_err();
        let AttemptError::Temporary { asked_for, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(asked_for, Some(KEY_IN_USE_DELAY));
    }
}
