//! Databases with one large app. They are filled through the storage layer, which computes the derived columns.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use slipway::storage::{Db, Durability, apps, connect, create_sqlite, releases, resources, tenants};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::artifact::ArtifactQuota;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::{AppId, TenantId};
use slipway_domain::catalog::push::UrlSchemes;
use slipway_domain::catalog::release::{ReleaseRecord, ReleaseState};
use slipway_domain::catalog::release_content::{ReleaseChanges, ReleaseContent};
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::{DeviceType, Identifier, Md5, Name, PackageName, Url, VersionName};
use slipway_domain::catalog::version::VersionCode;

use crate::fleet;

/// Releases in one transaction.
const BATCH: u32 = 1_000;
/// Releases of each resource in the targeted shape.
const RELEASES_PER_RESOURCE: u32 = 10;

/// Relation of the releases of the app to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One resource, whose newest release supersedes the others.
    Superseded,
    /// Ten releases in each of many resources, all for one type of devices, so that none is superseded.
    Targeted,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Targeted => "targeted",
        }
    }

    /// Returns the resource and the version code of the release with this number.
    fn place(self, number: u32) -> (u32, u32) {
        match self {
            Self::Superseded => (0, number + 1),
            Self::Targeted => (number / RELEASES_PER_RESOURCE, number % RELEASES_PER_RESOURCE + 1),
        }
    }
}

/// The tenant and the app of these databases.
pub(crate) const TENANT: fleet::Tenant = fleet::Tenant(0);

/// Returns the identifier of a resource of the app.
pub(crate) fn identifier(resource: u32) -> String {
    format!("{}.r{resource:05}", TENANT.app(0).package_name())
}

/// Fills an empty database with one app and this number of releases. Creates the file of SQLite.
pub(crate) fn fill(url: &str, shape: Shape, count: u32) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if url.starts_with("sqlite:") {
            create_sqlite(url).await?;
        }
        let db = connect(url, Durability::Relaxed).await?;
        db.migrate().await?;
        let filled = insert_all(&db, shape, count).await;
        db.close().await?;
        filled
    })
}

async fn insert_all(db: &Db, shape: Shape, count: u32) -> anyhow::Result<()> {
    let now = DateTime::<Utc>::UNIX_EPOCH;
    let tenant = TenantId::parse(TENANT.number())
        .ok()
        .context("a tenant's number")?;
    let scope = TenantScope::internal(tenant);
    let app = new_app()?;
    let tx = db.begin_catalog(scope).await?;
    tenants::insert(&tx, new_tenant(tenant)?, now).await?;
    apps::insert(&tx, app.clone(), now).await?;
    tx.commit().await?;
    let mut resource_count = 0;
    for first in (0..count).step_by(BATCH as usize) {
        let tx = db.begin_catalog(scope).await?;
        for number in first..count.min(first + BATCH) {
            let (resource, _) = shape.place(number);
            if resource == resource_count {
                let identifier = valid(Identifier::parse(identifier(resource)))?;
                resources::insert(&tx, Resource::first_seen(&app, identifier), now)?;
                resource_count += 1;
            }
            releases::insert(&tx, new_release(&app, shape, number)?, now)?;
        }
        tx.commit().await?;
    }
    Ok(())
}

fn new_release(app: &App, shape: Shape, number: u32) -> anyhow::Result<ReleaseRecord> {
    let (resource, version) = shape.place(number);
    let identifier = valid(Identifier::parse(identifier(resource)))?;
    let content = new_content(shape, version)?;
    let mut record = ReleaseRecord::draft(slipway::random::id(), app.id, identifier, content);
    record.release.state = ReleaseState::Published;
    Ok(record)
}

fn new_content(shape: Shape, version: u32) -> anyhow::Result<ReleaseContent> {
    let targeting = match shape {
        Shape::Superseded => Targeting::default(),
        Shape::Targeted => Targeting {
            device_types: vec![valid(DeviceType::parse("10013"))?],
            ..Targeting::default()
        },
    };
    let changes = ReleaseChanges {
        version_code: Some(valid(VersionCode::new(version.into()))?),
        version_name: Some(valid(VersionName::parse(format!("1.0.{version}")))?),
        download_url: Some(Some(valid(Url::parse(
            "https://cdn.example.com/packages/package.bin",
        ))?)),
        size: Some(1_000_000),
        md5: Some(valid(Md5::parse("0cc175b9c0f1b6a831c399e269772661"))?),
        ..ReleaseChanges::default()
    };
    let content = changes.into_new().ok().context("every required field is there")?;
    Ok(ReleaseContent { targeting, ..content })
}

fn new_app() -> anyhow::Result<App> {
    Ok(App {
        id: slipway::random::id::<AppId>(),
        package_name: valid(PackageName::parse(TENANT.app(0).package_name()))?,
        app_name: valid(Name::parse("Warehouse"))?,
        old_package_names: Vec::new(),
        icon_url: None,
        enabled: true,
    })
}

fn new_tenant(id: TenantId) -> anyhow::Result<Tenant> {
    Ok(Tenant {
        id,
        name: valid(Name::parse("Fresh Markets"))?,
        enabled: true,
        offers_enabled: true,
        push_url_schemes: UrlSchemes::default(),
        enrolment: EnrolmentPolicy::Key,
        artifact_quota: ArtifactQuota::default(),
    })
}

fn valid<T, E: std::fmt::Debug>(parsed: Result<T, E>) -> anyhow::Result<T> {
    parsed.map_err(|error| anyhow::anyhow!("{error:?}"))
}
