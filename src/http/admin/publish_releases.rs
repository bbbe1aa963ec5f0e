//! Publication of releases: one draft, or several together.

use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::release_response::ReleaseResponse;
use super::release_transitions::transition;
use crate::http::body::Json;
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::WriteProblems;
use crate::http::path::{AppPath, ReleasePath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::release_transitions::{PublishOverrides, TransitionRequest, publish_all};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::ReleaseId;

/// Maximum number of releases that are published together.
const MAX_RELEASES: usize = 100;

/// Defines a request with the overrides of a publication beside its own fields.
macro_rules! publish_request {
    ($(#[$meta:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Default, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$attribute])* #[serde(default)] pub(super) $field: Patch<$type>,)*
            /// `true` publishes even if version names contradict the version codes.
            #[schema(value_type = Option<bool>)]
            #[serde(default)]
            force: Patch<bool>,
            /// `true` publishes an APK that is signed with another key than the newest release. Devices with an older
            /// release cannot install it.
            #[schema(value_type = Option<bool>)]
            #[serde(default)]
            accept_signer_change: Patch<bool>,
            /// `true` publishes an APK that is debuggable, for tests only, or without a v2 or v3 signature.
            #[schema(value_type = Option<bool>)]
            #[serde(default)]
            accept_unsafe_package: Patch<bool>,
        }

        impl $name {
            /// Removes the overrides from the request and parses them.
            pub(super) fn read_overrides(&mut self, fields: &mut FieldReader) -> PublishOverrides {
                read_overrides(
                    fields,
                    [&mut self.force, &mut self.accept_signer_change, &mut self.accept_unsafe_package],
                )
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
        #[schema(value_type = Vec<String>, required, min_items = 1, max_items = 100)]
        release_ids: Vec<String>,
    }
}

/// Parses `force`, `accept_signer_change` and `accept_unsafe_package`.
pub(super) fn read_overrides(fields: &mut FieldReader, given: [&mut Patch<bool>; 3]) -> PublishOverrides {
    let names = ["force", "accept_signer_change", "accept_unsafe_package"];
    let mut given = names.into_iter().zip(given).map(|(name, given)| {
        fields
            .optional_non_null(name, std::mem::take(given), Ok)
            .unwrap_or(false)
    });
    let mut next = || given.next().unwrap_or(false);
    PublishOverrides {
        version_names: next(),
        signer_change: next(),
        unsafe_package: next(),
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
#[utoipa::path(tag = "releases", operation_id = "publish_release", params(ReleasePath),
    request_body = PublishReleaseRequest,
    responses((status = 200, description = "Published", body = ReleaseResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/publish")]
pub(super) async fn publish_release(
    mut call: Call<ReleasePath, Json<PublishReleaseRequest>>,
) -> Result<HttpResponse, Problem> {
    let mut fields = FieldReader::default();
    let overrides = call.body.value.read_overrides(&mut fields);
    fields.finish()?;
    transition(&call, TransitionRequest::publish(overrides)).await
}

/// Publish several releases
///
/// Publishes drafts of an app, such as an app and its modules, together: all of them or, if one is refused, none.
/// Published releases stay as they are.
#[utoipa::path(tag = "releases", operation_id = "publish_releases", params(AppPath),
    request_body = PublishReleasesRequest,
    responses((status = 200, description = "Published", body = PublishedReleases), WriteProblems))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases/publish")]
pub(super) async fn publish_releases(
    mut call: Call<AppPath, Json<PublishReleasesRequest>>,
) -> Result<HttpResponse, Problem> {
    let (ids, overrides) = read_several(&mut call.body.value)?;
    let app = (call.path.tenant_id, &call.path.package_name);
    let done = publish_all(&call.ctx, &call.caller, app, &ids, overrides).await?;
    let items = done.value.iter().map(ReleaseResponse::from).collect();
    Ok(respond::respond_written_list(
        &PublishedReleases { items },
        done.revision.as_ref(),
    ))
}

fn read_several(body: &mut PublishReleasesRequest) -> Result<(Vec<ReleaseId>, PublishOverrides), Problem> {
    let mut fields = FieldReader::default();
    let overrides = body.read_overrides(&mut fields);
    let ids = fields.required("release_ids", std::mem::take(&mut body.release_ids), |ids| {
        if (1..=MAX_RELEASES).contains(&ids.len()) {
            Ok(ids)
        } else {
            Err(Invalid::new(format!(
                "must hold 1 to {MAX_RELEASES} ids, not {}",
                ids.len()
            )))
        }
    });
    let ids = fields.list("release_ids", ids.map_or(Patch::Absent, Patch::Value), |id| {
        id.parse()
    });
    fields.finish()?;
    Ok((ids.unwrap_or_default(), overrides))
}
