//! Conditions for following and writing to a database.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use slipway::clock::FixedClock;
use slipway::hints::HintBus;
use slipway::http::OFFER_ENCODERS;
use slipway::live::snapshot::read;
use slipway::live::{CatalogCache, CatalogSync, CatalogSyncParts, CatalogSyncSettings, Lookup, Revocations};
use slipway::secrets::Keyring;
use slipway::services::installation::{DatabaseOpener, OpenError};
use slipway::storage::{Db, Gate, StorageError, settings, users};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::Username;

use super::super::harness::{NOW, PASSWORD, SECRET_KEY, TENANT};
use super::damage::Frames;
use super::{Fixture, keyring};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(NOW.parse().unwrap()))
}

fn opener(db: &Db, gate: Arc<Gate>, key: &str) -> DatabaseOpener {
    DatabaseOpener {
        db: db.clone(),
        gate,
        keyring: Arc::new(Keyring::parse(key).unwrap()),
        clock: clock(),
        username: Username::parse("admin").unwrap(),
        password: Some(PASSWORD.to_owned()),
        announce: |_| {},
    }
}

async fn nothing_passes_before_schema_and_key_were_checked(database: TestDatabase) {
    let (gated, gate) = database.db.with_closed_gate().await.unwrap();
    let is_unavailable = |error: StorageError| matches!(error, StorageError::Unavailable(_));
    assert!(is_unavailable(gated.ping().await.unwrap_err()));
    assert!(is_unavailable(gated.begin().await.unwrap_err()));
    assert!(is_unavailable(gated.begin_read().await.err().unwrap()));
    assert!(is_unavailable(settings::find(&gated, "x").await.unwrap_err()));

    let installation = opener(&database.db, gate, SECRET_KEY).open().await.unwrap();
    gated.ping().await.unwrap();
    assert!(
        users::exists_any(&gated).await.unwrap(),
        "the first administrator is there"
    );

    // A node with another key is refused, however often it tries.
    let (gated, gate) = database.db.with_closed_gate().await.unwrap();
    let another = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let refused = opener(&database.db, gate, another).open().await.unwrap_err();
    assert!(
        matches!(refused, OpenError::Key(_)) && !refused.is_unavailability(),
        "{refused}"
    );
    assert!(is_unavailable(gated.begin().await.unwrap_err()));

    // A node with the right key finds the same installation.
    let (_, gate) = database.db.with_closed_gate().await.unwrap();
    let again = opener(&database.db, gate, SECRET_KEY).open().await.unwrap();
    assert_eq!(again, installation);
}

/// Returns an empty catalog.
fn catalog(database: &TestDatabase) -> Arc<CatalogCache> {
    let catalog_sync_settings = CatalogSyncSettings {
        poll_interval: Duration::from_millis(250),
        stale_after: TimeDelta::seconds(900),
        encoders: OFFER_ENCODERS,
        download_urls: DownloadUrls::default(),
    };
    let db = &database.db;
    CatalogSync::new(
        CatalogSyncParts {
            db: db.clone(),
            pool: db.clone(),
            clock: clock(),
            keyring: Arc::new(keyring()),
            hints: HintBus::local(),
            revocations: Revocations::new().0,
        },
        catalog_sync_settings,
    )
    .1
}

fn tenant() -> TenantId {
    TenantId::parse(TENANT).unwrap()
}

async fn a_tenant_that_could_not_be_read_stays_unknown(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let bytes = fs::read(&stopped.files()[0]).unwrap();
    // Content that is written for a tenant with unreadable rows.
    let unread = Frames::of(&bytes).with_content(&[0], 1);
    let live = catalog(&stopped.database);
    live.serve_snapshot(read(&unread, &keyring()).unwrap(), NOW.parse().unwrap());
    assert!(matches!(live.tenant(tenant()), Lookup::Unknown));
    let key = live.app_key(&stopped.client.app_key);
    assert!(matches!(key, Lookup::Unknown), "it may be that tenant's");
    let nobody = TenantId::parse(1).unwrap();
    assert!(matches!(live.tenant(nobody), Lookup::Absent));
}

async fn a_snapshot_is_never_of_a_later_instant(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let bytes = fs::read(&stopped.files()[0]).unwrap();
    let live = catalog(&stopped.database);
    let earlier = NOW.parse::<DateTime<Utc>>().unwrap() - TimeDelta::hours(1);
    live.serve_snapshot(read(&bytes, &keyring()).unwrap(), earlier);
    assert_eq!(live.synced_at(), Some(earlier));
}

async fn what_another_installation_had_is_forgotten(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let bytes = fs::read(&stopped.files()[0]).unwrap();
    let live = catalog(&stopped.database);
    let tenant = tenant();
    let snapshot = read(&bytes, &keyring()).unwrap();
    let installation = snapshot.installation;
    live.serve_snapshot(snapshot, NOW.parse().unwrap());
    assert!(matches!(live.tenant(tenant), Lookup::Found(_)));
    live.set_installation(installation);
    assert!(matches!(live.tenant(tenant), Lookup::Found(_)));
    live.set_installation(uuid::Uuid::nil());
    assert!(matches!(live.tenant(tenant), Lookup::Unknown));
    assert!(matches!(live.app_key(&stopped.client.app_key), Lookup::Unknown));
}

on_both_databases!(
    nothing_passes_before_schema_and_key_were_checked,
    what_another_installation_had_is_forgotten,
    a_tenant_that_could_not_be_read_stays_unknown,
    a_snapshot_is_never_of_a_later_instant,
);
