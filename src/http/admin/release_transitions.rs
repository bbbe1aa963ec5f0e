//! Handlers for the lifecycle of a release: pause, resume, discard and recall. Each action is idempotent.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::release_response::ReleaseResponse;
use crate::http::body::{FromBody, Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IfMatch, WriteProblems};
use crate::http::path::ReleasePath;
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::respond;
use crate::http::value_schemas::RecallModeValue;
use crate::services::release_transitions::{self, PublishOverrides, TransitionRequest};
use slipway_domain::catalog::release::{RecallMode, Transition};
use slipway_domain::catalog::text::Reason;

/// Empty request body.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoArguments {}

request! {
    pub(super) struct RecallReleaseRequest {
        /// Recall mode: `stop`, `rollback` or `removal`.
        #[schema(example = "stop")]
        mode: Required<String> as RecallModeValue,
        /// Reason for the audit log, 1 to 500 characters.
        #[schema(min_length = 1, max_length = 500, example = "crashes at the till")]
        reason: Required<String>,
    }
}

/// Pause a release
///
/// Stops new offers. Devices that have installed the release keep it.
#[utoipa::path(tag = "releases", operation_id = "pause_release", params(ReleasePath, IfMatch), request_body = NoArguments,
    responses((status = 200, description = "Paused", body = ReleaseResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/pause")]
pub(super) async fn pause_release(
    call: Call<ReleasePath, UrgentBody<Json<NoArguments>>>,
) -> Result<HttpResponse, Problem> {
    transition(&call, TransitionRequest::plain(Transition::Pause)).await
}

/// Resume a release
///
/// Publishes a paused release again.
#[utoipa::path(tag = "releases", operation_id = "resume_release", params(ReleasePath, IfMatch), request_body = NoArguments,
    responses((status = 200, description = "Published again", body = ReleaseResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/resume")]
pub(super) async fn resume_release(
    call: Call<ReleasePath, Json<NoArguments>>,
) -> Result<HttpResponse, Problem> {
    transition(&call, TransitionRequest::plain(Transition::Resume)).await
}

/// Discard a release
///
/// Discards a draft. Its version code can be used again.
#[utoipa::path(tag = "releases", operation_id = "discard_release", params(ReleasePath, IfMatch), request_body = NoArguments,
    responses((status = 200, description = "Discarded", body = ReleaseResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/discard")]
pub(super) async fn discard_release(
    call: Call<ReleasePath, Json<NoArguments>>,
) -> Result<HttpResponse, Problem> {
    transition(&call, TransitionRequest::plain(Transition::Discard)).await
}

/// Recall a release
///
/// `stop` stops new offers. `rollback` also offers the newest applicable older release to devices that have installed
/// the recalled one. `removal` tells those devices to remove it if there is nothing else to offer.
#[utoipa::path(tag = "releases", operation_id = "recall_release", params(ReleasePath, IfMatch),
    request_body = RecallReleaseRequest,
    responses((status = 200, description = "Recalled", body = ReleaseResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/recall")]
pub(super) async fn recall_release(
    mut call: Call<ReleasePath, UrgentBody<Json<RecallReleaseRequest>>>,
) -> Result<HttpResponse, Problem> {
    let request = call.body.take().read()?;
    transition(&call, request).await
}

impl RecallReleaseRequest {
    pub(super) fn read(self) -> Result<TransitionRequest, Problem> {
        let mut fields = FieldReader::default();
        let mode = fields.required("mode", self.mode, |text: String| RecallMode::parse(&text));
        let reason = fields.required("reason", self.reason, Reason::parse);
        let request = mode.zip(reason).map(|(mode, reason)| TransitionRequest {
            step: Transition::Recall(mode),
            reason: Some(reason),
            overrides: PublishOverrides::default(),
        });
        fields.complete(request)
    }
}

pub(super) async fn transition<B: FromBody>(
    call: &Call<ReleasePath, B>,
    request: TransitionRequest,
) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let path = call.path.address();
    let done = release_transitions::apply(&call.ctx, &call.caller, path, request, &precondition).await?;
    Ok(respond::respond_written_versioned::<ReleaseResponse, _>(&done))
}
