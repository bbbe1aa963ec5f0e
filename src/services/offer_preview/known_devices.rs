//! Devices that a preview examines, with the checks that they would send.

use serde_json::{Map, Value, json};

use crate::services::ServiceError;
use crate::storage::devices::{self, DeviceRecord};
use crate::storage::{ReadTx, device_installs};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::device::DeviceFilter;
use slipway_domain::catalog::install::Install;
use slipway_domain::catalog::org::{Level, OrgScope};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::Release;
use slipway_domain::catalog::text::DeviceId;
use slipway_resolver::{Check, CheckFields, RawField, read_check};

/// Number of devices of each kind: on the allow-list, in the targeting, and the first ones of the tenant.
const OF_EACH_KIND: usize = 40;

/// Device with its last known state.
pub(super) struct KnownDevice {
    pub(super) id: DeviceId,
    record: DeviceRecord,
    installs: Vec<Install>,
}

/// Lists the devices to examine: one that is asked for, or a sample. Devices that the targeting names come first.
pub(super) async fn list_examined(
    reader: &ReadTx,
    scope: TenantScope,
    release: &Release,
    asked_for: Option<&DeviceId>,
) -> Result<Vec<KnownDevice>, ServiceError> {
    let records = match asked_for {
        Some(id) => {
            let unknown = || ServiceError::invalid("device", "is not the id of a known device");
            vec![devices::find(reader, scope, id).await?.ok_or_else(unknown)?]
        }
        None => sample(reader, scope, release).await?,
    };
    let ids: Vec<_> = records.iter().map(|record| record.device.id.as_str()).collect();
    let installs = device_installs::list_of_devices(reader, scope, &ids).await?;
    let known = records.into_iter().map(|record| KnownDevice {
        id: record.device.id.clone(),
        installs: installs
            .iter()
            .filter(|install| install.device == record.device.id)
            .cloned()
            .collect(),
        record,
    });
    Ok(known.collect())
}

async fn sample(
    reader: &ReadTx,
    scope: TenantScope,
    release: &Release,
) -> Result<Vec<DeviceRecord>, ServiceError> {
    let targeting = &release.content.targeting;
    let allowed = targeting
        .device_ids
        .iter()
        .take(OF_EACH_KIND)
        .map(DeviceId::as_str);
    let mut found = devices::find_many(reader, scope, &allowed.collect::<Vec<_>>()).await?;
    found.sort_by(|a, b| a.device.id.cmp(&b.device.id));
    let targeted = DeviceFilter {
        device_type: targeting.device_types.first(),
        org: targeting.org_scopes.iter().find(|scope| is_full_path(scope)),
        ..DeviceFilter::default()
    };
    let page = PageRequest::first(OF_EACH_KIND as u64);
    for filter in [targeted, DeviceFilter::default()] {
        let listed = devices::list(reader, scope, &filter, &[], &page).await?.items;
        for record in listed {
            if !found.iter().any(|known| known.device.id == record.device.id) {
                found.push(record);
            }
        }
    }
    Ok(found)
}

/// Returns `true` if the scope names every level from l1 down, as the filter of devices requires.
fn is_full_path(scope: &OrgScope) -> bool {
    let codes = scope.codes();
    Level::all()
        .take(codes.depth())
        .all(|level| codes.get(level).is_some())
}

impl KnownDevice {
    /// Returns the fields of the check that the device would send for an app.
    pub(super) fn last_check(&self, app: &App) -> LastCheck {
        let device = &self.record.device;
        let own = self
            .installs
            .iter()
            .filter(|install| install.package_name == app.package_name);
        let (host, modules): (Vec<&Install>, Vec<_>) =
            own.partition(|install| app.is_itself(&install.identifier));
        let version_code = host
            .first()
            .map_or(0, |install| install.version_code.get())
            .to_string();
        let modules: Map<String, Value> = modules
            .iter()
            .map(|install| (install.identifier.to_string(), json!(install.version_code.get())))
            .collect();
        let text = |value: Option<Value>| value.map(|value| value.to_string()).unwrap_or_default();
        let org_info = text(device.org_info.as_ref().map(|places| json!(places.memberships())));
        let attributes = text(
            self.record
                .attributes
                .as_ref()
                .map(|attributes| json!(attributes)),
        );
        LastCheck {
            package_name: app.package_name.to_string(),
            version_code,
            device_id: self.id.to_string(),
            device_type: device
                .device_type
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            old_versions: Value::Object(modules).to_string(),
            org_info,
            attributes,
        }
    }
}

/// Fields of a check as texts.
pub(super) struct LastCheck {
    package_name: String,
    version_code: String,
    device_id: String,
    device_type: String,
    old_versions: String,
    org_info: String,
    attributes: String,
}

impl LastCheck {
    /// Parses the fields. Returns `None` for a state that no check can have, which a device may have enrolled with.
    pub(super) fn parse(&self) -> Option<Check<'_>> {
        let fields = CheckFields {
            package_name: RawField::Text(&self.package_name),
            version_code: RawField::Text(&self.version_code),
            device_id: RawField::Text(&self.device_id),
            device_type: RawField::Text(&self.device_type),
            old_versions: RawField::Text(&self.old_versions),
            org_info: RawField::Text(&self.org_info),
            attributes: RawField::Text(&self.attributes),
        };
        read_check(&fields).ok()
    }
}
