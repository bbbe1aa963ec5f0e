//! Numbers of devices by version while a tenant is counted.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use crate::storage::device_counts::AppVersionCount;
use slipway_domain::catalog::adoption::{
    AdoptionCounts, DailyAdoption, KEPT_VERSIONS, ResourceDay, VersionDevices,
};
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;

/// Versions that are counted separately. Devices choose the versions that they report, so that their number is not
/// bounded otherwise.
const MAX_VERSIONS: usize = 200_000;

/// Identity of a resource in its tenant.
pub(super) type ResourceKey = (AppId, Identifier);

/// Numbers of devices of a tenant.
#[derive(Debug)]
pub(super) struct Tally {
    resources: HashMap<ResourceKey, ResourceTally>,
    /// Number of versions that can still be added.
    free_versions: usize,
}

#[derive(Debug, Default)]
struct ResourceTally {
    versions: HashMap<VersionCode, u64>,
    others: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self::with_versions(MAX_VERSIONS)
    }
}

impl Tally {
    fn with_versions(free_versions: usize) -> Self {
        Self {
            resources: HashMap::new(),
            free_versions,
        }
    }

    /// Adds the counts of a page.
    pub(super) fn add(&mut self, counts: Vec<AppVersionCount>) {
        for AppVersionCount { app, count } in counts {
            let resource = self.resources.entry((app, count.identifier)).or_default();
            if let Some(devices) = resource.versions.get_mut(&count.version_code) {
                *devices += count.devices;
            } else if self.free_versions > 0 {
                self.free_versions -= 1;
                resource.versions.insert(count.version_code, count.devices);
            } else {
                resource.others += count.devices;
            }
        }
    }

    /// Returns the numbers as those of a day.
    pub(super) fn into_days(self, day: NaiveDate) -> BTreeMap<ResourceKey, ResourceDay> {
        let resources = self.resources.into_iter();
        resources
            .map(|((app, identifier), tally)| {
                let day = ResourceDay {
                    app,
                    identifier: identifier.clone(),
                    adoption: DailyAdoption {
                        day,
                        counts: tally.into_counts(),
                    },
                };
                ((app, identifier), day)
            })
            .collect()
    }
}

impl ResourceTally {
    fn into_counts(self) -> AdoptionCounts {
        let versions = self.versions.into_iter();
        let versions = versions.map(|(version_code, devices)| VersionDevices {
            version_code,
            devices,
        });
        AdoptionCounts::of(versions.collect(), self.others, KEPT_VERSIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_domain::catalog::install::VersionCount;
    use uuid::Uuid;

    fn count(version: i64, devices: u64) -> AppVersionCount {
        AppVersionCount {
            app: AppId::from_uuid(Uuid::nil()),
            count: VersionCount {
                identifier: Identifier::parse("com.example").unwrap(),
                version_code: VersionCode::new(version).unwrap(),
                devices,
            },
        }
    }

    #[test]
    fn the_number_of_versions_in_memory_is_bounded() {
        let mut tally = Tally::with_versions(2);
        tally.add(vec![count(1, 1), count(2, 1), count(3, 5)]);
        tally.add(vec![count(2, 1), count(4, 1)]);
        let days = tally.into_days(NaiveDate::default());
        let counts: Vec<_> = days.values().map(|day| &day.adoption.counts).collect();
        let [counts] = counts[..] else {
            panic!("one resource")
        };
        let versions = counts.versions.iter();
        let versions: Vec<_> = versions
            .map(|count| (count.version_code.get(), count.devices))
            .collect();
        assert_eq!((versions, counts.others), (vec![(2, 2), (1, 1)], 6));
    }
}
