//! The schedule of repeated deliveries.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::services::delivery::RetryWaits;
use slipway_domain::catalog::ids::PushId;

/// The pushes that one stream has delivered, by sequence, and the time at which each is due again.
#[derive(Debug, Default)]
pub(in crate::services) struct RedeliverySchedule {
    offered: BTreeMap<i64, ScheduledDelivery>,
    /// The device reports that it has all pushes up to this sequence.
    has_up_to: i64,
    /// The highest sequence seen.
    highest: i64,
}

#[derive(Debug, Clone, Copy)]
struct ScheduledDelivery {
    times: u32,
    due: Instant,
}

impl RedeliverySchedule {
    /// Creates the schedule for a device that reports that it has all pushes up to a sequence; 0 for none.
    pub(in crate::services) fn resumed_after(has_up_to: i64) -> Self {
        Self {
            has_up_to,
            ..Self::default()
        }
    }

    /// Returns `true` if a pending push is due, and then schedules its next delivery. A push that the device reports to
    /// have is first due after one wait, because only an acknowledgement ends delivery.
    pub(in crate::services) fn take_due(
        &mut self,
        sequence: i64,
        push: PushId,
        now: Instant,
        redelivery: RetryWaits,
    ) -> bool {
        self.highest = self.highest.max(sequence);
        let scheduled = self
            .offered
            .entry(sequence)
            .or_insert(ScheduledDelivery { times: 0, due: now });
        let is_now = scheduled.due <= now;
        if is_now {
            scheduled.times += 1;
            scheduled.due = now + redelivery.after(push.uuid(), scheduled.times);
        }
        let has_it_already = scheduled.times == 1 && sequence <= self.has_up_to;
        is_now && !has_it_already
    }

    /// Limits the sequence that the device reports to the highest one seen. A device may report a higher one, for
    /// example after a restore of the database; a later push is nevertheless new to it.
    pub(in crate::services) fn limit_reported(&mut self) {
        self.has_up_to = self.has_up_to.min(self.highest);
    }

    /// Removes pushes that are no longer open, among the sequences from `from` on. `open` must be sorted.
    pub(in crate::services) fn keep_only(&mut self, open: &[i64], from: i64) {
        self.offered
            .retain(|sequence, _| *sequence < from || open.binary_search(sequence).is_ok());
    }

    /// Returns the time at which the next push is due.
    pub(in crate::services) fn next_due(&self) -> Option<Instant> {
        self.offered.values().map(|scheduled| scheduled.due).min()
    }

    /// Returns the lowest sequence that is due.
    pub(in crate::services) fn lowest_due(&self, now: Instant) -> Option<i64> {
        let mut due = self.offered.iter().filter(|(_, scheduled)| scheduled.due <= now);
        due.next().map(|(sequence, _)| *sequence)
    }

    /// Returns the highest sequence seen. New pushes have a higher one, because sequences follow the order of commits.
    pub(in crate::services) fn highest(&self) -> i64 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::random;
    use crate::timer;

    const REDELIVERY: RetryWaits = RetryWaits {
        first: Duration::from_secs(15),
        longest: Duration::from_mins(5),
    };

    #[test]
    fn a_push_is_offered_at_once_and_then_when_it_is_due() {
        let (push, start) = (random::id::<PushId>(), timer::runtime_now());
        let mut schedule = RedeliverySchedule::default();
        assert!(schedule.take_due(1, push, start, REDELIVERY));
        assert!(!schedule.take_due(1, push, start, REDELIVERY));
        let due = schedule.next_due().unwrap();
        assert_eq!(due, start + REDELIVERY.after(push.uuid(), 1));
        assert_eq!(schedule.lowest_due(due - Duration::from_millis(1)), None);
        assert_eq!(schedule.lowest_due(due), Some(1));
        assert!(schedule.take_due(1, push, due, REDELIVERY));
        assert_eq!(schedule.next_due(), Some(due + REDELIVERY.after(push.uuid(), 2)));
    }

    #[test]
    fn what_the_device_says_it_has_is_offered_again_later_only() {
        let (push, start) = (random::id::<PushId>(), timer::runtime_now());
        let mut schedule = RedeliverySchedule::resumed_after(2);
        assert!(!schedule.take_due(2, push, start, REDELIVERY));
        assert!(schedule.take_due(3, push, start, REDELIVERY));
        let due = start + REDELIVERY.after(push.uuid(), 1);
        assert!(schedule.take_due(2, push, due, REDELIVERY));
        assert_eq!(schedule.highest(), 3);
    }

    #[test]
    fn a_push_after_a_report_that_is_too_high_is_offered_at_once() {
        let start = timer::runtime_now();
        let mut schedule = RedeliverySchedule::resumed_after(1_000);
        assert!(!schedule.take_due(2, random::id::<PushId>(), start, REDELIVERY));
        schedule.limit_reported();
        assert!(schedule.take_due(3, random::id::<PushId>(), start, REDELIVERY));
    }

    #[test]
    fn what_is_open_no_more_is_forgotten_where_one_looked() {
        let start = timer::runtime_now();
        let mut schedule = RedeliverySchedule::default();
        for sequence in 1..=4 {
            schedule.take_due(sequence, random::id::<PushId>(), start, REDELIVERY);
        }
        schedule.keep_only(&[4], 2);
        assert_eq!(schedule.offered.keys().copied().collect::<Vec<_>>(), [1, 4]);
    }

    proptest! {
        /// For any sequence of reads, no push is delivered before its wait is over, and every due push is delivered.
        #[test]
        fn nothing_comes_early_and_everything_comes(steps in prop::collection::vec((1_i64..6, 0_u64..400), 1..60)) {
            let (push, mut now) = (random::id::<PushId>(), timer::runtime_now());
            let mut schedule = RedeliverySchedule::default();
            let mut last: BTreeMap<i64, (u32, Instant)> = BTreeMap::new();
            for (sequence, seconds) in steps {
                now += Duration::from_secs(seconds);
                let is_due = last
                    .get(&sequence)
                    .is_none_or(|(times, at)| *at + REDELIVERY.after(push.uuid(), *times) <= now);
                prop_assert_eq!(schedule.take_due(sequence, push, now, REDELIVERY), is_due);
                if is_due {
                    let times = last.get(&sequence).map_or(1, |(times, _)| times + 1);
                    last.insert(sequence, (times, now));
                }
            }
        }
    }
}
