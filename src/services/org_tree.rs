//! Org directory as a tree: the children of one node, or the nodes that a search finds.

use chrono_tz::Tz;

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
    /// Nodes whose path ends with these codes, in the order of the directory. No codes select nothing.
    EndingWith(Vec<String>),
}

/// Node of the tree. A node that the directory implies by its descendants alone has no name and no time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeNode {
    /// Codes from l1 down to the node.
    pub path: Vec<String>,
    pub name: Option<Name>,
    pub time_zone: Option<Tz>,
    /// Number of listed nodes below this one.
    pub below: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreePage {
    pub nodes: Vec<TreeNode>,
    /// `true` if the selection has more nodes.
    pub has_more: bool,
}

/// One version of an org directory, indexed by path.
#[derive(Debug, Default)]
pub struct OrgTree {
    /// In the order of the directory.
    nodes: Vec<OrgNode>,
    /// Indexes of the nodes, by path. The nodes at and below a node follow each other.
    by_path: Vec<usize>,
}

impl OrgTree {
    pub fn new(nodes: Vec<OrgNode>) -> Self {
        let mut by_path: Vec<_> = (0..nodes.len()).collect();
        by_path.sort_unstable_by_key(|index| &nodes[*index].path);
        Self { nodes, by_path }
    }

    /// Returns the listed nodes, in the order of the directory.
    pub fn nodes(&self) -> &[OrgNode] {
        &self.nodes
    }

    /// Returns the first `limit` nodes of a selection.
    pub fn select(&self, selection: &TreeSelection, limit: usize) -> TreePage {
        let mut nodes = match selection {
            TreeSelection::Below { path, after } => self.children_of(path, after.as_deref(), limit + 1),
            TreeSelection::Matching(text) => self.matching(&text.to_lowercase(), limit + 1),
            TreeSelection::EndingWith(codes) => self.ending_with(codes, limit + 1),
        };
        let has_more = nodes.len() > limit;
        nodes.truncate(limit);
        TreePage { nodes, has_more }
    }

    fn children_of(&self, path: &[String], after: Option<&str>, most: usize) -> Vec<TreeNode> {
        // The node itself has no such code, which sorts before every code.
        let code = |index: &usize| self.nodes[*index].path.get(path.len()).map(OrgCode::as_str);
        let mut rest = self.subtree(path);
        rest = &rest[rest.partition_point(|index| code(index) <= after)..];
        let mut children = Vec::new();
        while children.len() < most
            && let Some(first) = rest.first()
            && let Some(child) = code(first)
        {
            let (own, others) = rest.split_at(rest.partition_point(|index| code(index) <= Some(child)));
            let listed = Some(&self.nodes[*first]).filter(|node| node.path.len() == path.len() + 1);
            children.push(TreeNode {
                path: path.iter().cloned().chain([child.to_owned()]).collect(),
                name: listed.and_then(|node| node.name.clone()),
                time_zone: listed.and_then(|node| node.time_zone),
                below: own.len() - usize::from(listed.is_some()),
            });
            rest = others;
        }
        children
    }

    /// Returns the indexes of the nodes at and below a path.
    fn subtree<S: AsRef<str>>(&self, path: &[S]) -> &[usize] {
        let codes = |index: &usize| self.nodes[*index].path.iter().map(OrgCode::as_str);
        let start = self
            .by_path
            .partition_point(|index| codes(index).lt(path.iter().map(AsRef::as_ref)));
        let rest = &self.by_path[start..];
        let is_within = |index: &usize| codes(index).take(path.len()).eq(path.iter().map(AsRef::as_ref));
        &rest[..rest.partition_point(is_within)]
    }

    fn matching(&self, text: &str, most: usize) -> Vec<TreeNode> {
        let is_match = |node: &&OrgNode| {
            let code = node.path.last().map_or("", OrgCode::as_str);
            let name = node.name.as_ref().map_or("", Name::as_str);
            code.to_lowercase().contains(text) || name.to_lowercase().contains(text)
        };
        let found = self.nodes.iter().filter(is_match).take(most);
        found.map(|node| self.tree_node(node)).collect()
    }

    fn ending_with(&self, codes: &[String], most: usize) -> Vec<TreeNode> {
        let is_match = |node: &&OrgNode| {
            let end = node.path.iter().rev().map(OrgCode::as_str).take(codes.len());
            !codes.is_empty() && end.eq(codes.iter().rev().map(String::as_str))
        };
        let found = self.nodes.iter().filter(is_match).take(most);
        found.map(|node| self.tree_node(node)).collect()
    }

    fn tree_node(&self, node: &OrgNode) -> TreeNode {
        TreeNode {
            path: node.path.iter().map(|code| code.as_str().to_owned()).collect(),
            name: node.name.clone(),
            time_zone: node.time_zone,
            below: self.subtree(&node.path).len() - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn directory() -> OrgTree {
        let nodes = json!([
            {"path": ["HM", "HM-SH", "8011"], "name": "Xujiahui"},
            {"path": ["HM", "HM-SH"], "name": "Shanghai"},
            {"path": ["HM", "HM-SH", "8007"]},
            {"path": ["HM", "HM-BJ", "9001"], "name": "Sanlitun"},
            {"path": ["SKR"]},
            {"path": ["HM-X"]},
        ]);
        OrgTree::new(serde_json::from_value(nodes).unwrap())
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
        let top = directory().select(&below(&[], None), 10);
        assert_eq!(
            brief(&top),
            [row("HM", "", 4), row("HM-X", "", 0), row("SKR", "", 0)]
        );
        let hm = directory().select(&below(&["HM"], None), 10);
        assert_eq!(
            brief(&hm),
            [row("HM/HM-BJ", "", 1), row("HM/HM-SH", "Shanghai", 2)]
        );
        assert_eq!(
            directory().select(&below(&["HM", "9001"], None), 10),
            TreePage::default()
        );
    }

    #[test]
    fn a_page_ends_at_the_limit_and_the_next_begins_after_it() {
        let stores = directory().select(&below(&["HM", "HM-SH"], None), 1);
        assert_eq!(brief(&stores), [row("HM/HM-SH/8007", "", 0)]);
        assert!(stores.has_more);
        let rest = directory().select(&below(&["HM", "HM-SH"], Some("8007")), 1);
        assert_eq!(brief(&rest), [row("HM/HM-SH/8011", "Xujiahui", 0)]);
        assert!(!rest.has_more);
    }

    #[test]
    fn a_search_finds_codes_and_names() {
        let found = |text: &str| {
            let selection = TreeSelection::Matching(text.to_owned());
            brief(&directory().select(&selection, 10))
        };
        assert_eq!(found("xuji"), [row("HM/HM-SH/8011", "Xujiahui", 0)]);
        assert_eq!(found("hm-sh"), [row("HM/HM-SH", "Shanghai", 2)]);
        assert_eq!(found("nowhere"), []);
    }

    #[test]
    fn the_end_of_a_path_finds_whole_codes() {
        let found = |codes: &[&str]| {
            let codes = codes.iter().map(|code| (*code).to_owned()).collect();
            brief(&directory().select(&TreeSelection::EndingWith(codes), 10))
        };
        let store = row("HM/HM-SH/8007", "", 0);
        assert_eq!(found(&["8007"]), std::slice::from_ref(&store));
        assert_eq!(found(&["HM-SH", "8007"]), [store]);
        assert_eq!(found(&["HM"]), [], "the directory does not list the node");
        for absent in [
            &["800"][..],
            &["HM-BJ", "8007"],
            &["X", "HM", "HM-SH", "8007"],
            &[],
        ] {
            assert_eq!(found(absent), [], "{absent:?}");
        }
    }
}
