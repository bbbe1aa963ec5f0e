//! Org directory of a tenant, read and replaced as a whole.

use std::collections::HashMap;

use super::audit::{self, AuditedChange, OrgDirectoryDifference};
use super::error::require_valid;
use super::{Caller, Context, Precondition, ServiceError, WriteResult};
use crate::storage::org_directories::{self, DirectoryRecord, DirectoryText};
use slipway_domain::access::Action;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{OrgCode, OrgNode, check_directory};

/// Maximum number of differing nodes per side in an audit event. The counts are always complete.
const AUDITED_NODES: usize = 1_000;
/// Entity tag of a directory that was never written.
const NO_DIRECTORY: &str = "none";

/// Returns the directory as text; an empty one if none was written.
pub async fn get_text(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
) -> Result<DirectoryText, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let found = org_directories::find_text(ctx.db(), scope).await?;
    Ok(found.unwrap_or_else(|| DirectoryText {
        nodes: "[]".to_owned(),
        etag: NO_DIRECTORY.to_owned(),
    }))
}

pub async fn replace(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    nodes: Vec<OrgNode>,
    precondition: &Precondition,
) -> Result<WriteResult<DirectoryRecord>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteOrgDirectory).await?;
    require_valid(check_directory(&nodes))?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = org_directories::find(&tx, scope)
        .await?
        .unwrap_or_else(|| none_yet(ctx));
    precondition.check(&before.etag)?;
    if before.nodes == nodes {
        return Ok(ctx.unchanged(tx, before).await);
    }
    let stored = org_directories::replace(&tx, nodes, ctx.now()).await?;
    let change = AuditedChange::new(AuditAction::OrgDirectoryReplace, tenant)
        .with_before(&differing_nodes(&before.nodes, &stored.nodes))
        .with_after(&differing_nodes(&stored.nodes, &before.nodes));
    audit::record(&tx, ctx, caller, Some(tenant), change);
    Ok(WriteResult::changed(stored, ctx.commit(tx).await?))
}

fn none_yet(ctx: &Context) -> DirectoryRecord {
    DirectoryRecord {
        nodes: Vec::new(),
        etag: NO_DIRECTORY.to_owned(),
        updated_at: ctx.now(),
    }
}

/// Returns the nodes that `others` lacks or has with other values. A directory is too large to store it in every audit
/// event.
fn differing_nodes<'a>(nodes: &'a [OrgNode], others: &[OrgNode]) -> OrgDirectoryDifference<'a> {
    let others_by_path: HashMap<&[OrgCode], &OrgNode> =
        others.iter().map(|node| (node.path.as_slice(), node)).collect();
    let mut differing: Vec<_> = nodes
        .iter()
        .filter(|node| others_by_path.get(node.path.as_slice()) != Some(node))
        .collect();
    let differing_count = differing.len();
    differing.truncate(AUDITED_NODES);
    OrgDirectoryDifference {
        node_count: nodes.len(),
        differing_count,
        differing,
    }
}
