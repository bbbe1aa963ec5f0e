//! Org directory as a tree: the children of one node, or the nodes that a search finds.

use std::collections::BTreeMap;

use super::{Caller, Context, ServiceError, org_directory};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{OrgCode, OrgNode};
use slipway_domain::catalog::text::Name;

/// Part of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeSelection {
    /// Children of the node with this path, by code. An empty path selects the top level.
    Below {
        path: Vec<String>,
        /// Code of the last child of the previous page.
        after: Option<String>,
    },
    /// Nodes whose code or name contains this text, ignoring case, in the order of the directory.
    Matching(String),
}

/// Node of the tree. A node that the directory implies by its descendants alone has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeNode {
    /// Codes from l1 down to the node.
    pub path: Vec<String>,
    pub name: Option<Name>,
    /// Number of listed nodes below this one.
    pub below: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreePage {
    pub nodes: Vec<TreeNode>,
    /// `true` if the selection has more nodes.
    pub has_more: bool,
}

/// Lists up to `limit` nodes of a tenant's org directory.
pub async fn list_nodes(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    selection: &TreeSelection,
    limit: usize,
) -> Result<TreePage, ServiceError> {
    let text = org_directory::get_text(ctx, caller, tenant).await?.nodes;
    let nodes = serde_json::from_str(&text).map_err(ServiceError::internal)?;
    Ok(select(nodes, selection, limit))
}

fn select(nodes: Vec<OrgNode>, selection: &TreeSelection, limit: usize) -> TreePage {
    let mut page = match selection {
        TreeSelection::Below { path, after } => children_of(nodes, path, after.as_deref(), limit + 1),
        TreeSelection::Matching(text) => matching(nodes, &text.to_lowercase(), limit + 1),
    };
    page.has_more = page.nodes.len() > limit;
    page.nodes.truncate(limit);
    page
}

fn children_of(nodes: Vec<OrgNode>, path: &[String], after: Option<&str>, most: usize) -> TreePage {
    let mut children = BTreeMap::<String, TreeNode>::new();
    for node in nodes {
        let Some(code) = child_towards(&node, path).filter(|code| after.is_none_or(|after| *code > after))
        else {
            continue;
        };
        // The child may be the last of more than the page has.
        let is_beyond = children.len() >= most
            && children
                .last_key_value()
                .is_some_and(|(last, _)| code > last.as_str());
        if is_beyond {
            continue;
        }
        let is_child = node.path.len() == path.len() + 1;
        let child = children.entry(code.to_owned()).or_insert_with(|| TreeNode {
            path: path.iter().cloned().chain([code.to_owned()]).collect(),
            name: None,
            below: 0,
        });
        if is_child {
            child.name = node.name;
        } else {
            child.below += 1;
        }
        if children.len() > most {
            children.pop_last();
        }
    }
    TreePage {
        nodes: children.into_values().collect(),
        has_more: false,
    }
}

/// Returns the code of the child of `path` that a node is, or is below of.
fn child_towards<'a>(node: &'a OrgNode, path: &[String]) -> Option<&'a str> {
    let mut codes = node.path.iter().map(OrgCode::as_str);
    let is_below = path.iter().all(|code| codes.next() == Some(code));
    codes.next().filter(|_| is_below)
}

fn matching(nodes: Vec<OrgNode>, text: &str, most: usize) -> TreePage {
    let is_match = |node: &&OrgNode| {
        let code = node.path.last().map_or("", OrgCode::as_str);
        let name = node.name.as_ref().map_or("", Name::as_str);
        code.to_lowercase().contains(text) || name.to_lowercase().contains(text)
    };
    let found: Vec<_> = nodes.iter().filter(is_match).take(most).collect();
    let is_below = |node: &OrgNode, other: &OrgNode| {
        other.path.len() > node.path.len() && other.path.starts_with(&node.path)
    };
    let nodes = found.iter().map(|node| TreeNode {
        path: node.path.iter().map(|code| code.as_str().to_owned()).collect(),
        name: node.name.clone(),
        below: nodes.iter().filter(|other| is_below(node, other)).count(),
    });
    TreePage {
        nodes: nodes.collect(),
        has_more: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn directory() -> Vec<OrgNode> {
        serde_json::from_value(json!([
            {"path": ["HM", "HM-SH", "8011"], "name": "Xujiahui"},
            {"path": ["HM", "HM-SH"], "name": "Shanghai"},
            {"path": ["HM", "HM-SH", "8007"]},
            {"path": ["HM", "HM-BJ", "9001"], "name": "Sanlitun"},
            {"path": ["SKR"]},
        ]))
        .unwrap()
    }

    fn brief(page: &TreePage) -> Vec<(String, String, usize)> {
        let brief = |node: &TreeNode| {
            let name = node.name.as_ref().map(ToString::to_string).unwrap_or_default();
            (node.path.join("/"), name, node.below)
        };
        page.nodes.iter().map(brief).collect()
    }

    fn below(path: &[&str], after: Option<&str>) -> TreeSelection {
        TreeSelection::Below {
            path: path.iter().map(|code| (*code).to_owned()).collect(),
            after: after.map(str::to_owned),
        }
    }

    fn row(path: &str, name: &str, below: usize) -> (String, String, usize) {
        (path.to_owned(), name.to_owned(), below)
    }

    #[test]
    fn a_level_has_its_children_by_code_with_the_number_of_nodes_below() {
        let top = select(directory(), &below(&[], None), 10);
        assert_eq!(brief(&top), [row("HM", "", 4), row("SKR", "", 0)]);
        let hm = select(directory(), &below(&["HM"], None), 10);
        assert_eq!(
            brief(&hm),
            [row("HM/HM-BJ", "", 1), row("HM/HM-SH", "Shanghai", 2)]
        );
        assert_eq!(
            select(directory(), &below(&["HM", "9001"], None), 10),
            TreePage::default()
        );
    }

    #[test]
    fn a_page_ends_at_the_limit_and_the_next_begins_after_it() {
        let stores = select(directory(), &below(&["HM", "HM-SH"], None), 1);
        assert_eq!(brief(&stores), [row("HM/HM-SH/8007", "", 0)]);
        assert!(stores.has_more);
        let rest = select(directory(), &below(&["HM", "HM-SH"], Some("8007")), 1);
        assert_eq!(brief(&rest), [row("HM/HM-SH/8011", "Xujiahui", 0)]);
        assert!(!rest.has_more);
    }

    #[test]
    fn a_search_finds_codes_and_names() {
        let found = |text: &str| {
            brief(&select(
                directory(),
                &TreeSelection::Matching(text.to_owned()),
                10,
            ))
        };
        assert_eq!(found("xuji"), [row("HM/HM-SH/8011", "Xujiahui", 0)]);
        assert_eq!(found("hm-sh"), [row("HM/HM-SH", "Shanghai", 2)]);
        assert_eq!(found("nowhere"), []);
    }
}
