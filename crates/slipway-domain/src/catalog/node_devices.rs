//! Numbers of devices at and below the nodes of an org directory.

use std::sync::Arc;

use super::device::OrgInfo;
use super::org::{OrgDirectory, OrgScope};

/// Number of devices at and below one org node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDevices {
    /// Codes from l1 down; empty for all devices of the tenant.
    pub path: Vec<String>,
    pub devices: u64,
}

/// Devices of a tenant while they are counted. Memory grows with the directory, not with the devices.
#[derive(Debug)]
pub struct NodeCounts {
    directory: Arc<OrgDirectory>,
    /// One number for each node of the directory.
    devices: Vec<u64>,
    total: u64,
}

impl NodeCounts {
    pub fn new(directory: Arc<OrgDirectory>) -> Self {
        Self {
            devices: vec![0; directory.node_count()],
            directory,
            total: 0,
        }
    }

    /// Adds devices with the same places. A device with several places in a node counts there once.
    pub fn add(&mut self, places: Option<&OrgInfo>, devices: u64) {
        self.total += devices;
        let places = places.map(OrgInfo::memberships).unwrap_or_default();
        let mut nodes: Vec<_> = places
            .iter()
            .map(OrgScope::codes)
            .flat_map(|codes| self.directory.nodes_of(codes))
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            self.devices[node] += devices;
        }
    }

    /// Removes and returns the number of a node; 0 if the directory lacks it.
    pub fn take(&mut self, path: &[String]) -> u64 {
        if path.is_empty() {
            return std::mem::take(&mut self.total);
        }
        let count = self.directory.index_of(path);
        count.map_or(0, |index| std::mem::take(&mut self.devices[index]))
    }

    /// Returns the remaining numbers above 0.
    pub fn into_rest(self) -> Vec<NodeDevices> {
        let total = NodeDevices {
            path: Vec::new(),
            devices: self.total,
        };
        let of_node = |(index, devices)| NodeDevices {
            path: self.directory.path_at(index).map(str::to_owned).collect(),
            devices,
        };
        let nodes = self.devices.iter().copied().enumerate();
        let counted = nodes.filter(|(_, devices)| *devices > 0).map(of_node);
        std::iter::once(total)
            .filter(|total| total.devices > 0)
            .chain(counted)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(json: &str) -> OrgInfo {
        serde_json::from_str(json).unwrap()
    }

    fn counts() -> NodeCounts {
        let paths: [&[&str]; 3] = [&["HM", "HM-SH", "8007"], &["HM", "HM-BJ"], &["SKR"]];
        NodeCounts::new(Arc::new(OrgDirectory::new(paths)))
    }

    #[test]
    fn a_device_counts_in_each_of_its_nodes_and_above_once() {
        let mut counts = counts();
        let both = r#"[{"l1Code":"HM","l2Code":"HM-SH","l3Code":"8007"},{"l1Code":"HM","l2Code":"HM-BJ"}]"#;
        counts.add(Some(&places(both)), 2);
        counts.add(Some(&places(r#"[{"l1Code":"HM","l2Code":"HM-SH"}]"#)), 1);
        // Neither a node nor the level above is known.
        counts.add(Some(&places(r#"[{"l3Code":"8007"}]"#)), 1);
        // The part of the path that the directory has counts.
        counts.add(
            Some(&places(r#"[{"l1Code":"HM","l2Code":"HM-GZ","l3Code":"8007"}]"#)),
            1,
        );
        counts.add(None, 4);
        let of = |path: &[&str], counts: &mut NodeCounts| {
            let path: Vec<_> = path.iter().map(|code| (*code).to_owned()).collect();
            counts.take(&path)
        };
        assert_eq!(of(&[], &mut counts), 9);
        assert_eq!(of(&["HM"], &mut counts), 4);
        assert_eq!(of(&["HM", "HM-BJ"], &mut counts), 2);
        assert_eq!(of(&["HM", "HM-GZ"], &mut counts), 0);
        assert_eq!(of(&["8007"], &mut counts), 0);
        let rest = counts.into_rest().into_iter();
        let rest: Vec<_> = rest.map(|node| (node.path.join("/"), node.devices)).collect();
        assert_eq!(
            rest,
            [("HM/HM-SH".to_owned(), 3), ("HM/HM-SH/8007".to_owned(), 2)]
        );
    }
}
