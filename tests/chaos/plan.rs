//! Order and duration of faults, from a seed.

use std::time::Duration;

use super::fixture::NODES;

/// A temporary fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A node is killed with `SIGKILL` and restarted.
    KillNode(usize),
    /// A node is stopped with `SIGTERM` and restarted.
    StopNode(usize),
    /// A node hangs (`SIGSTOP`) and then continues.
    FreezeNode(usize),
    /// PostgreSQL's postmaster is killed with `SIGKILL` and restarted.
    KillDatabase,
    /// The broker is killed with `SIGKILL` and restarted. It loses its state.
    KillBroker,
    /// A node's connections to PostgreSQL are cut, and new ones are refused.
    CutDatabase(usize),
    /// All connections to a node are cut, and new ones are refused.
    CutCallers(usize),
    /// All connections to a node are half open: data of either end is dropped.
    SilenceCallers(usize),
    /// A node's connection to the broker is cut, and new ones are refused.
    CutBroker(usize),
    /// A node's connection to the broker is half open. The node notices by a missing acknowledgement or at its second
    /// next keep-alive, long after the broker.
    SilenceBroker(usize),
}

/// One fault, or two at the same time, followed by calm.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) faults: Vec<Fault>,
    pub(super) lasts: Duration,
    pub(super) calm: Duration,
}

pub(super) struct Plan;

impl Plan {
    /// Returns every fault once, in random order. With `pairs`, some steps have two faults.
    pub(super) fn draw(rng: &mut fastrand::Rng, pairs: bool) -> Vec<Step> {
        let mut faults = every_fault(rng);
        rng.shuffle(&mut faults);
        let mut steps: Vec<Step> = Vec::new();
        for fault in faults {
            let joins = pairs && rng.u8(..3) == 0;
            match steps.last_mut() {
                Some(step) if joins && step.faults.len() == 1 && step.faults[0].is_apart_from(fault) => {
                    step.faults.push(fault);
                }
                _ => steps.push(Step {
                    faults: vec![fault],
                    lasts: Duration::from_millis(rng.u64(300..2_000)),
                    calm: Duration::from_millis(rng.u64(200..1_200)),
                }),
            }
        }
        steps
    }
}

fn every_fault(rng: &mut fastrand::Rng) -> Vec<Fault> {
    let mut node = || rng.usize(..NODES);
    vec![
        Fault::KillNode(node()),
        Fault::StopNode(node()),
        Fault::FreezeNode(node()),
        Fault::KillDatabase,
        Fault::KillBroker,
        Fault::CutDatabase(node()),
        Fault::CutCallers(node()),
        Fault::SilenceCallers(node()),
        Fault::CutBroker(node()),
        Fault::SilenceBroker(node()),
    ]
}

impl Fault {
    /// Returns true if both faults can happen at the same time.
    fn is_apart_from(self, other: Self) -> bool {
        let process = |fault| match fault {
            Self::KillNode(node) | Self::StopNode(node) | Self::FreezeNode(node) => Some(node),
            _ => None,
        };
        let callers = |fault| match fault {
            Self::CutCallers(node) | Self::SilenceCallers(node) => Some(node),
            _ => None,
        };
        let broker = |fault| match fault {
            Self::CutBroker(node) | Self::SilenceBroker(node) => Some(node),
            _ => None,
        };
        let differ = |one: Option<usize>, two: Option<usize>| one.is_none() || one != two;
        differ(process(self), process(other))
            && differ(callers(self), callers(other))
            && differ(broker(self), broker(other))
    }
}
