//! Writes records to the database, one batch per transaction.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::NaiveDate;

use super::hash_of;
use super::plan::{Plan, StoredState, plan};
use super::status::Counts;
use crate::services::NewDevices;
use crate::services::batch_writer::BatchKind;
use crate::storage::{Db, StorageError, Tx, device_changes, device_installs, devices};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::device::Observation;
use slipway_domain::catalog::ids::TenantId;

/// Batches of device records.
pub struct DeviceRecordBatches {
    pub(super) db: Db,
    /// Name on the announced changes, so that this node skips its own.
    pub(super) name: String,
    pub(super) counts: Arc<Counts>,
    pub(super) new_devices: Arc<NewDevices>,
}

/// New devices of a tenant on a day, by their networks.
struct AddedDevices {
    tenant: TenantId,
    day: NaiveDate,
    networks: Vec<Option<IpAddr>>,
}

impl BatchKind for DeviceRecordBatches {
    const NAME: &'static str = "device_records";
    const IF_DROPPED: &'static str =
        "the device is recorded at its next check with another state or on the next day";

    type Item = Box<Observation>;

    /// Writes a batch in one transaction. Tenants are processed in the order of their ids, so that nodes lock rows in
    /// the same order.
    async fn write(&self, records: &[Box<Observation>]) -> Result<(), StorageError> {
        let mut by_tenant: BTreeMap<TenantId, Vec<&Observation>> = BTreeMap::new();
        for record in records {
            by_tenant.entry(record.tenant).or_default().push(record);
        }
        let (mut written, mut over_limit) = (0, 0);
        let (mut added, mut changed) = (Vec::new(), Vec::new());
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
            added.push(AddedDevices {
                tenant,
                day,
                networks,
            });
            written += plan.devices.len();
            over_limit += plan.over_limit;
            let devices = plan.devices.iter().map(|seen| seen.device.as_str());
            changed.extend(devices.map(|device| hash_of(tenant.get(), device)));
            execute(&tx, scope, plan).await?;
        }
        if !changed.is_empty() {
            device_changes::announce_recorded(&tx, &self.name, &changed).await?;
        }
        device_changes::end_recording(&tx).await?;
        tx.commit().await?;
        self.counts.transaction(written, over_limit);
        for added in added {
            self.new_devices.add(added.tenant, added.day, &added.networks);
        }
        Ok(())
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
