//! Devices that a push is sent to.

use std::collections::HashSet;

use crate::catalog::field::Invalid;
use crate::catalog::text::{DeviceId, ProjectId};

/// Maximum number of devices of a push.
pub const MAX_TARGETS: usize = 1_000;
/// Maximum number of entries that a sender may list. A device that is listed again counts once.
pub const MAX_LISTED_TARGETS: usize = 10_000;

/// Device as named by the sender of a push.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushTarget {
    pub device: DeviceId,
    /// Claimed project, to be compared with the project of the device.
    pub project: ProjectId,
}

/// One to [`MAX_TARGETS`] distinct devices, sorted bytewise by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTargets(Vec<PushTarget>);

impl PushTargets {
    pub fn new(listed: Vec<PushTarget>) -> Result<Self, Invalid> {
        let distinct: HashSet<_> = listed.into_iter().collect();
        if distinct.is_empty() || distinct.len() > MAX_TARGETS {
            return Err(Invalid::new(format!(
                "must name 1 to {MAX_TARGETS} devices, not {}; a device that is named again counts once",
                distinct.len()
            )));
        }
        let mut targets: Vec<_> = distinct.into_iter().collect();
        targets.sort_unstable();
        Ok(Self(targets))
    }

    pub fn as_slice(&self) -> &[PushTarget] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(device: usize, project: &str) -> PushTarget {
        PushTarget {
            device: DeviceId::parse(device.to_string()).unwrap(),
            project: ProjectId::parse(project).unwrap(),
        }
    }

    #[test]
    fn a_device_that_is_named_again_counts_once() {
        let twice: Vec<_> = (0..2_000).map(|number| target(number % 1_000, "p")).collect();
        assert_eq!(PushTargets::new(twice).unwrap().as_slice().len(), 1_000);
        assert!(PushTargets::new((0..1_001).map(|number| target(number, "p")).collect()).is_err());
        assert!(PushTargets::new(Vec::new()).is_err());
        // Two projects are two claims, one of which is wrong.
        let claims = PushTargets::new(vec![target(1, "p"), target(1, "q")]).unwrap();
        assert_eq!(claims.as_slice().len(), 2);
    }

    #[test]
    fn targets_are_in_the_order_of_their_ids() {
        let targets = PushTargets::new(vec![target(2, "a"), target(1, "b"), target(10, "c")]).unwrap();
        let ids: Vec<_> = targets
            .as_slice()
            .iter()
            .map(|target| target.device.as_str())
            .collect();
        assert_eq!(ids, ["1", "10", "2"]);
    }
}
