//! Sample values for storage.

use chrono::{DateTime, Utc};
use slipway::storage::{CatalogTx, Db, StorageError, UniqueKey, apps, resources, tenants};
use slipway_domain::access::{Role, TenantScope, User};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::{AppId, PinId, TenantId, UserId};
use slipway_domain::catalog::pin::{Pin, PinMode, PinTarget};
use slipway_domain::catalog::push::UrlSchemes;
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::release_content::{ReleaseChanges, ReleaseContent};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::{
    DeviceId, Identifier, Md5, Name, PackageName, Reason, Url, Username, VersionName,
};
use slipway_domain::catalog::version::VersionCode;

/// Returns an instant with more digits than a database stores.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 123_456_789).unwrap()
}

pub(crate) fn scope(number: i64) -> TenantScope {
    TenantScope::internal(TenantId::parse(number).unwrap())
}

pub(crate) fn tenant(number: i64) -> Tenant {
    Tenant {
        id: TenantId::parse(number).unwrap(),
        name: name("Hema"),
        enabled: true,
        offers_enabled: true,
        push_url_schemes: UrlSchemes::default(),
        enrolment: EnrolmentPolicy::Key,
        artifact_quota: slipway_domain::catalog::artifact::ArtifactQuota::default(),
    }
}

pub(crate) fn app(package_name: &str) -> App {
    App {
        id: slipway::random::id::<AppId>(),
        package_name: package(package_name),
        app_name: name("Warehouse"),
        old_package_names: Vec::new(),
        icon_url: None,
        enabled: true,
    }
}

pub(crate) fn release(app: &App, identifier: &str, version_code: i64) -> ReleaseRecord {
    let id = slipway::random::id();
    ReleaseRecord::draft(id, app.id, self::identifier(identifier), content(version_code))
}

fn content(version_code: i64) -> ReleaseContent {
    let changes = ReleaseChanges {
        version_code: Some(version(version_code)),
        version_name: Some(VersionName::parse(format!("1.0.{version_code}")).unwrap()),
        download_url: Some(Some(Url::parse("https://files.example/a.bin").unwrap())),
        size: Some(0),
        md5: Some(Md5::parse("0cc175b9c0f1b6a831c399e269772661").unwrap()),
        ..ReleaseChanges::default()
    };
    changes.into_new().unwrap()
}

pub(crate) fn hold(app: &App, identifier: &str, device: &str) -> Pin {
    Pin {
        id: slipway::random::id::<PinId>(),
        app_id: app.id,
        identifier: self::identifier(identifier),
        target: PinTarget::Device(DeviceId::parse(device).unwrap()),
        mode: PinMode::Hold,
        reason: reason("broken scanner"),
        expires_at: None,
    }
}

pub(crate) fn user(tenant: Option<i64>, username: &str) -> User {
    User {
        id: slipway::random::id::<UserId>(),
        tenant: tenant.map(|number| TenantId::parse(number).unwrap()),
        username: Username::parse(username).unwrap(),
        role: if tenant.is_some() {
            Role::Publisher
        } else {
            Role::PlatformAdmin
        },
        enabled: true,
    }
}

pub(crate) fn version(number: i64) -> VersionCode {
    VersionCode::new(number).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn package(text: &str) -> PackageName {
    PackageName::parse(text).unwrap()
}

pub(crate) fn identifier(text: &str) -> Identifier {
    Identifier::parse(text).unwrap()
}

pub(crate) fn reason(text: &str) -> Reason {
    Reason::parse(text).unwrap()
}

/// Changes the catalog of a tenant in a transaction of its own.
pub(crate) async fn change(
    db: &Db,
    tenant: i64,
    write: impl AsyncFnOnce(&CatalogTx) -> Result<(), StorageError>,
) -> CatalogRevision {
    let tx = db.begin_catalog(scope(tenant)).await.unwrap();
    write(&tx).await.unwrap();
    tx.commit().await.unwrap()
}

/// Prepares a migrated database with one tenant.
pub(crate) async fn prepare_tenant(db: &Db, number: i64) -> CatalogRevision {
    db.migrate().await.unwrap();
    change(db, number, async |tx| {
        tenants::insert(tx, tenant(number), now()).await.map(drop)
    })
    .await
}

/// Prepares a migrated database with tenant 1 and an app with these resources.
pub(crate) async fn prepare_app(db: &Db, package_name: &str, identifiers: &[&str]) -> App {
    prepare_tenant(db, 1).await;
    let app = app(package_name);
    change(db, 1, async |tx| {
        apps::insert(tx, app.clone(), now()).await?;
        for text in identifiers {
            resources::insert(tx, Resource::first_seen(&app, identifier(text)), now())?;
        }
        Ok(())
    })
    .await;
    app
}

/// Returns true if the write violated exactly this unique key.
pub(crate) fn is_conflict<T>(outcome: &Result<T, StorageError>, expected: UniqueKey) -> bool {
    matches!(outcome, Err(StorageError::Conflict(key)) if *key == expected)
}
