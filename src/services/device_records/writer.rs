//! Task that writes records to the database, one batch per transaction.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use tokio::sync::mpsc;

use super::plan::{Plan, StoredState, plan};
use super::status::Counts;
use super::{Message, hash_of};
use crate::backoff::Backoff;
use crate::services::NewDevices;
use crate::services::batches::{self, BatchState};
use crate::storage::{Db, StorageError, Tx, device_changes, device_installs, devices};
use crate::supervision::{Exit, contain_panic};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::device::Observation;
use slipway_domain::catalog::ids::TenantId;

/// Size and timing of a batch.
#[derive(Debug, Clone, Copy)]
pub struct WriterSettings {
    /// Maximum number of records in one transaction.
    pub batch: usize,
    /// Time that the first record of a batch waits for others.
    pub wait: Duration,
}

/// Writer of device records.
pub struct DeviceRecordWriter {
    db: Db,
    /// Name on the announced changes, so that this node skips its own.
    name: String,
    messages: mpsc::Receiver<Message>,
    counts: Arc<Counts>,
    settings: WriterSettings,
    new_devices: Arc<NewDevices>,
    /// Records taken from the queue.
    batch: Vec<Observation>,
    /// Number of unwritten records in the current batch.
    unwritten: usize,
    is_last: bool,
}

/// Reason that a batch was not written although the database is available.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Refused(#[from] StorageError),
    #[error("the write panicked: {0}")]
    Panicked(String),
}

/// Result of one transaction.
#[derive(Default)]
struct BatchResult {
    devices: usize,
    over_limit: usize,
    new_devices: Vec<(TenantId, NaiveDate, Vec<Option<IpAddr>>)>,
}

impl DeviceRecordWriter {
    pub(super) fn new(
        (db, name): (Db, String),
        messages: mpsc::Receiver<Message>,
        counts: Arc<Counts>,
        settings: WriterSettings,
        new_devices: Arc<NewDevices>,
    ) -> Self {
        Self {
            db,
            name,
            messages,
            counts,
            settings,
            new_devices,
            batch: Vec::new(),
            unwritten: 0,
            is_last: false,
        }
    }

    /// Writes records until [`super::DeviceRecorder::finish`], including all records queued before it.
    pub async fn run(&mut self) -> Exit {
        self.drop_unwritten();
        while !self.is_last {
            if self.collect().await.is_break() {
                self.is_last = true;
            }
            let batch = std::mem::take(&mut self.batch);
            if !batch.is_empty() {
                self.write(batch).await;
            }
        }
        Exit::Finished
    }

    /// Drops the records on which the previous run failed. They would fail again.
    fn drop_unwritten(&mut self) {
        let dropped = std::mem::take(&mut self.unwritten);
        if dropped > 0 {
            tracing::error!(dropped, "device records are dropped because writing them failed");
        }
        (0..dropped).for_each(|_| self.counts.dropped());
    }

    /// Fills a batch until it is full, its time is up, or no message follows.
    async fn collect(&mut self) -> ControlFlow<()> {
        let (settings, batch) = (self.settings, &mut self.batch);
        batches::collect(&mut self.messages, settings.wait, |message| match message {
            Message::Record(record) => {
                batch.push(*record);
                BatchState::of(batch.len(), settings.batch)
            }
            Message::Stop => BatchState::IsLast,
        })
        .await
    }

    /// Writes a batch. A failed batch is split in halves until the faulty record is alone; that record is dropped.
    async fn write(&mut self, batch: Vec<Observation>) {
        self.unwritten = batch.len();
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.write_when_possible(&part).await {
                Ok(written) => {
                    self.unwritten -= part.len();
                    self.counts.batch(part.len(), written.devices, written.over_limit);
                    for (tenant, day, added) in written.new_devices {
                        self.new_devices.add(tenant, day, &added);
                    }
                }
                Err(_) if part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(error) => {
                    tracing::error!(%error, "a device record cannot be written and is dropped");
                    self.unwritten -= 1;
                    self.counts.dropped();
                }
            }
        }
    }

    /// Retries while the database is unavailable. The queue fills meanwhile.
    async fn write_when_possible(&self, batch: &[Observation]) -> Result<BatchResult, WriteError> {
        let mut backoff = Backoff::default();
        loop {
            let written = contain_panic(self.write_once(batch)).await;
            match written.map_err(WriteError::Panicked)? {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "device records cannot be written now; retrying");
                    tokio::time::sleep(backoff.next()).await;
                }
                done => return Ok(done?),
            }
        }
    }

    /// Writes a batch in one transaction. Tenants are processed in the order of their ids, so that nodes lock rows in
    /// the same order.
    async fn write_once(&self, batch: &[Observation]) -> Result<BatchResult, StorageError> {
        let mut by_tenant: BTreeMap<TenantId, Vec<&Observation>> = BTreeMap::new();
        for record in batch {
            by_tenant.entry(record.tenant).or_default().push(record);
        }
        let mut written = BatchResult::default();
        let mut changed = Vec::new();
        let tx = self.db.begin().await?;
        device_changes::begin_recording(&tx).await?;
        for (tenant, records) in by_tenant {
            let scope = TenantScope::internal(tenant);
            let day = newest_day(&records);
            let allowance = self.new_devices.allowance(&tx, scope, day).await?;
            let mut plan = plan(
                &records,
                &load_state(&tx, scope, &records).await?,
                |planned, network| allowance.admits(planned, network),
            );
            let networks = std::mem::take(&mut plan.new_devices);
            written.new_devices.push((tenant, day, networks));
            written.devices += plan.devices.len();
            written.over_limit += plan.over_limit;
            let devices = plan.devices.iter().map(|seen| seen.device.as_str());
            changed.extend(devices.map(|device| hash_of(tenant.get(), device)));
            execute(&tx, scope, plan).await?;
        }
        if !changed.is_empty() {
            device_changes::announce_recorded(&tx, &self.name, &changed).await?;
        }
        device_changes::end_recording(&tx).await?;
        tx.commit().await?;
        Ok(written)
    }
}

fn newest_day(records: &[&Observation]) -> NaiveDate {
    let newest = records.iter().map(|record| record.seen_at).max();
    newest.unwrap_or_default().date_naive()
}

async fn load_state(
    tx: &Tx,
    scope: TenantScope,
    records: &[&Observation],
) -> Result<StoredState, StorageError> {
    let mut ids: Vec<_> = records.iter().map(|record| record.device.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let devices = devices::find_many(tx, scope, &ids).await?;
    let installs = device_installs::list_recorded(tx, scope, &ids).await?;
    Ok(StoredState::new(devices, installs))
}

async fn execute(tx: &Tx, scope: TenantScope, plan: Plan) -> Result<(), StorageError> {
    devices::upsert_seen(tx, scope, plan.devices).await?;
    device_installs::upsert(tx, scope, plan.installs).await?;
    for gone in &plan.gone {
        device_installs::delete(tx, scope, gone).await?;
    }
    Ok(())
}
