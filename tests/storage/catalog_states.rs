//! States by which a node follows the catalog.

use slipway::storage::catalog_states::{AppRows, TenantRows};
use slipway::storage::credentials::app_keys::{SealedSecret, SealedSecrets};
use slipway::storage::credentials::device_keys::DeviceKeyHash;
use slipway::storage::releases::ReleaseSelection;
use slipway::storage::{
    AppSelection, ReadTx, apps, catalog_states, credentials, key_usage, org_directories, pins, releases,
};
use slipway_domain::access::{AppKey, AppKeyRole, DeviceKey, KeyFacts, TenantScope};
use slipway_domain::catalog::ids::{AppId, KeyId};
use slipway_domain::catalog::org::{OrgCode, OrgNode};
use slipway_domain::catalog::release::{RecallMode, ReleaseState};

use super::values::{app, change, hold, name, now, prepare_app, prepare_tenant, release, tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    the_tenants_that_changed_last_come_first,
    a_tenant_is_read_with_its_keys_and_apps,
    an_app_is_read_with_all_that_counts,
    a_read_sees_one_state,
    what_is_gone_is_not_found,
);

async fn load_tenant(tx: &ReadTx, number: i64) -> Option<TenantRows> {
    let scope = TenantScope::internal(tenant(number).id);
    catalog_states::load_tenants(tx, &[scope]).await.unwrap().pop()
}

async fn load_app(tx: &ReadTx, id: AppId, selection: ReleaseSelection) -> Option<AppRows> {
    let scope = TenantScope::internal(tenant(1).id);
    let ids = [id];
    let apps = AppSelection::Some(scope, &ids);
    catalog_states::load_apps(tx, apps, selection)
        .await
        .unwrap()
        .pop()
}

async fn the_tenants_that_changed_last_come_first(database: TestDatabase) {
    let db = &database.db;
    for number in [3, 1, 2] {
        prepare_tenant(db, number).await;
    }
    let revision = change(db, 3, async |tx| {
        apps::insert(tx, app("com.a"), now()).await.map(drop)
    })
    .await;
    let newest = catalog_states::list_latest(db, 2).await.unwrap();
    assert_eq!(
        newest.iter().map(|state| state.tenant.get()).collect::<Vec<_>>(),
        [3, 2]
    );
    assert_eq!(newest[0].revision, revision);
    assert!(newest[0].position > newest[1].position);
    assert_eq!(catalog_states::list_all(db).await.unwrap().len(), 3);
}

async fn a_tenant_is_read_with_its_keys_and_apps(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &[]).await;
    let node = OrgNode {
        path: vec![OrgCode::parse("HM").unwrap()],
        name: None,
        time_zone: None,
    };
    let device_key = DeviceKey {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        name: name("stores"),
    };
    let app_key = AppKey {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        name: name("sdk"),
        role: AppKeyRole::Operator,
        app_key: "23000001".to_owned(),
    };
    let secret = SealedSecret {
        text: "sealed".to_owned(),
        sealing_key_id: "k1".to_owned(),
    };
    let revision = change(db, 1, async |tx| {
        org_directories::replace(tx, vec![node.clone()], now()).await?;
        credentials::insert(tx, tx.scope(), device_key.clone(), "hash".to_owned(), now()).await?;
        credentials::insert(tx, tx.scope(), app_key.clone(), secret.clone(), now())
            .await
            .map(drop)
    })
    .await;
    let tx = db.begin_read().await.unwrap();
    let rows = load_tenant(&tx, 1).await.unwrap();
    assert_eq!(rows.tenant, tenant(1));
    assert_eq!(rows.revision, revision);
    let scope = TenantScope::internal(tenant(1).id);
    assert_eq!(catalog_states::load_directory(&tx, scope).await.unwrap(), [node]);
    assert!(rows.directory_etag.is_some());
    assert_eq!(
        rows.device_keys,
        [(
            device_key.id,
            DeviceKeyHash {
                hash: "hash".to_owned(),
                expires_at: None
            }
        )]
    );
    let secrets = SealedSecrets {
        current: secret,
        previous: None,
    };
    assert_eq!(rows.app_keys, [(app_key, secrets)]);
    assert_eq!(rows.apps.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [wms.id]);
    let usages = key_usage::list_except(db, "k2").await.unwrap();
    assert_eq!(
        (usages.len(), usages[0].key_id.as_str(), usages[0].count),
        (1, "k1", 1)
    );
}

async fn an_app_is_read_with_all_that_counts(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["com.hema.wms", "a"]).await;
    let states = [
        ReleaseState::Draft,
        ReleaseState::Published,
        ReleaseState::Paused,
        ReleaseState::Recalled(RecallMode::Rollback),
        ReleaseState::Discarded,
    ];
    let records = (1..).zip(states).map(|(version, state)| {
        let mut record = release(&wms, "a", version);
        record.release.state = state;
        record
    });
    let records: Vec<_> = records.collect();
    let pin = hold(&wms, "a", "D1");
    change(db, 1, async |tx| {
        for record in records.iter().rev() {
            releases::insert(tx, record.clone(), now())?;
        }
        pins::upsert(tx, pin.clone(), now()).await.map(drop)
    })
    .await;
    let tx = db.begin_read().await.unwrap();
    let load = async |selection| {
        let mut rows = load_app(&tx, wms.id, selection).await.unwrap();
        rows.releases.sort_by_key(|release| release.content.version_code);
        rows
    };
    let rows = load(ReleaseSelection::All).await;
    assert_eq!(rows.app, wms);
    assert_eq!(rows.pins, [pin]);
    let identifiers: Vec<_> = rows
        .resources
        .iter()
        .map(|resource| resource.identifier.as_str())
        .collect();
    assert_eq!(identifiers, ["a", "com.hema.wms"]);
    let all: Vec<_> = records.iter().map(|record| record.release.clone()).collect();
    assert_eq!(rows.releases, all);
    let effective = load(ReleaseSelection::Effective).await.releases;
    assert_eq!(effective, [all[1].clone(), all[3].clone()]);
}

async fn a_read_sees_one_state(database: TestDatabase) {
    let db = &database.db;
    let before = prepare_tenant(db, 1).await;
    let tx = db.begin_read().await.unwrap();
    let first = load_tenant(&tx, 1).await.unwrap();
    change(db, 1, async |tx| {
        apps::insert(tx, app("com.a"), now()).await.map(drop)
    })
    .await;
    let second = load_tenant(&tx, 1).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(first.revision, before);
}

async fn what_is_gone_is_not_found(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["com.hema.wms"]).await;
    change(db, 1, async |tx| {
        releases::insert(tx, release(&wms, "com.hema.wms", 1), now())?;
        pins::upsert(tx, hold(&wms, "com.hema.wms", "D1"), now())
            .await
            .map(drop)
    })
    .await;
    change(db, 1, async |tx| {
        assert!(apps::delete(tx, wms.id).await?);
        assert!(!apps::delete(tx, wms.id).await?);
        Ok(())
    })
    .await;
    let tx = db.begin_read().await.unwrap();
    assert_eq!(load_app(&tx, wms.id, ReleaseSelection::All).await, None);
    assert_eq!(load_tenant(&tx, 1).await.unwrap().apps, []);
    assert_eq!(load_tenant(&tx, 2).await, None);
    drop(tx);
    // Its names are free again.
    change(db, 1, async |tx| {
        apps::insert(tx, app("com.hema.wms"), now()).await.map(drop)
    })
    .await;
}
