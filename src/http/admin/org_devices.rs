//! Numbers of devices at and below the nodes of the org directory.

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::org_directory::read_joined_path;
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::ReadProblems;
use crate::http::pagination::{cursor_of, page_request};
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::org_directory::{OrgDevices, list_devices};
use slipway_domain::catalog::node_devices::NodeDevices;
use slipway_domain::catalog::org::OrgCode;
use slipway_domain::catalog::page::Page;

/// Pagination of the children of a node.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OrgDevicesQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// Codes of the node from l1 down, joined with `/`. A backslash precedes a `/` or a backslash that belongs to a code.
    /// The whole tenant if absent.
    #[param(min_length = 1, example = "HM/HM-SH")]
    path: Option<String>,
}

/// Devices at and below a node, as last counted.
#[derive(Serialize, ToSchema)]
struct OrgDevicesResponse {
    /// Number of devices at or below the node.
    #[schema(example = 3)]
    devices: u64,
    /// Time of the count; null before the first.
    #[schema(required = true)]
    counted_at: Option<DateTime<Utc>>,
    /// Children of the node by code. Those without devices are omitted.
    items: Vec<OrgChildResponse>,
    /// `cursor` of the next page; null on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrgChildDevices)]
struct OrgChildResponse {
    #[schema(example = "8007")]
    code: String,
    /// Number of devices at or below the child.
    #[schema(example = 2)]
    devices: u64,
}

impl From<OrgDevices<Page<NodeDevices>>> for OrgDevicesResponse {
    fn from(found: OrgDevices<Page<NodeDevices>>) -> Self {
        Self {
            devices: found.devices,
            counted_at: found.counted_at,
            items: found
                .children
                .items
                .into_iter()
                .map(OrgChildResponse::from)
                .collect(),
            next_cursor: found.children.next.map(cursor_of),
        }
    }
}

impl From<NodeDevices> for OrgChildResponse {
    fn from(mut child: NodeDevices) -> Self {
        Self {
            code: child.path.pop().unwrap_or_default(),
            devices: child.devices,
        }
    }
}

/// List the numbers of devices of org nodes
///
/// Returns the number of devices at or below a node of the org directory, and those of its children. A device that
/// belongs to several places below a node counts there once. Devices are counted every hour. Only nodes that the
/// directory had at that time are counted.
#[utoipa::path(tag = "org directory", operation_id = "list_org_devices", params(TenantPath, OrgDevicesQuery),
    responses((status = 200, description = "Numbers of devices", body = OrgDevicesResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/org-directory/devices")]
pub(super) async fn list_org_devices(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let query: OrgDevicesQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let path = read_query_path(query.path)?;
    let found = list_devices(&call.ctx, &call.caller, call.path.tenant_id, &path, &page).await?;
    Ok(respond::text(respond::text_of(&OrgDevicesResponse::from(found))))
}

fn read_query_path(path: Option<String>) -> Result<Vec<String>, Problem> {
    let mut fields = FieldReader::default();
    let path = fields.query_param("path", path, read_joined_path);
    fields.finish()?;
    let codes = path.unwrap_or_default();
    Ok(codes.iter().map(OrgCode::as_str).map(str::to_owned).collect())
}
