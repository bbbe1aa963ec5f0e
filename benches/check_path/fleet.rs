//! Content of the catalog: tenants, apps and keys. All are derived from numbers, so nothing has to be looked up.

use md5::Md5;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(crate) const APPS_PER_TENANT: u32 = 2;
pub(crate) const RESOURCES_PER_APP: u32 = 5;
pub(crate) const RELEASES_PER_RESOURCE: u32 = 10;
pub(crate) const RELEASES_PER_TENANT: u32 = APPS_PER_TENANT * RESOURCES_PER_APP * RELEASES_PER_RESOURCE;

/// Parts of identifiers: the app itself, and four modules.
pub(crate) const MODULES: [&str; RESOURCES_PER_APP as usize] =
    ["", ".picking", ".receiving", ".returns", ".labels"];
pub(crate) const REGIONS: [&str; 3] = ["EAST", "NORTH", "WEST"];
/// Secret key of the installation.
pub(crate) const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A tenant by its index, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenant(pub u32);

impl Tenant {
    pub(crate) fn number(self) -> i64 {
        10_000_000 + i64::from(self.0)
    }

    /// Returns one of the tenant's apps by its index, from 0.
    pub(crate) fn app(self, number: u32) -> App {
        App(self.0 * APPS_PER_TENANT + number)
    }

    pub(crate) fn app_key(self) -> String {
        format!("{}", 100_000_000_000 + u64::from(self.0))
    }

    pub(crate) fn app_key_id(self) -> Uuid {
        id("app key", self)
    }

    pub(crate) fn app_secret(self) -> String {
        secret("app secret", self)[..32].to_owned()
    }

    pub(crate) fn device_key_id(self) -> Uuid {
        id("device key", self)
    }

    pub(crate) fn device_secret(self) -> String {
        secret("device secret", self)
    }

    /// Returns the bearer token of the tenant's devices.
    pub(crate) fn device_key(self) -> String {
        let id = self.device_key_id().simple();
        format!("slipway_device_{}_{id}_{}", self.number(), self.device_secret())
    }
}

/// An app by its index among the apps of all tenants, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct App(u32);

impl App {
    pub(crate) fn package_name(self) -> String {
        self.identifier(0)
    }

    /// Returns the identifier of a resource: index 0 is the app itself, the others are modules.
    pub(crate) fn identifier(self, resource: u32) -> String {
        let kind = if self.0.is_multiple_of(APPS_PER_TENANT) {
            "wms"
        } else {
            "pos"
        };
        let module = MODULES[resource as usize];
        format!("com.example.t{:05}.{kind}{module}", self.0 / APPS_PER_TENANT)
    }

    /// Returns the digest of a release's file.
    pub(crate) fn md5(self, resource: u32, version: u32) -> String {
        let resource = self.0 * RESOURCES_PER_APP + resource;
        let release = resource * RELEASES_PER_RESOURCE + version - 1;
        hex::encode(Md5::digest(format!("file {release}")))
    }
}

fn secret(purpose: &str, tenant: Tenant) -> String {
    hex::encode(Sha256::digest(format!("{purpose} {}", tenant.0)))
}

fn id(purpose: &str, tenant: Tenant) -> Uuid {
    let digest = Sha256::digest(format!("{purpose} id {}", tenant.0));
    Uuid::from_slice(&digest[..16]).expect("16 bytes")
}
