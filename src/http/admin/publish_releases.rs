//! Publication of releases: one draft, or several together.

use actix_web::{HttpResponse, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::release_response::ReleaseResponse;
use super::release_transitions::transition;
use crate::http::body::Json;
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IfMatch, WriteProblems};
use crate::http::path::{AppPath, ReleasePath};
use crate::http::problem::Problem;
use crate::http::request_fields::{Optional, request};
use crate::http::respond;
use crate::services::release_transitions::{AppAddress, PublishOverrides, TransitionRequest, publish_all};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::ReleaseId;

/// Maximum number of releases that are published together.
const MAX_RELEASES: usize = 100;

/// Defines a request with the overrides of a publication beside its own fields.
macro_rules! publish_request {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        request! {
            $(#[$meta])*
            pub(super) struct $name {
                $($fields)*
                /// `true` publishes even if version names contradict the version codes.
                force: Optional<bool>,
                /// `true` publishes an APK that is signed with another key than the newest release. Devices with an
                /// older release cannot install it.
                accept_signer_change: Optional<bool>,
                /// `true` publishes an APK that is debuggable, for tests only, or without a v2 or v3 signature.
                accept_unsafe_package: Optional<bool>,
            }
        }

        impl $name {
            /// Removes the overrides from the request.
            fn take_overrides(&mut self) -> OverrideFields {
                OverrideFields {
                    force: std::mem::take(&mut self.force),
                    accept_signer_change: std::mem::take(&mut self.accept_signer_change),
                    accept_unsafe_package: std::mem::take(&mut self.accept_unsafe_package),
                }
            }
        }
    };
}

publish_request! {
    PublishReleaseRequest {}
}

publish_request! {
    PublishReleasesRequest {
        /// Ids of releases of the app, 1 to 100.
        #[schema(min_items = 1, max_items = 100)]
        release_ids: Required<Vec<String>>,
    }
}

/// Overrides of a publication, as given.
pub(super) struct OverrideFields {
    pub(super) force: Optional<bool>,
    pub(super) accept_signer_change: Optional<bool>,
    pub(super) accept_unsafe_package: Optional<bool>,
}

impl OverrideFields {
    pub(super) fn read(self, fields: &mut FieldReader) -> PublishOverrides {
        let mut read = |name, given| fields.optional_non_null(name, given, Ok).unwrap_or(false);
        PublishOverrides {
            version_names: read("force", self.force),
            signer_change: read("accept_signer_change", self.accept_signer_change),
            unsafe_package: read("accept_unsafe_package", self.accept_unsafe_package),
        }
    }
}

impl PublishReleaseRequest {
    pub(super) fn read(mut self) -> Result<TransitionRequest, Problem> {
        let mut fields = FieldReader::default();
        let overrides = self.take_overrides().read(&mut fields);
        fields.finish()?;
        Ok(TransitionRequest::publish(overrides))
    }
}

impl PublishReleasesRequest {
    fn read(mut self) -> Result<(Vec<ReleaseId>, PublishOverrides), Problem> {
        let mut fields = FieldReader::default();
        let overrides = self.take_overrides().read(&mut fields);
        let ids = fields.required("release_ids", self.release_ids, |ids: Vec<String>| {
            if (1..=MAX_RELEASES).contains(&ids.len()) {
                Ok(ids)
            } else {
                Err(Invalid::new(format!(
                    "must hold 1 to {MAX_RELEASES} ids, not {}",
                    ids.len()
                )))
            }
        });
        let ids = fields.items("release_ids", ids.unwrap_or_default(), |id| id.parse());
        fields.finish()?;
        Ok((ids, overrides))
    }
}

/// Releases that were published together.
#[derive(Serialize, ToSchema)]
pub(super) struct PublishedReleases {
    /// In the order of the request.
    items: Vec<ReleaseResponse>,
}

/// Publish a release
///
/// Publishes a draft.
#[utoipa::path(tag = "releases", operation_id = "publish_release", params(ReleasePath, IfMatch),
    request_body = PublishReleaseRequest,
    responses((status = 200, description = "Published", body = ReleaseResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/publish")]
pub(super) async fn publish_release(
    mut call: Call<ReleasePath, Json<PublishReleaseRequest>>,
) -> Result<HttpResponse, Problem> {
    let request = call.body.take().read()?;
    transition(&call, request).await
}

/// Publish several releases
///
/// Publishes drafts of an app, such as an app and its modules, together: all of them or, if one is refused, none.
/// Published releases stay as they are.
#[utoipa::path(tag = "releases", operation_id = "publish_releases", params(AppPath),
    request_body = PublishReleasesRequest,
    responses((status = 200, description = "Published", body = PublishedReleases), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/publish")]
pub(super) async fn publish_releases(
    mut call: Call<AppPath, Json<PublishReleasesRequest>>,
) -> Result<HttpResponse, Problem> {
    let (ids, overrides) = call.body.take().read()?;
    let app = AppAddress {
        tenant: call.path.tenant_id,
        app: &call.path.package_name,
    };
    let done = publish_all(&call.ctx, &call.caller, app, &ids, overrides).await?;
    let items = done.value.iter().map(ReleaseResponse::from).collect();
    Ok(respond::respond_written_list(
        &PublishedReleases { items },
        done.revision.as_ref(),
    ))
}
