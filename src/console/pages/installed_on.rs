//! Devices that have a version of a resource: their number as counted, the first of them, and their org nodes.

use std::collections::BTreeMap;

use super::devices::{DeviceRow, place};
use crate::console::format::{Moment, count};
use crate::console::shell::Link;
use crate::console::visit::Visit;
use crate::http::problem::Problem;
use crate::services::adoption::{self, CurrentAdoption};
use crate::services::devices::{self, RegisteredDevice};
use slipway_domain::catalog::device::{DeviceFilter, OrgInfo};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::install::InstallFilter;
use slipway_domain::catalog::org::OrgScope;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::{Identifier, PackageName};
use slipway_domain::catalog::version::VersionCode;

/// Number of devices that are read, whose org nodes are counted.
const READ: u64 = 50;
/// Number of devices, and of org nodes, on the page.
const SHOWN: usize = 10;

/// Version of a resource.
#[derive(Clone)]
pub(super) struct InstalledVersion {
    pub(super) tenant: TenantId,
    pub(super) package_name: PackageName,
    pub(super) identifier: Identifier,
    pub(super) version_code: VersionCode,
}

pub(super) struct InstalledOn {
    /// Number of devices; `None` if the count does not have this version.
    pub(super) devices: Option<String>,
    /// Time of the hourly count; `None` if the devices were counted now.
    pub(super) counted_at: Option<Moment>,
    /// The first devices by id.
    pub(super) first: Vec<DeviceRow>,
    /// Org nodes of the devices that were read, each with its number of them.
    pub(super) places: Vec<PlaceRow>,
    /// Number of all these org nodes.
    pub(super) place_count: usize,
    /// `true` if more devices have the version than were read.
    pub(super) has_more: bool,
    /// List of the devices.
    pub(super) all: String,
}

pub(super) struct PlaceRow {
    pub(super) devices: usize,
    pub(super) link: Link,
}

struct Reads {
    adoption: CurrentAdoption,
    devices: Page<RegisteredDevice>,
}

impl InstalledOn {
    pub(super) async fn read(visit: &Visit, version: &InstalledVersion) -> Result<Self, Problem> {
        let of = version.clone();
        let Reads { adoption, devices } = visit
            .run_heavy(async move |ctx, caller| {
                let only = [of.identifier.clone()];
                let filter = DeviceFilter {
                    install: Some(InstallFilter {
                        package_name: &of.package_name,
                        identifier: Some(&of.identifier),
                        version_code: Some(of.version_code),
                    }),
                    ..DeviceFilter::default()
                };
                let page = PageRequest::first(READ);
                Ok(Reads {
                    adoption: adoption::current(&ctx, &caller, of.tenant, &of.package_name, &only).await?,
                    devices: devices::list(&ctx, &caller, of.tenant, &filter, &page).await?,
                })
            })
            .await?;
        let list = format!("/console/tenants/{}/devices", version.tenant);
        let places = places_of(&devices.items);
        let devices_on = number_of(&adoption, version, !devices.items.is_empty());
        Ok(Self {
            devices: devices_on.map(count),
            counted_at: adoption.counted_at.map(Moment),
            first: devices
                .items
                .iter()
                .take(SHOWN)
                .map(|device| DeviceRow::of(&list, device))
                .collect(),
            place_count: places.len(),
            places: rows_of(&list, version, places),
            has_more: devices.next.is_some(),
            all: format!("{list}?{}", version.query(None)),
        })
    }
}

impl InstalledVersion {
    /// Returns the query that names the version, for the lists of devices and of pins.
    pub(super) fn query(&self, org: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("package_name", self.package_name.as_str())
            .append_pair("identifier", self.identifier.as_str())
            .append_pair("version_code", &self.version_code.get().to_string());
        if let Some(org) = org {
            query.append_pair("org", org);
        }
        query.finish()
    }
}

/// Returns the number of devices on a version; `None` if it is unknown.
fn number_of(adoption: &CurrentAdoption, version: &InstalledVersion, is_installed: bool) -> Option<u64> {
    let counts = adoption.resources.get(&version.identifier);
    let devices = counts.map_or(0, |counts| counts.devices_on(version.version_code));
    // The count has the most frequent versions only, and may be missing or older than the first install.
    let is_uncounted = counts.is_some_and(|counts| counts.others > 0) || is_installed;
    Some(devices).filter(|devices| *devices > 0 || !is_uncounted)
}

fn places_of(devices: &[RegisteredDevice]) -> Vec<(OrgScope, usize)> {
    let mut counts = BTreeMap::<String, (OrgScope, usize)>::new();
    for device in devices {
        let org = device.stored.device.org_info.as_ref();
        for scope in org.map(OrgInfo::memberships).unwrap_or_default() {
            let counted = counts.entry(place(scope)).or_insert_with(|| (scope.clone(), 0));
            counted.1 += 1;
        }
    }
    let mut places: Vec<_> = counts.into_values().collect();
    places.sort_by_key(|(_, devices)| std::cmp::Reverse(*devices));
    places
}

fn rows_of(list: &str, version: &InstalledVersion, places: Vec<(OrgScope, usize)>) -> Vec<PlaceRow> {
    let row = |(scope, devices): (OrgScope, usize)| {
        let label = place(&scope);
        // The filter needs the whole path.
        let is_path = scope.codes().path().len() == scope.codes().depth();
        let org = Some(label.as_str()).filter(|_| is_path);
        PlaceRow {
            devices,
            link: Link {
                href: format!("{list}?{}", version.query(org)),
                label,
            },
        }
    };
    places.into_iter().take(SHOWN).map(row).collect()
}

#[cfg(test)]
mod tests {
    use slipway_domain::catalog::adoption::{AdoptionCounts, VersionDevices};

    use super::*;

    #[test]
    fn a_version_that_the_count_lacks_has_no_number() {
        let identifier = Identifier::parse("com.example").unwrap();
        let of = |number| InstalledVersion {
            tenant: TenantId::parse(1).unwrap(),
            package_name: PackageName::parse("com.example").unwrap(),
            identifier: identifier.clone(),
            version_code: VersionCode::of_release(number).unwrap(),
        };
        let counted = |others| CurrentAdoption {
            resources: BTreeMap::from([(
                identifier.clone(),
                AdoptionCounts {
                    versions: vec![VersionDevices {
                        version_code: of(1).version_code,
                        devices: 7,
                    }],
                    others,
                },
            )]),
            counted_at: None,
        };
        assert_eq!(number_of(&counted(0), &of(1), true), Some(7));
        assert_eq!(number_of(&counted(0), &of(2), false), Some(0));
        // A device has reported the version since the count, or the count adds it to other versions.
        assert_eq!(number_of(&counted(0), &of(2), true), None);
        assert_eq!(number_of(&counted(3), &of(2), false), None);
        assert_eq!(number_of(&CurrentAdoption::default(), &of(1), true), None);
    }
}
