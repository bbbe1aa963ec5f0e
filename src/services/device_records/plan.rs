//! Plan of the writes for a batch of records of one tenant, computed without a database.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{day_of, hash_of};
use crate::storage::devices::{DeviceRecord, SeenDevice};
use slipway_domain::catalog::device::{InstalledApp, Observation, OrgInfo};
use slipway_domain::catalog::install::Install;
use slipway_domain::catalog::text::{DeviceId, DeviceType, Identifier, PackageName};

/// Stored state of the devices in a batch.
pub(super) struct StoredState {
    devices: HashMap<DeviceId, DeviceRecord>,
    /// Grouped by device, in any order.
    installs: HashMap<DeviceId, Vec<Install>>,
}

/// Rows to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) devices: Vec<SeenDevice>,
    pub(super) installs: Vec<Install>,
    /// Removed installs, as of [`Install::seen_at`].
    pub(super) gone: Vec<Install>,
    /// Network of each new device.
    pub(super) new_devices: Vec<Option<IpAddr>>,
    /// Number of records skipped because their device is new and over the limit.
    pub(super) over_limit: usize,
}

/// Latest state of a device in a batch.
struct LatestState {
    /// Hash of the device id.
    hash: u64,
    seen: SeenDevice,
    apps: BTreeMap<PackageName, (InstalledApp, DateTime<Utc>)>,
    records: usize,
    network: Option<IpAddr>,
}

impl StoredState {
    pub(super) fn new(devices: Vec<DeviceRecord>, installs: Vec<Install>) -> Self {
        let mut by_device: HashMap<_, Vec<_>> = HashMap::new();
        for install in installs {
            by_device.entry(install.device.clone()).or_default().push(install);
        }
        Self {
            devices: devices
                .into_iter()
                .map(|stored| (stored.device.id.clone(), stored))
                .collect(),
            installs: by_device,
        }
    }

    /// Returns `true` if the stored device already has these values for the same day.
    fn says(&self, seen: &SeenDevice, hash: u64) -> bool {
        let Some(stored) = self.devices.get(&seen.device) else {
            return false;
        };
        let is_of_the_day = stored
            .last_seen_at
            .is_some_and(|last| day_of(last, hash) >= day_of(seen.seen_at, hash));
        is_of_the_day
            && is_left_out_or(seen.device_type.as_ref(), stored.device.device_type.as_ref())
            && is_left_out_or(seen.org_info.as_ref(), stored.device.org_info.as_ref())
    }

    fn installs_of<'a>(
        &'a self,
        device: &DeviceId,
        package_name: &PackageName,
    ) -> impl Iterator<Item = &'a Install> + use<'a> {
        let package_name = package_name.clone();
        let of_device = self.installs.get(device).into_iter().flatten();
        of_device.filter(move |install| install.package_name == package_name)
    }
}

fn is_left_out_or<T: PartialEq>(seen: Option<&T>, stored: Option<&T>) -> bool {
    seen.is_none() || seen == stored
}

/// Plans the writes for records of one tenant.
///
/// `admits` decides on each new device; its first argument is the number of new devices already in the plan.
pub(super) fn plan(
    records: &[&Observation],
    state: &StoredState,
    admits: impl Fn(u64, Option<IpAddr>) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    for latest in latest_of_each(records) {
        let is_new = !state.devices.contains_key(&latest.seen.device);
        if is_new && !admits(plan.new_devices.len() as u64, latest.network) {
            plan.over_limit += latest.records;
            continue;
        }
        if is_new {
            plan.new_devices.push(latest.network);
        }
        plan.add(latest, state);
    }
    plan
}

fn latest_of_each(records: &[&Observation]) -> impl Iterator<Item = LatestState> + use<> {
    let mut in_time = records.to_vec();
    in_time.sort_by_key(|record| record.seen_at);
    let mut devices: BTreeMap<DeviceId, LatestState> = BTreeMap::new();
    for record in in_time {
        devices
            .entry(record.device.clone())
            .or_insert_with(|| LatestState::of(record))
            .merge(record);
    }
    devices.into_values()
}

impl LatestState {
    fn of(record: &Observation) -> Self {
        Self {
            hash: hash_of(record.tenant.get(), record.device.as_str()),
            seen: SeenDevice {
                device: record.device.clone(),
                device_type: None,
                org_info: None,
                seen_at: record.seen_at,
            },
            apps: BTreeMap::new(),
            records: 0,
            network: record.network,
        }
    }

    /// Merges a record that is not older than the previous ones.
    fn merge(&mut self, record: &Observation) {
        self.records += 1;
        self.network = record.network;
        self.seen.seen_at = record.seen_at;
        overwrite::<DeviceType>(&mut self.seen.device_type, record.device_type.as_ref());
        overwrite::<OrgInfo>(&mut self.seen.org_info, record.org_info.as_ref());
        if let Some(app) = &record.app {
            self.apps
                .insert(app.package_name.clone(), (app.clone(), record.seen_at));
        }
    }
}

fn overwrite<T: Clone>(value: &mut Option<T>, newer: Option<&T>) {
    if newer.is_some() {
        *value = newer.cloned();
    }
}

impl Plan {
    fn add(&mut self, latest: LatestState, state: &StoredState) {
        let before = self.installs.len() + self.gone.len();
        for (app, seen_at) in latest.apps.into_values() {
            self.add_app(&latest.seen.device, latest.hash, &app, seen_at, state);
        }
        let installs_change = self.installs.len() + self.gone.len() > before;
        if installs_change || !state.says(&latest.seen, latest.hash) {
            self.devices.push(latest.seen);
        }
    }

    fn add_app(
        &mut self,
        device: &DeviceId,
        hash: u64,
        app: &InstalledApp,
        seen_at: DateTime<Utc>,
        state: &StoredState,
    ) {
        let stored: HashMap<&Identifier, &Install> = state
            .installs_of(device, &app.package_name)
            .map(|install| (&install.identifier, install))
            .collect();
        for (identifier, version) in &app.versions {
            let is_stored = stored.get(identifier).is_some_and(|install| {
                install.app == Some(app.id)
                    && install.version_code == *version
                    && day_of(install.seen_at, hash) >= day_of(seen_at, hash)
            });
            if !is_stored {
                self.installs.push(Install {
                    device: device.clone(),
                    app: Some(app.id),
                    package_name: app.package_name.clone(),
                    identifier: identifier.clone(),
                    version_code: *version,
                    seen_at,
                });
            }
        }
        let is_there = |install: &&Install| app.versions.iter().any(|(it, _)| *it == install.identifier);
        let gone = stored.into_values().filter(|install| !is_there(install));
        let gone = gone.filter(|install| install.seen_at <= seen_at);
        self.gone.extend(gone.map(|install| Install {
            seen_at,
            ..install.clone()
        }));
    }
}
