//! Adoption of the versions of resources, day by day.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::ids::AppId;
use super::text::Identifier;
use super::version::VersionCode;

/// Days within which a device must have checked for an app to count, unless the caller chooses another number.
pub const SEEN_WITHIN_DAYS: u16 = 30;
/// Days that are kept, today included.
pub const KEPT_DAYS: u16 = 400;
/// Versions that are kept for each resource and day. Devices choose the versions that they report, so their number is
/// not bounded otherwise.
pub const KEPT_VERSIONS: usize = 50;

/// Returns the first day on which a device must have checked to count, if it must have within a number of `days`.
///
/// Whole days of UTC count, because the time of a check is recorded to the day.
pub fn first_counted_day(now: DateTime<Utc>, days: u16) -> NaiveDate {
    now.date_naive() - TimeDelta::days(i64::from(days))
}

/// Returns the beginning of [`first_counted_day`].
pub fn counted_since(now: DateTime<Utc>, days: u16) -> DateTime<Utc> {
    first_counted_day(now, days).and_time(NaiveTime::MIN).and_utc()
}

/// Number of devices on one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionDevices {
    pub version_code: VersionCode,
    pub devices: u64,
}

/// Number of devices on each version of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionCounts {
    /// Versions with the most devices, newest first.
    pub versions: Vec<VersionDevices>,
    /// Devices on all other versions.
    pub others: u64,
}

/// Adoption of a resource on one day, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyAdoption {
    pub day: NaiveDate,
    pub counts: AdoptionCounts,
}

/// Adoption of a resource on one day, with the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceDay {
    pub app: AppId,
    pub identifier: Identifier,
    pub adoption: DailyAdoption,
}

/// Adoption of a resource over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceHistory {
    pub identifier: Identifier,
    /// Versions that are counted separately on every day, newest first.
    pub versions: Vec<VersionCode>,
    /// Days with a count, in order. Days on which no device had the resource are absent.
    pub days: Vec<DailyAdoption>,
}

impl AdoptionCounts {
    /// Keeps the `limit` versions with the most devices; among equals, the newer one. Devices on the rest are added to
    /// `others`.
    pub fn of(mut versions: Vec<VersionDevices>, others: u64, limit: usize) -> Self {
        versions.sort_unstable_by_key(|count| (Reverse(count.devices), Reverse(count.version_code)));
        let rest = versions.split_off(versions.len().min(limit));
        versions.sort_unstable_by_key(|count| Reverse(count.version_code));
        Self {
            versions,
            others: others + sum(&rest),
        }
    }

    pub fn total(&self) -> u64 {
        sum(&self.versions) + self.others
    }

    /// Returns the number of devices on a version; 0 if it is not counted separately.
    pub fn devices_on(&self, version: VersionCode) -> u64 {
        let found = self.versions.iter().find(|count| count.version_code == version);
        found.map_or(0, |count| count.devices)
    }

    /// Counts only these versions separately.
    fn retain(&mut self, kept: &[VersionCode]) {
        let before = sum(&self.versions);
        self.versions.retain(|count| kept.contains(&count.version_code));
        self.others += before - sum(&self.versions);
    }
}

impl ResourceHistory {
    /// Counts the `limit` versions separately that have the most devices over all days. The days are in order.
    pub fn of(identifier: Identifier, mut days: Vec<DailyAdoption>, limit: usize) -> Self {
        let mut totals: BTreeMap<VersionCode, u64> = BTreeMap::new();
        for count in days.iter().flat_map(|day| &day.counts.versions) {
            *totals.entry(count.version_code).or_default() += count.devices;
        }
        let totals = totals.into_iter().map(|(version_code, devices)| VersionDevices {
            version_code,
            devices,
        });
        let versions: Vec<_> = AdoptionCounts::of(totals.collect(), 0, limit)
            .versions
            .iter()
            .map(|count| count.version_code)
            .collect();
        for day in &mut days {
            day.counts.retain(&versions);
        }
        Self {
            identifier,
            versions,
            days,
        }
    }
}

fn sum(counts: &[VersionDevices]) -> u64 {
    counts.iter().map(|count| count.devices).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(i64, u64)]) -> Vec<VersionDevices> {
        let count = |&(version, devices): &(i64, u64)| VersionDevices {
            version_code: VersionCode::new(version).unwrap(),
            devices,
        };
        of.iter().map(count).collect()
    }

    fn day(number: u32, of: &[(i64, u64)], others: u64) -> DailyAdoption {
        DailyAdoption {
            day: NaiveDate::from_ymd_opt(2026, 3, number).unwrap(),
            counts: AdoptionCounts {
                versions: counts(of),
                others,
            },
        }
    }

    #[test]
    fn the_versions_with_the_most_devices_are_kept_newest_first() {
        let kept = AdoptionCounts::of(counts(&[(1, 9), (2, 1), (3, 5), (4, 5), (5, 1)]), 2, 3);
        assert_eq!(kept.versions, counts(&[(4, 5), (3, 5), (1, 9)]));
        assert_eq!((kept.others, kept.total()), (4, 23));
        let equal = AdoptionCounts::of(counts(&[(1, 1), (2, 1)]), 0, 1);
        assert_eq!((equal.versions, equal.others), (counts(&[(2, 1)]), 1));
    }

    #[test]
    fn a_history_counts_the_same_versions_on_every_day() {
        let identifier = Identifier::parse("com.example").unwrap();
        let days = vec![day(1, &[(2, 1), (1, 9)], 0), day(2, &[(3, 5), (2, 4), (1, 1)], 1)];
        let history = ResourceHistory::of(identifier, days, 2);
        let versions: Vec<_> = history.versions.iter().map(|version| version.get()).collect();
        assert_eq!(versions, [3, 1]);
        assert_eq!(history.days, [day(1, &[(1, 9)], 1), day(2, &[(3, 5), (1, 1)], 5)]);
        assert_eq!(history.days[0].counts.devices_on(history.versions[0]), 0);
    }
}
