//! The journal that a node writes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::super::SnapshotError;
use super::super::content::Packer;
use super::super::directory::SnapshotDirectory;
use super::super::frames::Packed;
use super::super::pace::Pace;
use super::content;
use super::frames::{ChainPosition, Record, SegmentWriter};
use crate::catalog::ids::TenantId;
use crate::live::{Live, PublishedTenant};
use crate::secrets::Keyring;

/// A comparison that found nothing is written down this often, so that a node that starts from the journal knows how
/// old it is.
const COMPARISON_EVERY: TimeDelta = TimeDelta::seconds(10);
/// The journal may always grow to this size; beyond half of the snapshot's size, a snapshot takes its place.
const SMALLEST_LIMIT: u64 = 4 << 20;
/// A journal that no snapshot has taken the place of grows no further than this many times its limit.
const MOST_LIMITS: u64 = 8;
/// Before the first snapshot, tenants with more rows than this are left to it: their whole catalog would be written.
const MOST_ROWS_AT_START: i64 = 20_000;

type Tenants = HashMap<TenantId, Option<Arc<PublishedTenant>>>;

/// Writes what the node serves since its newest snapshot.
pub(in crate::live::snapshot) struct Journal {
    live: Arc<Live>,
    keyring: Arc<Keyring>,
    directory: SnapshotDirectory,
    pace: Arc<Pace>,
    state: Mutex<State>,
    wants_snapshot: Notify,
}

struct State {
    /// `None` until the end of the chain on the disk was looked for.
    position: Option<ChainPosition>,
    /// Without one, a journal would continue nothing.
    has_snapshot: bool,
    segment: Option<SegmentWriter>,
    /// What the snapshot and the journal have of each tenant, as far as this process wrote or read it.
    known: Tenants,
    /// What was served at the start from the database: until the first snapshot, only what differs from it is written,
    /// and of that everything.
    baseline: Option<Tenants>,
    change_count: Option<u64>,
    as_of: Option<DateTime<Utc>>,
    bytes: u64,
    limit: u64,
}

impl Journal {
    /// A journal behind a snapshot that the node serves exactly; without a position it serves what the database has.
    pub(in crate::live::snapshot) fn new(
        (live, keyring): (Arc<Live>, Arc<Keyring>),
        directory: SnapshotDirectory,
        pace: Arc<Pace>,
        position: Option<ChainPosition>,
    ) -> Self {
        let served: Tenants = live.every_tenant().into_iter().collect();
        // A comparison that the chain has already must not be written once more behind damage: nothing was compared.
        let as_of = position.and_then(|_| live.compared_at());
        let (known, baseline) = match position {
            Some(_) => (served, None),
            None => (Tenants::new(), Some(served)),
        };
        Self {
            live,
            keyring,
            directory,
            pace,
            state: Mutex::new(State {
                position,
                has_snapshot: position.is_some(),
                segment: None,
                known,
                baseline,
                change_count: None,
                as_of,
                bytes: 0,
                limit: SMALLEST_LIMIT,
            }),
            wants_snapshot: Notify::new(),
        }
    }

    /// Returns when a snapshot should take the journal's place.
    pub(in crate::live::snapshot) async fn wants_snapshot(&self) {
        self.wants_snapshot.notified().await;
    }

    /// Begins a new segment, runs `gather`, which reads what is served for a snapshot, and returns where the journal
    /// continues that snapshot: whatever changes from now on is behind it.
    pub(in crate::live::snapshot) fn rotate<T>(
        &self,
        gather: impl FnOnce() -> Option<T>,
    ) -> Result<Option<(ChainPosition, T)>, SnapshotError> {
        let mut state = self.lock();
        let position = self.end_segment(&mut state)?;
        Ok(gather().map(|gathered| (position, gathered)))
    }

    /// A snapshot of `served` was saved, with so many bytes.
    pub(in crate::live::snapshot) fn continue_snapshot(
        &self,
        served: impl IntoIterator<Item = (TenantId, Option<Arc<PublishedTenant>>)>,
        snapshot_bytes: u64,
    ) {
        let mut state = self.lock();
        if state.baseline.take().is_some() {
            for (tenant, published) in served {
                // What the journal has by now is newer.
                state.known.entry(tenant).or_insert(published);
            }
            state.change_count = None;
        }
        state.has_snapshot = true;
        state.bytes = 0;
        state.limit = SMALLEST_LIMIT.max(snapshot_bytes / 2);
    }

    /// Appends what is served by now and was not before.
    pub(super) fn append(&self) -> Result<(), SnapshotError> {
        let mut state = self.lock();
        self.position(&mut state);
        if !state.has_snapshot {
            self.wants_snapshot.notify_one();
            return Ok(());
        }
        // Read before the tenants, which may be newer then, never older.
        let as_of = self.live.compared_at();
        let change_count = self.live.change_count();
        let has_changed = state.change_count != Some(change_count);
        if has_changed {
            self.append_changes(&mut state)?;
        }
        if state.baseline.is_none()
            && let Some(as_of) = as_of
            && is_news(state.as_of, as_of, has_changed)
        {
            self.write(&mut state, &Record::AsOf(as_of))?;
            state.as_of = Some(as_of);
        }
        if has_changed {
            self.synchronise(&mut state)?;
        }
        state.change_count = Some(change_count);
        if state.bytes > state.limit {
            self.wants_snapshot.notify_one();
        }
        Ok(())
    }

    fn append_changes(&self, state: &mut State) -> Result<(), SnapshotError> {
        let mut packer = Packer::new(self.pace.begin());
        let baseline = state.baseline.iter().flat_map(HashMap::keys);
        let mut vanished: HashSet<TenantId> = state.known.keys().chain(baseline).copied().collect();
        let mut changed = Vec::new();
        for (tenant, published) in self.live.every_tenant() {
            vanished.remove(&tenant);
            if !state.has(tenant, published.as_ref()) {
                changed.push((tenant, published));
            }
        }
        // A large tenant takes seconds, for which a recall in a small one must not wait.
        changed.sort_by_key(|(_, published)| published.as_ref().map_or(0, |now| now.row_count));
        for (tenant, published) in changed {
            let record = match &published {
                Some(now) if state.is_too_large(now) => continue,
                Some(now) => {
                    let before = state.known.get(&tenant).and_then(Option::as_deref);
                    Record::Tenant(tenant, content::pack(&mut packer, tenant, before, now)?)
                }
                None => Record::Unread(tenant),
            };
            self.write(state, &record)?;
            state.known.insert(tenant, published);
            packer.breathe();
        }
        for tenant in vanished {
            self.write(state, &Record::Removed(tenant))?;
            state.known.remove(&tenant);
            if let Some(baseline) = &mut state.baseline {
                baseline.remove(&tenant);
            }
        }
        Ok(())
    }

    fn write(&self, state: &mut State, record: &Record<Packed>) -> Result<(), SnapshotError> {
        if state.bytes > state.limit.saturating_mul(MOST_LIMITS) {
            return Err(SnapshotError::JournalFull);
        }
        let segment = if let Some(segment) = &mut state.segment {
            segment
        } else {
            let segment = self.begin_segment(state)?;
            state.segment.insert(segment)
        };
        match segment.append(&self.keyring, record) {
            Ok(bytes) => {
                state.bytes += bytes;
                Ok(())
            }
            Err(error) => {
                // The file may end in the middle of a record: what follows goes into another one.
                self.synchronise(state)?;
                Self::drop_segment(state);
                Err(error)
            }
        }
    }

    /// Brings what was appended to the disk. A failure is told once, and may leave records out for good: only a snapshot
    /// has them again, and what follows goes into another segment, which tells of the loss.
    fn synchronise(&self, state: &mut State) -> Result<(), SnapshotError> {
        let Some(segment) = &state.segment else {
            return Ok(());
        };
        segment.synchronise().map_err(|error| {
            Self::drop_segment(state);
            self.wants_snapshot.notify_one();
            error.into()
        })
    }

    fn drop_segment(state: &mut State) {
        if let Some(segment) = state.segment.take() {
            state.position = Some(segment.next());
        }
    }

    fn begin_segment(&self, state: &mut State) -> Result<SegmentWriter, SnapshotError> {
        let position = self.position(state);
        // Whatever fails, the file may be there, and its number is used up. A chain may have gaps in its numbers.
        state.position = Some(ChainPosition {
            number: position.number + 1,
            ..position
        });
        let file = self.directory.create_segment(position.number)?;
        SegmentWriter::begin(file, &self.keyring, position)
    }

    fn end_segment(&self, state: &mut State) -> Result<ChainPosition, SnapshotError> {
        self.synchronise(state)?;
        Self::drop_segment(state);
        Ok(self.position(state))
    }

    fn position(&self, state: &mut State) -> ChainPosition {
        *state.position.get_or_insert_with(|| {
            let end = self.directory.end_of_journal(&self.keyring);
            state.has_snapshot = end.has_snapshot;
            end.position
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True if the disk has exactly this of a tenant.
    fn has(&self, tenant: TenantId, published: Option<&Arc<PublishedTenant>>) -> bool {
        let recorded = self.known.get(&tenant);
        let is_same = |other: &Option<Arc<PublishedTenant>>| match (other, published) {
            (Some(other), Some(published)) => Arc::ptr_eq(other, published),
            (None, None) => true,
            _ => false,
        };
        match (recorded, &self.baseline) {
            (Some(recorded), _) => is_same(recorded),
            (None, Some(baseline)) => baseline.get(&tenant).is_some_and(is_same),
            (None, None) => false,
        }
    }

    fn is_too_large(&self, published: &PublishedTenant) -> bool {
        self.baseline.is_some() && published.row_count > MOST_ROWS_AT_START
    }
}

fn is_news(before: Option<DateTime<Utc>>, as_of: DateTime<Utc>, has_changed: bool) -> bool {
    before.is_none_or(|before| as_of > before && (has_changed || as_of - before >= COMPARISON_EVERY))
}
