//! Forms that are sent twice, such as by a double click. The second answer is that of the first.
//!
//! A form that creates an object reserves its id (`created`). This module covers the others: their answer is recorded
//! after the change, so that a recall waits for nothing.

use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use tokio::time::{sleep, timeout};

use super::input::{FORM_ID, Input};
use super::response::see_other;
use super::visit::Visit;
use crate::http::request::context;
use crate::services::{Answer, Context, IdempotentRequest, find_answer, record_answer};
use slipway_domain::catalog::json::JsonText;

/// Distinguishes these records from those of creates.
const METHOD: &str = "FORM";
/// Longest wait for the record, which a person waits for too.
const RECORD_WITHIN: Duration = Duration::from_secs(1);
/// Number of looks for the answer of the first sending, which may be in progress.
const LOOKS: usize = 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Identity of a form that was sent.
#[derive(Clone)]
pub(super) struct SentForm(IdempotentRequest);

/// Returns the request that the id of a form stands for; `None` if the form has no valid id.
pub(super) fn request_of(visit: &Visit, input: &Input, method: &str) -> Option<IdempotentRequest> {
    let key = input.get(FORM_ID);
    let is_key = (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_key.then(|| IdempotentRequest {
        caller: visit.principal.key(),
        method: method.to_owned(),
        path: visit.request.path().to_owned(),
        key: key.to_owned(),
        body_hash: input.hash(),
    })
}

impl SentForm {
    /// Remembers the form until its request is answered.
    pub(super) fn keep(visit: &Visit, input: &Input) {
        if let Some(request) = request_of(visit, input, METHOD) {
            visit.request.extensions_mut().insert(Self(request));
        }
    }

    /// Returns the address that the same form led to before.
    pub(super) async fn find_earlier_target(request: &HttpRequest) -> Option<String> {
        let Self(sent) = Self::of(request)?;
        find_target(&context(request), &sent).await
    }

    fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }
}

/// Records the answer to a successful form. Returns the first answer instead of a failure whose cause is the first
/// sending of the same form.
pub(super) async fn answer_of_first_sending<B>(response: &ServiceResponse<B>) -> Option<HttpResponse> {
    let request = response.request();
    let SentForm(sent) = SentForm::of(request)?;
    let ctx = context(request);
    if let Some(target) = target_of(response) {
        record(&ctx, sent, target).await;
        return None;
    }
    let looks = match response.status() {
        // The first sending has changed or deleted the object.
        StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND => LOOKS,
        StatusCode::CONFLICT => 1,
        _ => return None,
    };
    for look in 0..looks {
        if look > 0 {
            sleep(LOOK_EVERY).await;
        }
        if let Some(target) = find_target(&ctx, &sent).await {
            return Some(see_other(&target));
        }
    }
    None
}

/// Returns the address of the page that a successful form leads to.
fn target_of<B>(response: &ServiceResponse<B>) -> Option<&str> {
    let is_done = response.status() == StatusCode::SEE_OTHER && response.response().error().is_none();
    let target = response.headers().get(LOCATION).filter(|_| is_done)?;
    target.to_str().ok()
}

/// The change is made: without a record, a second sending is answered like a late one.
async fn record(ctx: &Context, sent: IdempotentRequest, target: &str) {
    let answer = Answer {
        status: StatusCode::SEE_OTHER.as_u16(),
        body: JsonText::of(&target),
        etag: None,
    };
    let _recorded = timeout(RECORD_WITHIN, record_answer(ctx, sent, answer)).await;
}

async fn find_target(ctx: &Context, sent: &IdempotentRequest) -> Option<String> {
    let answer = find_answer(ctx, sent).await.ok()??;
    serde_json::from_str(answer.body.as_str()).ok()
}
