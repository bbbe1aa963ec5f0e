//! Handler for uploads.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::response::ArtifactResponse;
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::UploadProblems;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::upload_body::UploadBody;
use crate::services::artifacts::{self, UploadedArtifact};
use slipway_domain::catalog::text::FileName;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    /// Name of the file in downloads. If absent, the name in the form, or one made from the digest.
    #[param(max_length = 200, example = "wms-1.2.3.apk")]
    filename: Option<String>,
}

/// The file as one part of a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct UploadForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Upload an artifact
///
/// The body is the file itself, or `multipart/form-data` with one part named `file`. Its kind and facts are read from the
/// content. Bytes that the tenant has already are not stored again: the response is 200 with the existing artifact. If
/// `Repr-Digest` or `Content-Digest` contains a `sha-256`, it must be that of the file.
#[utoipa::path(tag = "artifacts", operation_id = "upload_artifact", params(TenantPath, UploadQuery),
    request_body(content(
        (Vec<u8> = "application/octet-stream"),
        (UploadForm = "multipart/form-data"),
    )),
    responses((status = 201, description = "Stored", body = ArtifactResponse),
        (status = 200, description = "The tenant has these bytes already", body = ArtifactResponse), UploadProblems))]
#[post("/tenants/{tenant_id}/artifacts")]
pub(super) async fn upload_artifact(mut call: Call<TenantPath, UploadBody>) -> Result<HttpResponse, Problem> {
    let stored = receive(&mut call).await?;
    let body = ArtifactResponse::of(&call.ctx, &stored.artifact);
    let etag = &stored.artifact.etag;
    Ok(if stored.is_new {
        respond::respond_created(&body, etag)
    } else {
        respond::respond_object(&body, etag)
    })
}

/// Receives the file and stores it.
async fn receive(call: &mut Call<TenantPath, UploadBody>) -> Result<UploadedArtifact, Problem> {
    let query: UploadQuery = call.query()?;
    let in_query = read_name(query.filename)?;
    let tenant = call.path.tenant_id;
    let length = call.body.known_size();
    let begun = artifacts::begin_upload(&call.ctx, &call.caller, tenant, length).await?;
    let scope = begun.scope();
    let max_bytes = call.ctx.artifacts().settings.max_bytes;
    let uploaded = call.body.receive(&call.request, begun.upload, max_bytes).await?;
    let name = match in_query {
        Some(name) => Some(name),
        None => read_name(uploaded.filename.filter(|name| !name.is_empty()))?,
    };
    let (received, digest) = (uploaded.received, uploaded.digest);
    Ok(artifacts::complete_upload(&call.ctx, &call.caller, scope, received, name, digest).await?)
}

fn read_name(given: Option<String>) -> Result<Option<FileName>, Problem> {
    let mut fields = FieldReader::default();
    let name = fields.query_param("filename", given, FileName::parse);
    fields.finish()?;
    Ok(name)
}
