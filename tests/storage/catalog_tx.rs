//! Catalog transactions: the revisions that they advance, and their isolation.

use slipway::storage::credentials::app_keys::SealedSecret;
use slipway::storage::releases::ReleaseSelection;
use slipway::storage::{
    AppSelection, Db, StorageError, apps, catalog_states, credentials, org_directories, pins, releases,
    resources, tenants,
};
use slipway_domain::access::{AppKey, AppKeyRole, DeviceKey, KeyFacts, TenantScope};
use slipway_domain::catalog::app::Resource;
use slipway_domain::catalog::ids::{AppId, KeyId};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::revision::CatalogRevision;

use super::values::{
    app, change, hold, identifier, name, now, prepare_app, prepare_tenant, release, scope, tenant,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    every_catalog_write_advances_the_tenant,
    writes_to_an_app_advance_it_alone,
    what_is_not_committed_changes_nothing,
    concurrent_changes_of_one_tenant_come_one_after_the_other,
    concurrent_changes_of_different_tenants_are_all_kept,
    one_of_two_creations_of_the_same_tenant_is_refused,
    a_write_to_an_unknown_tenant_is_refused,
);

async fn tenant_revision(db: &Db) -> CatalogRevision {
    let tx = db.begin_read().await.unwrap();
    let scope = TenantScope::internal(tenant(1).id);
    catalog_states::load_tenants(&tx, &[scope])
        .await
        .unwrap()
        .remove(0)
        .revision
}

async fn app_revision(db: &Db, id: AppId) -> CatalogRevision {
    let tx = db.begin_read().await.unwrap();
    let scope = TenantScope::internal(tenant(1).id);
    let ids = [id];
    let apps = AppSelection::Some(scope, &ids);
    let rows = catalog_states::load_apps(&tx, apps, ReleaseSelection::All).await;
    rows.unwrap().remove(0).revision
}

/// Runs one change and checks that it advances the tenant's revision by one, to the value that the commit returns.
async fn assert_advances(
    db: &Db,
    write: impl AsyncFnOnce(&slipway::storage::CatalogTx) -> Result<(), StorageError>,
) {
    let before = tenant_revision(db).await;
    let revision = change(db, 1, write).await;
    assert_eq!(revision.revision, before.revision + 1);
    assert_ne!(revision.head, before.head);
    assert_eq!(revision, tenant_revision(db).await);
    assert_eq!(
        revision.to_string(),
        format!("{}.{}", revision.revision, revision.head)
    );
}

async fn every_catalog_write_advances_the_tenant(database: TestDatabase) {
    let db = &database.db;
    let revision = prepare_tenant(db, 1).await;
    assert_eq!((revision.revision, revision.head.len()), (1, 16));
    let app = app("com.hema.wms");
    let draft = release(&app, "com.hema.wms", 1);
    let key = slipway::random::id::<KeyId>();

    assert_advances(db, async |tx| {
        let stored = tenants::find(tx, tenant(1).id).await?.unwrap();
        tenants::update(tx, &stored, stored.value.clone(), now())
            .await
            .map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        org_directories::replace(tx, vec![], now()).await.map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        apps::insert(tx, app.clone(), now()).await.map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        let resource = Resource::first_seen(&app, identifier("com.hema.wms"));
        resources::insert(tx, resource, now()).map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        releases::insert(tx, draft.clone(), now()).map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        pins::upsert(tx, hold(&app, "com.hema.wms", "D1"), now())
            .await
            .map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        let value = DeviceKey {
            facts: KeyFacts::default(),
            id: key,
            name: name("stores"),
        };
        credentials::insert(tx, tx.scope(), value, "hash".to_owned(), now())
            .await
            .map(drop)
    })
    .await;
    assert_advances(db, async |tx| {
        let value = AppKey {
            facts: KeyFacts::default(),
            id: key,
            name: name("sdk"),
            role: AppKeyRole::Device,
            app_key: "123".to_owned(),
        };
        let secret = SealedSecret {
            text: "sealed".to_owned(),
            sealing_key_id: "k1".to_owned(),
        };
        credentials::insert(tx, tx.scope(), value, secret, now())
            .await
            .map(drop)
    })
    .await;
    assert_advances(db, async |tx| apps::delete(tx, app.id).await.map(drop)).await;
}

async fn writes_to_an_app_advance_it_alone(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["com.hema.wms"]).await;
    let pos = app("com.hema.pos");
    change(db, 1, async |tx| {
        apps::insert(tx, pos.clone(), now()).await.map(drop)
    })
    .await;
    let (wms_before, pos_before) = (app_revision(db, wms.id).await, app_revision(db, pos.id).await);
    assert_eq!((wms_before.revision, wms_before.head.len()), (1, 16));
    change(db, 1, async |tx| {
        releases::insert(tx, release(&wms, "com.hema.wms", 1), now())?;
        releases::insert(tx, release(&wms, "com.hema.wms", 2), now()).map(drop)
    })
    .await;
    let wms_after = app_revision(db, wms.id).await;
    assert_eq!(wms_after.revision, wms_before.revision + 1);
    assert_ne!(wms_after.head, wms_before.head);
    assert_eq!(app_revision(db, pos.id).await, pos_before);
}

async fn what_is_not_committed_changes_nothing(database: TestDatabase) {
    let db = &database.db;
    let before = prepare_tenant(db, 1).await;
    let tx = db.begin_catalog(scope(1)).await.unwrap();
    apps::insert(&tx, app("com.hema.wms"), now()).await.unwrap();
    drop(tx);
    assert_eq!(tenant_revision(db).await, before);
    let page = apps::list(db, scope(1), &PageRequest::first(9)).await.unwrap();
    assert_eq!(page.items, []);
}

/// Each task reads the state, decides, and writes. Without serialization, a name would be lost.
async fn concurrent_changes_of_one_tenant_come_one_after_the_other(database: TestDatabase) {
    const TASKS: usize = 8;
    const CHANGES: usize = 5;
    let app = prepare_app(&database.db, "com.hema.wms", &[]).await;
    let before = tenant_revision(&database.db).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (db, id) = (database.another_node().await, app.id);
        tasks.spawn(async move {
            for number in 0..CHANGES {
                change(&db, 1, async |tx| {
                    let stored = apps::find_by_id(tx, scope(1), id).await?.unwrap();
                    let mut value = stored.value.clone();
                    value
                        .old_package_names
                        .push(super::values::package(&format!("old.{task}.{number}")));
                    apps::update(tx, &stored, value, now()).await.map(drop)
                })
                .await;
            }
        });
    }
    tasks.join_all().await;
    let stored = apps::find_by_id(&database.db, scope(1), app.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.value.old_package_names.len(), TASKS * CHANGES);
    let changes = i64::try_from(TASKS * CHANGES).unwrap();
    assert_eq!(
        tenant_revision(&database.db).await.revision,
        before.revision + changes
    );
}

async fn concurrent_changes_of_different_tenants_are_all_kept(database: TestDatabase) {
    database.db.migrate().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=8 {
        let db = database.another_node().await;
        tasks.spawn(async move {
            prepare_tenant(&db, number).await;
            for app_number in 0..5 {
                let app = app(&format!("com.app{app_number}"));
                change(&db, number, async |tx| {
                    apps::insert(tx, app, now()).await.map(drop)
                })
                .await;
            }
        });
    }
    tasks.join_all().await;
    let states = catalog_states::list_all(&database.db).await.unwrap();
    let revisions: Vec<_> = states
        .iter()
        .map(|state| (state.tenant.get(), state.revision.revision))
        .collect();
    assert_eq!(revisions, (1..=8).map(|number| (number, 6)).collect::<Vec<_>>());
    let positions: std::collections::BTreeSet<_> = states.iter().map(|state| state.position).collect();
    assert_eq!(positions.len(), 8);
}

async fn one_of_two_creations_of_the_same_tenant_is_refused(database: TestDatabase) {
    database.db.migrate().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let db = database.another_node().await;
        tasks.spawn(async move {
            let tx = db.begin_catalog(scope(1)).await?;
            tenants::insert(&tx, tenant(1), now()).await?;
            tx.commit().await
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|error| matches!(
                error,
                StorageError::Conflict(slipway::storage::UniqueKey::TenantId)
            ))
    );
}

async fn a_write_to_an_unknown_tenant_is_refused(database: TestDatabase) {
    database.db.migrate().await.unwrap();
    let tx = database.db.begin_catalog(scope(1)).await.unwrap();
    let refusal = apps::insert(&tx, app("com.hema.wms"), now()).await.unwrap_err();
    assert!(matches!(refusal, StorageError::BrokenReference), "{refusal:?}");
    drop(tx);
    let tx = database.db.begin_catalog(scope(1)).await.unwrap();
    assert!(matches!(tx.commit().await, Err(StorageError::BrokenReference)));
}
