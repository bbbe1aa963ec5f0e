//! Figures of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::device::Record;
use super::fixture::{Channel, text};
use super::judge::{FinalPush, targets};
use super::plan::Step;
use super::sender::Sent;

pub(super) struct Tally {
    faults: usize,
    pushes: usize,
    calls: u64,
    unanswered: u64,
    /// Number of existing pushes for which no call was answered.
    unknown: usize,
    /// Number of targets by kind of device and state.
    states: BTreeMap<(String, String), u64>,
    receipts: usize,
    duplicates: usize,
    /// Number of pushes that reached one device over both of its channels.
    over_both: usize,
    absences: u64,
    crashes: u64,
}

impl Tally {
    pub(super) fn of(steps: &[Step], sent: &[Sent], ended: &[FinalPush], records: &[Record]) -> Self {
        let mut states = BTreeMap::new();
        for target in ended.iter().flat_map(|ended| targets(&ended.push)) {
            // Devices are named after their kind.
            let (kind, _) = text(target, "device_id").split_once('-').unwrap_or_default();
            let key = (kind.to_owned(), text(target, "state").to_owned());
            *states.entry(key).or_default() += 1;
        }
        let receipts = records.iter().map(|record| record.received.len()).sum();
        let channels: Vec<_> = records.iter().flat_map(channels_by_push).collect();
        Self {
            faults: steps.iter().map(|step| step.faults.len()).sum(),
            pushes: ended.len(),
            calls: sent.iter().map(|sent| sent.calls).sum(),
            unanswered: sent.iter().map(|sent| sent.unanswered).sum(),
            unknown: ended
                .iter()
                .filter(|ended| sent[ended.sent].answered.is_empty())
                .count(),
            states,
            receipts,
            duplicates: receipts - channels.len(),
            over_both: channels.iter().filter(|channels| channels.len() > 1).count(),
            absences: records.iter().map(|record| record.absences).sum(),
            crashes: records.iter().map(|record| record.crashes).sum(),
        }
    }
}

impl Tally {
    /// Returns true if everything that the run is meant to cover happened. In a short run, no push has to arrive over
    /// both channels.
    pub(super) fn is_telling(&self, is_long: bool) -> bool {
        let ends = |channel: Channel, is_such: fn(&str) -> bool| {
            let mut states = self.states.keys();
            states.any(|(of, state)| of == channel.as_str() && is_such(state))
        };
        let is_expired = |state: &str| state == "expired";
        let both_ends = |channel| ends(channel, is_expired) && ends(channel, |state| state != "expired");
        Channel::ALL.into_iter().all(both_ends)
            && self.duplicates > 0
            && (self.over_both > 0 || !is_long)
            && self.crashes > 0
            && self.absences > 0
    }
}

/// Returns the channels over which each push arrived.
fn channels_by_push(record: &Record) -> Vec<BTreeSet<Channel>> {
    let mut channels: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for receipt in &record.received {
        let id = text(&receipt.push, "push_id");
        channels.entry(id).or_default().insert(receipt.channel);
    }
    channels.into_values().collect()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} faults; {} pushes in {} calls, {} of them not answered, {} pushes taken without anybody knowing; ",
            self.faults, self.pushes, self.calls, self.unanswered, self.unknown
        )?;
        for ((kind, state), count) in &self.states {
            write!(f, "{kind} {state} {count}, ")?;
        }
        write!(
            f,
            "{} receipts, {} of them duplicates; {} pushes over both channels of a device; devices went away {} times \
             and crashed {} times",
            self.receipts, self.duplicates, self.over_both, self.absences, self.crashes
        )
    }
}
