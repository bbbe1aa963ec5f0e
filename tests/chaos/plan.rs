//! What breaks, in which order and for how long, from a seed.

use std::time::Duration;

use super::fixture::NODES;

/// Something that breaks for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A node is killed with signal 9, and started again.
    KillNode(usize),
    /// A node is told to stop, which it does in good order, and started again.
    StopNode(usize),
    /// A node hangs (`SIGSTOP`), and goes on.
    FreezeNode(usize),
    /// PostgreSQL's postmaster is killed with signal 9, and started again.
    KillDatabase,
    /// The broker is killed with signal 9, and started again. It forgets what it held.
    KillBroker,
    /// A node's connections to PostgreSQL are cut, and new ones are refused.
    CutDatabase(usize),
    /// All connections to a node are cut, and new ones are refused.
    CutCallers(usize),
    /// All connections to a node are half open: what either end sends goes nowhere.
    SilenceCallers(usize),
    /// A node's connection to the broker is cut, and new ones are refused.
    CutBroker(usize),
    /// A node's connection to the broker is half open. The node learns of it by what is not acknowledged or by the
    /// next keep-alive but one, long after the broker has.
    SilenceBroker(usize),
}

/// One fault, or two at the same time, and the calm after it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) faults: Vec<Fault>,
    pub(super) lasts: Duration,
    pub(super) calm: Duration,
}

pub(super) struct Plan;

impl Plan {
    /// Every fault once, in an order of the seed's. `pairs`: two at a time now and then.
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
    /// Whether both can be done and mended at the same time.
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
