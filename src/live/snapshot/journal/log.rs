//! Journal that a node writes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::super::SnapshotError;
use super::super::content::Packer;
use super::super::directory::SnapshotDirectory;
use super::super::frames::{ChainPosition, PackedBlock};
use super::super::throttle::Throttle;
use super::content;
use super::frames::{Record, SegmentWriter};
use super::replay::end_of_journal;
use crate::live::{CatalogCache, PublishedTenant};
use crate::secrets::Keyring;
use slipway_domain::catalog::ids::TenantId;

/// Interval at which comparisons without changes are recorded. A node that starts from the journal thereby knows its
/// age.
const COMPARISON_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// Minimum size limit of a journal in bytes. The limit is half of the snapshot's size if that is more. A journal above
/// its limit is replaced by a snapshot.
const SMALLEST_LIMIT: u64 = 4 << 20;
/// Maximum size of a journal that no snapshot has replaced, in multiples of its limit.
const MAX_LIMIT_FACTOR: u64 = 8;
/// Maximum number of rows of a tenant that is recorded before the first snapshot. Larger tenants are left to the
/// snapshot, because their whole catalog would be written.
const MAX_ROWS_AT_START: u64 = 20_000;

type Tenants = HashMap<TenantId, Option<Arc<PublishedTenant>>>;

/// Writer of the changes since the newest snapshot.
pub(in crate::live::snapshot) struct Journal {
    live: Arc<CatalogCache>,
    keyring: Arc<Keyring>,
    directory: SnapshotDirectory,
    throttle: Arc<Throttle>,
    state: Mutex<State>,
    wants_snapshot: Notify,
}

struct State {
    /// `None` until the end of the chain on disk has been determined.
    position: Option<ChainPosition>,
    /// Without a snapshot, a journal would have nothing to continue.
    has_snapshot: bool,
    segment: Option<SegmentWriter>,
    /// State of each tenant in the snapshot and the journal, as far as this process wrote or read it.
    known: Tenants,
    /// Catalog served from the database at the start. Until the first snapshot, only tenants that differ from it are
    /// written, each of them in full.
    baseline: Option<Tenants>,
    change_count: Option<u64>,
    as_of: Option<DateTime<Utc>>,
    bytes: u64,
    limit: u64,
}

impl Journal {
    /// Creates a journal. With a position, it continues the snapshot that the node serves exactly. Without one, the
    /// node serves the catalog of the database.
    pub(in crate::live::snapshot) fn new(
        live: Arc<CatalogCache>,
        keyring: Arc<Keyring>,
        directory: SnapshotDirectory,
        throttle: Arc<Throttle>,
        position: Option<ChainPosition>,
    ) -> Self {
        let served: Tenants = live.every_tenant().into_iter().collect();
        // A comparison that the chain already has must not be written again after damage, because nothing was compared.
        let as_of = position.and_then(|_| live.synced_at());
        let (known, baseline) = match position {
            Some(_) => (served, None),
            None => (Tenants::new(), Some(served)),
        };
        Self {
            live,
            keyring,
            directory,
            throttle,
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

    /// Waits until a snapshot should replace the journal.
    pub(in crate::live::snapshot) async fn wants_snapshot(&self) {
        self.wants_snapshot.notified().await;
    }

    /// Begins a new segment and calls `gather`, which reads the served catalog for a snapshot. Returns the position at
    /// which the journal continues that snapshot. All later changes are recorded after that position.
    pub(in crate::live::snapshot) fn rotate<T>(
        &self,
        gather: impl FnOnce() -> Option<T>,
    ) -> Result<Option<(ChainPosition, T)>, SnapshotError> {
        let mut state = self.lock();
        let position = self.end_segment(&mut state)?;
        Ok(gather().map(|gathered| (position, gathered)))
    }

    /// Records that a snapshot of `served` was saved, with this number of bytes.
    pub(in crate::live::snapshot) fn continue_snapshot(
        &self,
        served: impl IntoIterator<Item = (TenantId, Option<Arc<PublishedTenant>>)>,
        snapshot_bytes: u64,
    ) {
        let mut state = self.lock();
        if state.baseline.take().is_some() {
            for (tenant, published) in served {
                // The journal already has a newer state.
                state.known.entry(tenant).or_insert(published);
            }
            state.change_count = None;
        }
        state.has_snapshot = true;
        state.bytes = 0;
        state.limit = SMALLEST_LIMIT.max(snapshot_bytes / 2);
    }

    /// Appends the changes of the served catalog since the last call.
    pub(super) fn append(&self) -> Result<(), SnapshotError> {
        let mut state = self.lock();
        self.position(&mut state);
        if !state.has_snapshot {
            self.wants_snapshot.notify_one();
            return Ok(());
        }
        // Read before the tenants, which may then be newer, but never older.
        let as_of = self.live.synced_at();
        let change_count = self.live.change_count();
        let has_changed = state.change_count != Some(change_count);
        if has_changed {
            self.append_changes(&mut state)?;
        }
        if state.baseline.is_none()
            && let Some(as_of) = as_of
            && must_record_comparison(state.as_of, as_of, has_changed)
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
        let mut packer = Packer::new(self.throttle.begin());
        let baseline = state.baseline.iter().flat_map(HashMap::keys);
        let mut vanished: HashSet<TenantId> = state.known.keys().chain(baseline).copied().collect();
        let mut changed = Vec::new();
        for (tenant, published) in self.live.every_tenant() {
            vanished.remove(&tenant);
            if !state.has(tenant, published.as_ref()) {
                changed.push((tenant, published));
            }
        }
        // A large tenant takes seconds; a recall in a small one must not wait for it.
        changed.sort_by_key(|(_, published)| published.as_ref().map_or(0, |now| now.row_count()));
        for (tenant, published) in changed {
            let record = match &published {
                Some(now) if state.is_too_large(now) => continue,
                Some(now) => {
                    let before = state.known.get(&tenant).and_then(Option::as_deref);
                    Record::Tenant(tenant, content::pack(&mut packer, tenant, before, now)?)
                }
                None => Record::Unreadable(tenant),
            };
            self.write(state, &record)?;
            state.known.insert(tenant, published);
            packer.checkpoint();
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

    fn write(&self, state: &mut State, record: &Record<PackedBlock>) -> Result<(), SnapshotError> {
        if state.bytes > state.limit.saturating_mul(MAX_LIMIT_FACTOR) {
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
                // The file may end in an incomplete record, so later records go into another segment.
                self.synchronise(state)?;
                Self::drop_segment(state);
                Err(error)
            }
        }
    }

    /// Syncs the appended records to disk. A failure is reported once, and may lose records permanently.
    ///
    /// Only the next snapshot contains lost records. Later records go into another segment, which reveals the loss.
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
        // The file may exist even after a failure, so its number is used up. A chain may have gaps in its numbers.
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
            let end = end_of_journal(&self.directory, &self.keyring);
            state.has_snapshot = end.has_snapshot;
            end.position
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns `true` if the disk has exactly this state of a tenant.
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
        self.baseline.is_some() && published.row_count() > MAX_ROWS_AT_START
    }
}

fn must_record_comparison(before: Option<DateTime<Utc>>, as_of: DateTime<Utc>, has_changed: bool) -> bool {
    before.is_none_or(|before| as_of > before && (has_changed || as_of - before >= COMPARISON_INTERVAL))
}
