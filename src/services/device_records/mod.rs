//! Records of checks (device, versions, time), written without delaying a check.
//!
//! A check compares a fingerprint of the device's state and day with the last recorded one. If it differs, the state
//! enters a bounded queue.
//!
//! One task writes the queue to the database in batches. A full queue drops the record and counts it; the device's next
//! check tries again.

mod changes;
mod plan;
mod seen;
mod status;
mod writer;

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use foldhash::quality::RandomState;
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::seen::{CacheLookup, Fingerprint, StateCache};
use self::status::Counts;
use self::writer::DeviceRecordBatches;
use crate::random;
use crate::services::NewDevices;
use crate::services::batch_writer::{BatchQueue, BatchSettings, BatchStatus, BatchWriter};
use crate::services::network::network_of;
use crate::storage::Db;
use slipway_domain::catalog::device::{InstalledApp, Observation, OrgInfo};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::{DeviceId, DeviceType, Identifier};
use slipway_domain::catalog::version::VersionCode;
use slipway_resolver::{Check, PublishedApp};

pub use self::changes::DeviceChangeReader;
pub use self::status::DeviceRecordStatus;

/// Writer of device records.
pub type DeviceRecordWriter = BatchWriter<DeviceRecordBatches>;

const DAY_MS: u64 = 86_400_000;

/// Recorder of checks.
pub struct DeviceRecorder {
    counts: Arc<Counts>,
    /// `None` if recording is disabled.
    active: Option<ActiveRecorder>,
}

struct ActiveRecorder {
    /// Random keys, generated at startup, so that no client can choose device ids that collide.
    keys: RandomState,
    states: Arc<StateCache>,
    queue: BatchQueue<Box<Observation>>,
}

/// Capacity of a recorder.
#[derive(Debug, Clone, Copy)]
pub struct RecorderSettings {
    /// Number of cached device states, eight bytes each; rounded up to a power of two.
    pub states: usize,
    pub batches: BatchSettings,
}

impl DeviceRecorder {
    /// Creates a recorder, the writer of its records and the reader of device changes.
    pub fn new(
        db: Db,
        settings: RecorderSettings,
        new_devices: Arc<NewDevices>,
    ) -> (Self, DeviceRecordWriter, DeviceChangeReader) {
        let counts = Arc::new(Counts::default());
        let states = Arc::new(StateCache::new(settings.states));
        let name = random::uuid().simple().to_string();
        let reader = DeviceChangeReader::new(db.clone(), Some(states.clone()), name.clone());
        let batches = DeviceRecordBatches {
            db,
            name,
            counts: counts.clone(),
            new_devices,
        };
        let (queue, writer) = BatchQueue::new(batches, settings.batches);
        let recorder = Self {
            counts,
            active: Some(ActiveRecorder {
                keys: RandomState::default(),
                states,
                queue,
            }),
        };
        (recorder, writer, reader)
    }

    /// Creates a disabled recorder. Its change reader only removes old changes.
    pub fn off(db: Db) -> (Self, DeviceChangeReader) {
        let recorder = Self {
            counts: Arc::default(),
            active: None,
        };
        (recorder, DeviceChangeReader::new(db, None, String::new()))
    }

    /// Records an answered check. Never blocks, and allocates only if the device's state has changed.
    pub fn record(
        &self,
        tenant: TenantId,
        app: Option<&PublishedApp>,
        check: &Check<'_>,
        now: DateTime<Utc>,
        source: Option<IpAddr>,
    ) {
        let Some(active) = &self.active else {
            return;
        };
        let fingerprint = active.fingerprint(tenant, app, check, now);
        let CacheLookup::Changed(slot) = active.states.lookup(fingerprint) else {
            return;
        };
        let Some(observation) = observe(tenant, app, check, now, source) else {
            return;
        };
        if active.queue.push(Box::new(observation)).is_ok() {
            slot.store();
        }
    }

    /// Waits until all records are written and the writer's task has ended, or a time limit passes.
    pub async fn finish(&self, writer: JoinHandle<()>) {
        if let Some(active) = &self.active {
            active.queue.finish(writer).await;
        }
    }

    pub fn status(&self) -> DeviceRecordStatus {
        let active = self.active.as_ref();
        let batches = active.map_or_else(BatchStatus::default, |active| active.queue.status());
        self.counts.status(batches)
    }
}

impl ActiveRecorder {
    fn fingerprint(
        &self,
        tenant: TenantId,
        app: Option<&PublishedApp>,
        check: &Check<'_>,
        now: DateTime<Utc>,
    ) -> Fingerprint {
        let device = hash_of(tenant.get(), check.device_id);
        let mut hasher = self.keys.build_hasher();
        tenant.hash(&mut hasher);
        check.device_id.hash(&mut hasher);
        // A device may have several apps, each with its own state. All unknown apps share one state.
        app.map(|app| app.id).hash(&mut hasher);
        let subject = hasher.finish();
        self.states.epoch(device).hash(&mut hasher);
        day_of(now, device).hash(&mut hasher);
        check.device_type.hash(&mut hasher);
        check.memberships.hash(&mut hasher);
        for installed in app.into_iter().flat_map(|app| installed(app, check)) {
            installed.hash(&mut hasher);
        }
        Fingerprint {
            subject,
            state: hasher.finish(),
        }
    }
}

/// Hashes a device. All nodes compute the same hash, unlike the keyed hashes of states.
fn hash_of(tenant: i64, device: &str) -> u64 {
    xxh3_64_with_seed(device.as_bytes(), tenant.cast_unsigned())
}

/// Returns the day of an instant for a device, in days since 1970. Each device has its own midnight, which spreads the
/// first checks of a day in a fleet.
fn day_of(instant: DateTime<Utc>, device: u64) -> i64 {
    let offset_ms = (device % DAY_MS).cast_signed();
    (instant.timestamp_millis() - offset_ms).div_euclid(DAY_MS.cast_signed())
}

/// Returns the versions of the app and of its resources on the device. Resources absent from the catalog are skipped.
fn installed<'a>(
    app: &'a PublishedApp,
    check: &'a Check<'_>,
) -> impl Iterator<Item = (&'a str, VersionCode)> + use<'a> {
    let itself = (app.package_name.as_str(), check.version_code);
    let parts = app
        .part_identifiers()
        .map(|identifier| (identifier, check.old_versions.version_of(identifier)));
    std::iter::once(itself)
        .chain(parts)
        .filter(|(_, version)| *version > VersionCode::NOT_INSTALLED)
}

/// Builds the record of a check.
///
/// Returns `None` for an invalid device id; parsing the check rejects these already. A device type or org code that no
/// release can target is omitted.
fn observe(
    tenant: TenantId,
    app: Option<&PublishedApp>,
    check: &Check<'_>,
    now: DateTime<Utc>,
    source: Option<IpAddr>,
) -> Option<Observation> {
    Some(Observation {
        tenant,
        device: DeviceId::parse(check.device_id).ok()?,
        device_type: check.device_type.and_then(|text| DeviceType::parse(text).ok()),
        org_info: OrgInfo::of_check(&check.memberships),
        seen_at: now,
        network: source.map(network_of),
        app: app.and_then(|app| installed_app(app, check)),
    })
}

fn installed_app(app: &PublishedApp, check: &Check<'_>) -> Option<InstalledApp> {
    let versions = installed(app, check)
        .map(|(identifier, version)| Some((Identifier::parse(identifier).ok()?, version)))
        .collect::<Option<Vec<_>>>()?;
    Some(InstalledApp {
        id: app.id,
        package_name: app.package_name.clone(),
        versions,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_days_of_devices_begin_spread_over_the_day() {
        let midnight: DateTime<Utc> = "2026-03-02T00:00:00Z".parse().unwrap();
        let mut begun = [0_u32; 24];
        for number in 0..24_000 {
            let device = hash_of(10_000_000, &number.to_string());
            let hours = (1..=24).map(|hour| midnight + TimeDelta::hours(hour));
            let first = day_of(midnight, device);
            let later: Vec<_> = hours.map(|at| day_of(at, device)).collect();
            assert_eq!(later[23], first + 1, "one day later is the next day");
            let hour = later.iter().position(|day| *day != first).unwrap();
            begun[hour] += 1;
        }
        // 1,000 per hour, within six standard deviations.
        assert!(
            begun.iter().all(|count| (800..1_200).contains(count)),
            "{begun:?}"
        );
    }
}
