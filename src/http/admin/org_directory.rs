//! Handlers for a tenant's org directory, which is read and replaced as a whole.

use actix_web::{HttpResponse, get, put};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::{Json, MAX_BULK_BODY_BYTES};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::object::{BoundedVec, Object};
use crate::http::openapi::{IfMatch, ReadProblems, WriteProblems};
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::request_fields::{Required, request};
use crate::http::respond;
use crate::services::org_directory;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::org::{LEVELS, MAX_DIRECTORY_NODES, OrgCode, OrgNode};
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::text::Name;

request! {
    pub(super) struct ReplaceOrgDirectoryRequest {
        /// Org nodes, at most 100,000. Ancestors that are not listed are implied.
        pub(super) nodes: Required<Nodes> as Vec<OrgNodeFields>,
    }
}

pub(super) type Nodes = BoundedVec<Object<OrgNodeFields>, MAX_DIRECTORY_NODES>;

request! {
    #[schema(as = OrgNode)]
    pub(super) struct OrgNodeFields {
        /// Codes from l1 down to the node, 1 to 5 of them.
        #[schema(min_items = 1, max_items = 5, example = json!(["HM", "HM-SH", "8007"]))]
        path: Required<Vec<String>>,
        #[schema(min_length = 1, max_length = 128)]
        name: Nullable<String>,
        /// Name in the IANA time zone database.
        #[schema(example = "Asia/Shanghai")]
        time_zone: Nullable<String>,
    }
}

#[derive(Serialize, ToSchema)]
struct OrgDirectoryResponse<'a> {
    #[schema(value_type = Vec<OrgNodeFields>)]
    nodes: &'a [OrgNode],
}

/// Reads a path of level codes from l1 down.
pub(super) fn read_path(codes: Vec<String>) -> Result<Vec<OrgCode>, Invalid> {
    if codes.is_empty() || codes.len() > LEVELS {
        return Err(Invalid::new(format!("must be 1 to {LEVELS} codes, from l1 down")));
    }
    codes.iter().map(|code| OrgCode::parse(code)).collect()
}

/// Reads a path of level codes from l1 down, joined with `/` as in [`org_path`].
pub(super) fn read_joined_path(text: String) -> Result<Vec<OrgCode>, Invalid> {
    read_path(org_path::split(&text))
}

fn read_time_zone(text: String) -> Result<Tz, Invalid> {
    text.parse()
        .map_err(|_| Invalid::new("must be a name of the IANA time zone database, e.g. Asia/Shanghai"))
}

pub(super) fn read_nodes(given: Required<Nodes>) -> Result<Vec<OrgNode>, Problem> {
    let mut fields = FieldReader::default();
    let Some(BoundedVec(given)) = fields.required("nodes", given, Ok) else {
        return Err(fields.into_problem());
    };
    let mut nodes = Vec::with_capacity(given.len());
    for (index, Object(node)) in given.into_iter().enumerate() {
        let path = fields.required(&format!("nodes[{index}].path"), node.path, read_path);
        let name = fields.optional(&format!("nodes[{index}].name"), node.name, Name::parse);
        let time_zone = fields.optional(
            &format!("nodes[{index}].time_zone"),
            node.time_zone,
            read_time_zone,
        );
        if let Some(path) = path {
            nodes.push(OrgNode {
                path,
                name,
                time_zone,
            });
        }
    }
    fields.finish()?;
    Ok(nodes)
}

/// Replace the org directory
///
/// Replaces all nodes. Missing ancestors of a node are implied.
#[utoipa::path(tag = "org directory", operation_id = "replace_org_directory", params(TenantPath, IfMatch),
    request_body = ReplaceOrgDirectoryRequest,
    responses((status = 200, description = "The org directory", body = OrgDirectoryResponse<'_>), WriteProblems))]
#[put("/tenants/{tenant_id}/org-directory")]
pub(super) async fn replace_org_directory(
    mut call: Call<TenantPath, Json<ReplaceOrgDirectoryRequest, MAX_BULK_BODY_BYTES>>,
) -> Result<HttpResponse, Problem> {
    let given = call.body.take().nodes;
    let precondition = call.precondition()?;
    let tenant = call.path.tenant_id;
    let (body, etag, revision) = call
        .run_heavy(async move |ctx, caller| {
            let nodes = read_nodes(given)?;
            let done = org_directory::replace(&ctx, &caller, tenant, nodes, &precondition).await?;
            let body = respond::text_of(&OrgDirectoryResponse {
                nodes: &done.value.stored.nodes,
            });
            Ok((body, done.value.stored.etag, done.revision))
        })
        .await?;
    Ok(respond::written_text(body, &etag, revision.as_ref()))
}

/// Get the org directory
///
/// Returns all nodes of the org directory.
#[utoipa::path(tag = "org directory", operation_id = "get_org_directory", params(TenantPath),
    responses((status = 200, description = "The org directory", body = OrgDirectoryResponse<'_>), ReadProblems))]
#[get("/tenants/{tenant_id}/org-directory")]
pub(super) async fn get_org_directory(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let tenant = call.path.tenant_id;
    let (body, etag) = call
        .run_heavy(async move |ctx, caller| {
            let stored = org_directory::get_text(&ctx, &caller, tenant).await?;
            // The nodes are stored in their response format.
            Ok((format!("{{\"nodes\":{}}}", stored.nodes), stored.etag))
        })
        .await?;
    Ok(respond::object_text(body.into_bytes(), &etag))
}
