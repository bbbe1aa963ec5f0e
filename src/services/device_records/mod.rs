//! Who checked, with what, and when: kept without a check ever waiting for it.
//!
//! A check compares a fingerprint of the device's state, its day included, with a table of what was noted last. Only
//! when it differs is the state put into a bounded queue, from which one task writes batches to the database. A full
//! queue drops the record and counts it; the device's next check tries again.

mod changes;
mod plan;
mod seen;
mod status;
mod writer;

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use foldhash::quality::RandomState;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::seen::{Fingerprint, Look, SeenStates};
use self::status::Counts;
use crate::catalog::device::{InstalledApp, Observation, OrgInfo};
use crate::catalog::ids::TenantId;
use crate::catalog::text::{DeviceId, DeviceType, Identifier};
use crate::catalog::version::VersionCode;
use crate::resolve::{Check, PublishedApp};
use crate::services::NewDevices;
use crate::services::login_attempts::network_of;
use crate::storage::Db;

pub use self::changes::DeviceChangeReader;
pub use self::status::DeviceRecordStatus;
pub use self::writer::{DeviceRecordWriter, WriterSettings};

/// How long the last records may take when the server ends.
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 86_400_000;

/// Takes notes of checks.
pub struct DeviceRecorder {
    counts: Arc<Counts>,
    /// `None` when nothing is to be recorded.
    on: Option<Recording>,
}

struct Recording {
    /// Made at start, so that nobody can choose device ids that collide.
    keys: RandomState,
    states: Arc<SeenStates>,
    queue: mpsc::Sender<Message>,
}

/// What goes through the queue.
enum Message {
    Record(Box<Observation>),
    /// Nothing comes after this.
    Stop,
}

/// How much a recorder keeps.
#[derive(Debug, Clone, Copy)]
pub struct RecorderSettings {
    /// States of devices that are remembered, eight bytes each; rounded up to a power of two.
    pub states: usize,
    /// Records that may wait to be written.
    pub queue: usize,
}

impl DeviceRecorder {
    /// A recorder, and the task's part that writes what it notes.
    pub fn new(
        db: Db,
        settings: RecorderSettings,
        writer: WriterSettings,
        new_devices: Arc<NewDevices>,
    ) -> (Self, DeviceRecordWriter, DeviceChangeReader) {
        let (queue, messages) = mpsc::channel(settings.queue);
        let counts = Arc::new(Counts::default());
        let states = Arc::new(SeenStates::new(settings.states));
        let name = Uuid::new_v4().simple().to_string();
        let reader = DeviceChangeReader::new(db.clone(), Some(states.clone()), name.clone());
        let recorder = Self {
            counts: counts.clone(),
            on: Some(Recording {
                keys: RandomState::default(),
                states,
                queue,
            }),
        };
        let writer = DeviceRecordWriter::new((db, name), messages, counts, writer, new_devices);
        (recorder, writer, reader)
    }

    /// A recorder that notes nothing. Its reader of changes only removes those that are old.
    pub fn off(db: Db) -> (Self, DeviceChangeReader) {
        let recorder = Self {
            counts: Arc::default(),
            on: None,
        };
        (recorder, DeviceChangeReader::new(db, None, String::new()))
    }

    /// Notes a check that was answered. Waits for nothing; allocates only when the device's state has changed.
    pub fn note(
        &self,
        tenant: TenantId,
        app: Option<&PublishedApp>,
        check: &Check<'_>,
        now: DateTime<Utc>,
        source: Option<IpAddr>,
    ) {
        let Some(recording) = &self.on else {
            return;
        };
        let fingerprint = recording.fingerprint(tenant, app, check, now);
        let Look::Changed(place) = recording.states.look(fingerprint) else {
            return;
        };
        let Some(observation) = observe(tenant, app, check, now, source) else {
            return;
        };
        // Before it is sent: the writer may have it written at once.
        self.counts.queued();
        match recording.queue.try_send(Message::Record(Box::new(observation))) {
            Ok(()) => place.keep(),
            Err(_) => self.counts.dropped(),
        }
    }

    /// Returns when everything that was noted so far is written and the writer's task has ended, or after ten seconds.
    pub async fn finish(&self, writer: JoinHandle<()>) {
        let abort = writer.abort_handle();
        let written = timeout(WRITE_LAST_WITHIN, async {
            if let Some(recording) = &self.on {
                // The writer may have ended already.
                let _ = recording.queue.send(Message::Stop).await;
            }
            writer.await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            abort.abort();
            let queued = self.status().queued;
            tracing::error!(
                queued,
                "the last device records could not be written and are lost"
            );
        }
    }

    pub fn status(&self) -> DeviceRecordStatus {
        self.counts.status()
    }
}

impl Recording {
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
        // A device may have several apps, each with a state of its own; those that are unknown count as one.
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

/// The same on every node, unlike the keyed hashes of states.
fn hash_of(tenant: i64, device: &str) -> u64 {
    xxh3_64_with_seed(device.as_bytes(), tenant.cast_unsigned())
}

/// The day of a device. Each has its own midnight, so that a fleet's first checks of a day are spread over it.
fn day_of(instant: DateTime<Utc>, device: u64) -> NaiveDate {
    let offset = TimeDelta::milliseconds(i64::try_from(device % DAY_MS).unwrap_or(0));
    (instant - offset).date_naive()
}

/// The app itself and those of its resources that are on the device; what the catalog does not know is left out.
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
        .filter(|(_, version)| *version > 0)
}

/// `None` for an id that no device can have, which reading the check refuses already. A type or code that no release
/// can be targeted at is left out.
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
            assert_eq!(
                later[23],
                first.succ_opt().unwrap(),
                "one day later is the next day"
            );
            let hour = later.iter().position(|day| *day != first).unwrap();
            begun[hour] += 1;
        }
        // A thousand each, give or take six standard deviations.
        assert!(
            begun.iter().all(|count| (800..1_200).contains(count)),
            "{begun:?}"
        );
    }
}
