//! Org directory of a tenant, indexed to complete the places that devices send.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::membership::Membership;
use super::org_level::{LEVELS, Level, LevelCodes, OrgCode, OrgNode};

/// Nodes of a directory. Codes are stored once and numbered in sorted order, so that a node takes 28 bytes. A search
/// among all nodes that share a code reads contiguous memory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct OrgDirectory {
    /// Sorted.
    codes: Box<[Box<str>]>,
    /// Sorted, so that nodes of one level with the same own code are contiguous.
    nodes: Box<[Node]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Node {
    level: Level,
    /// Number of the code at this level.
    own: u32,
    /// Numbers of the codes from l1 down; 0 below the level.
    path: [u32; LEVELS],
}

impl OrgDirectory {
    /// Builds the index. Ancestors that are not listed are added.
    pub fn new<'a, S: AsRef<str> + 'a>(paths: impl IntoIterator<Item = &'a [S]>) -> Self {
        let paths: Vec<&[S]> = paths.into_iter().collect();
        let mut codes: Vec<&str> = paths.iter().copied().flatten().map(AsRef::as_ref).collect();
        codes.sort_unstable();
        codes.dedup();
        let numbers: HashMap<&str, u32> = codes.iter().copied().zip(0..).collect();
        let mut nodes = Vec::with_capacity(paths.len());
        for codes in paths {
            let mut path = [0; LEVELS];
            for (level, code) in Level::all().zip(codes) {
                let own = numbers[code.as_ref()];
                path[level.index()] = own;
                nodes.push(Node { level, own, path });
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        Self {
            codes: codes.into_iter().map(Box::from).collect(),
            nodes: nodes.into(),
        }
    }

    /// Builds the index from directory nodes.
    pub fn of_nodes(nodes: &[OrgNode]) -> Self {
        Self::new(nodes.iter().map(|node| node.path.as_slice()))
    }

    /// Fills in the missing ancestors of a membership if exactly one node matches, and otherwise changes nothing. A
    /// matching node has the membership's deepest code at that level, and agrees with every level given.
    pub fn complete<'a>(&'a self, membership: &mut Membership<'a>) {
        if let Some(node) = self.only_agreeing_node(membership) {
            let codes = &node.path[..node.level.number()];
            *membership = Membership::of_path(codes.iter().map(|number| self.code(*number)));
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns `true` if a node has the deepest code of the place at its level, and agrees with every level named.
    pub fn has(&self, place: &LevelCodes) -> bool {
        let membership = Membership::of_codes(place);
        self.agreeing_nodes(&membership)
            .is_some_and(|mut nodes| nodes.next().is_some())
    }

    fn only_agreeing_node(&self, membership: &Membership<'_>) -> Option<&Node> {
        let mut agreeing = self.agreeing_nodes(membership)?;
        match (agreeing.next(), agreeing.next()) {
            (Some(node), None) => Some(node),
            _ => None,
        }
    }

    /// Returns the nodes that have the deepest code of a membership at its level, and agree with every level given;
    /// `None` if it has a code that the directory lacks.
    fn agreeing_nodes(&self, membership: &Membership<'_>) -> Option<impl Iterator<Item = &Node>> {
        let (level, _) = membership.deepest()?;
        let mut given = [None; LEVELS];
        for (level, code) in membership.levels() {
            // A code that is not in the directory matches no node.
            given[level.index()] = Some(self.number(code)?);
        }
        let own = given[level.index()]?;
        let start = self
            .nodes
            .partition_point(|node| (node.level, node.own) < (level, own));
        let sharing = &self.nodes[start..];
        let end = sharing.partition_point(|node| (node.level, node.own) == (level, own));
        let agrees = move |node: &&Node| {
            let mut levels = given.iter().zip(&node.path);
            levels.all(|(given, own)| given.is_none_or(|given| given == *own))
        };
        Some(sharing[..end].iter().filter(agrees))
    }

    /// Returns the number of nodes, with the ancestors that were added.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the indexes of the nodes that contain a place, from l1 down. They end at the first level that the place
    /// does not name or that the directory lacks.
    pub(super) fn nodes_of<'a>(&'a self, place: &'a LevelCodes) -> impl Iterator<Item = usize> + 'a {
        let mut path = [0; LEVELS];
        Level::all().map_while(move |level| {
            let own = self.number(place.get(level)?)?;
            path[level.index()] = own;
            self.nodes.binary_search(&Node { level, own, path }).ok()
        })
    }

    /// Returns the index of the node with this path.
    pub(super) fn index_of(&self, path: &[String]) -> Option<usize> {
        let place = LevelCodes::from_path(path);
        let mut nodes = self.nodes_of(&place);
        nodes.nth(path.len().checked_sub(1)?)
    }

    /// Returns the path of the node with this index, from l1 down.
    pub(super) fn path_at(&self, index: usize) -> impl Iterator<Item = &str> {
        let node = self.nodes.get(index);
        let codes = node.map_or(&[][..], |node| &node.path[..node.level.number()]);
        codes.iter().map(|number| self.code(*number))
    }

    fn number(&self, code: &str) -> Option<u32> {
        let place = self.codes.binary_search_by(|own| own.as_ref().cmp(code)).ok()?;
        u32::try_from(place).ok()
    }

    fn code(&self, number: u32) -> &str {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        self.codes.get(place).map_or("", AsRef::as_ref)
    }
}

impl AsRef<str> for OrgCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(named: &[(usize, &'static str)]) -> Membership<'static> {
        let mut place = Membership::default();
        for (number, code) in named {
            place.set(Level::all().nth(number - 1).unwrap(), (*code).into());
        }
        place
    }

    fn directory() -> OrgDirectory {
        let paths: [&[&str]; 4] = [
            &["HM", "HM-SH", "8007"],
            &["HM", "HM-BJ", "8007"],
            &["HM", "HM-BJ", "9001"],
            &["SKR", "9001"],
        ];
        OrgDirectory::new(paths)
    }

    /// Returns the completed place, as level numbers and codes.
    fn completed(named: &[(usize, &'static str)]) -> Vec<(usize, String)> {
        let directory = directory();
        let mut membership = place(named);
        directory.complete(&mut membership);
        as_pairs(&membership)
    }

    fn as_pairs(place: &Membership<'_>) -> Vec<(usize, String)> {
        place
            .levels()
            .map(|(level, code)| (level.number(), code.to_owned()))
            .collect()
    }

    #[test]
    fn one_agreeing_node_completes_a_membership() {
        assert_eq!(
            completed(&[(3, "9001")]),
            as_pairs(&place(&[(1, "HM"), (2, "HM-BJ"), (3, "9001")]))
        );
        assert_eq!(
            completed(&[(2, "HM-SH"), (3, "8007")]),
            as_pairs(&place(&[(1, "HM"), (2, "HM-SH"), (3, "8007")]))
        );
        // An ancestor that is not listed is a node too.
        assert_eq!(
            completed(&[(2, "HM-BJ")]),
            as_pairs(&place(&[(1, "HM"), (2, "HM-BJ")]))
        );
    }

    #[test]
    fn ambiguity_and_contradiction_complete_nothing() {
        for named in [
            &[(3, "8007")][..],
            &[(1, "SKR"), (3, "9001")],
            &[(3, "7777")],
            &[(1, "9001")],
            &[(4, "9001")],
            &[],
        ] {
            assert_eq!(completed(named), as_pairs(&place(named)));
        }
    }
}
