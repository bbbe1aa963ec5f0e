//! Org directory of a tenant, read and replaced as a whole, and the numbers of devices in its nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange, OrgDirectoryDifference};
use super::error::require_valid;
use super::org_tree::{OrgTree, TreePage, TreeSelection};
use super::{Caller, Context, Precondition, ServiceError, WriteResult, memory};
use crate::storage::org_directories::{self, DirectoryRecord, DirectoryText};
use crate::storage::{ReadTx, org_device_counts};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::node_devices::NodeDevices;
use slipway_domain::catalog::org::{OrgCode, OrgNode, OrgScope, check_directory};
use slipway_domain::catalog::page::{Page, PageRequest};

/// Maximum number of differing nodes per side in an audit event. The counts are always complete.
const AUDITED_NODES: usize = 1_000;
/// Entity tag of a directory that was never written.
const NO_DIRECTORY: &str = "none";

/// Numbers of devices at and below an org node and its children, as last counted.
pub struct OrgDevices<Children> {
    /// `None` before the first count.
    pub counted_at: Option<DateTime<Utc>>,
    /// Number of the node itself.
    pub devices: u64,
    /// Children without devices are absent.
    pub children: Children,
}

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

/// Parsed org directory with its entity tag.
pub struct DirectoryTree {
    pub tree: Arc<OrgTree>,
    pub etag: String,
}

/// Returns the directory as a tree; an empty one if none was written. It is parsed once per version.
pub async fn get_tree(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
) -> Result<DirectoryTree, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadCatalog).await?;
    let trees = ctx.org_trees();
    let etag = org_directories::find_etag(ctx.db(), scope).await?;
    if let Some(etag) = etag
        && let Some(tree) = trees.find(tenant, &etag)
    {
        return Ok(DirectoryTree { tree, etag });
    }
    // The text may be of a later version than the tag.
    let stored = get_text(ctx, caller, tenant).await?;
    let nodes = serde_json::from_str(&stored.nodes).map_err(ServiceError::internal)?;
    let tree = Arc::new(OrgTree::new(nodes));
    trees.insert(tenant, stored.etag.clone(), tree.clone());
    Ok(DirectoryTree {
        tree,
        etag: stored.etag,
    })
}

/// Lists up to `limit` nodes of the directory.
pub async fn list_nodes(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    selection: &TreeSelection,
    limit: usize,
) -> Result<TreePage, ServiceError> {
    let directory = get_tree(ctx, caller, tenant).await?;
    Ok(directory.tree.select(selection, limit))
}

/// Lists the numbers of devices of a node's children, by code. The empty path means the whole tenant.
///
/// The hourly count of [`super::adoption`] writes the numbers, so that the cost of a read does not grow with devices.
pub async fn list_devices(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    path: &[String],
    page: &PageRequest,
) -> Result<OrgDevices<Page<NodeDevices>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db().begin_read().await?;
    let children = org_device_counts::list_children(&reader, scope, path, page).await?;
    devices_of(&reader, scope, path, children).await
}

/// Returns the numbers of devices of these children of a node.
pub async fn count_devices(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    path: &[String],
    codes: &[String],
) -> Result<OrgDevices<Vec<NodeDevices>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db().begin_read().await?;
    let children = org_device_counts::find_children(&reader, scope, path, codes).await?;
    devices_of(&reader, scope, path, children).await
}

async fn devices_of<Children>(
    reader: &ReadTx,
    scope: TenantScope,
    path: &[String],
    children: Children,
) -> Result<OrgDevices<Children>, ServiceError> {
    Ok(OrgDevices {
        counted_at: org_device_counts::counted_at(reader, scope).await?,
        devices: org_device_counts::find(reader, scope, path).await?,
        children,
    })
}

/// Directory that replaced another one.
pub struct ReplacedDirectory {
    pub stored: DirectoryRecord,
    pub counts: DirectoryCounts,
}

/// Numbers of the nodes that a replacement of the directory concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryCounts {
    /// Nodes of the new directory.
    pub nodes: usize,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
}

impl DirectoryCounts {
    fn of(before: &[OrgNode], after: &[OrgNode]) -> Self {
        let by_path: HashMap<&[OrgCode], &OrgNode> =
            before.iter().map(|node| (node.path.as_slice(), node)).collect();
        let stored = |node: &OrgNode| by_path.get(node.path.as_slice()).copied();
        let kept = after.iter().filter(|node| stored(node).is_some()).count();
        let unchanged = after.iter().filter(|node| stored(node) == Some(*node)).count();
        Self {
            nodes: after.len(),
            added: after.len() - kept,
            changed: kept - unchanged,
            removed: before.len() - kept,
        }
    }
}

/// Returns the places that the org directory does not have, each once. Without a directory, none is unknown.
///
/// Reads the memory of this node, because indexing a large directory takes seconds. While the memory lacks the tenant,
/// none is unknown either: the result is a hint for people.
pub fn unknown_nodes(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    places: impl IntoIterator<Item = OrgScope>,
) -> HashSet<OrgScope> {
    let Ok(served) = memory::find_tenant(ctx, caller, tenant) else {
        return HashSet::new();
    };
    let directory = &served.directory;
    let is_unknown = |place: &OrgScope| !directory.is_empty() && !directory.has(place.codes());
    places.into_iter().filter(is_unknown).collect()
}

pub async fn replace(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    nodes: Vec<OrgNode>,
    precondition: &Precondition,
) -> Result<WriteResult<ReplacedDirectory>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteOrgDirectory).await?;
    require_valid(check_directory(&nodes))?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = org_directories::find(&tx, scope)
        .await?
        .unwrap_or_else(|| none_yet(ctx));
    precondition.check(&before.etag)?;
    if before.nodes == nodes {
        let counts = DirectoryCounts::of(&nodes, &nodes);
        let unchanged = ReplacedDirectory {
            stored: before,
            counts,
        };
        return Ok(ctx.unchanged(tx, unchanged).await);
    }
    let stored = org_directories::replace(&tx, nodes, ctx.now()).await?;
    let change = AuditedChange::new(AuditAction::OrgDirectoryReplace, tenant)
        .with_before(&differing_nodes(&before.nodes, &stored.nodes))
        .with_after(&differing_nodes(&stored.nodes, &before.nodes));
    audit::record(&tx, ctx, caller, Some(tenant), change);
    let replaced = ReplacedDirectory {
        counts: DirectoryCounts::of(&before.nodes, &stored.nodes),
        stored,
    };
    Ok(WriteResult::changed(replaced, ctx.commit(tx).await?))
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
