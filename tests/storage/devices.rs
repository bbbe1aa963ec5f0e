//! Devices, and their installed versions.

use chrono::TimeDelta;
use slipway::storage::Db;
use slipway::storage::device_installs;
use slipway::storage::devices::{self, SeenDevice};
use slipway_domain::catalog::device::{Device, OrgInfo};
use slipway_domain::catalog::install::Install;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::org::{LevelCodes, OrgScope};
use slipway_domain::catalog::text::{DeviceId, DeviceType, ProjectId};

use super::values::{identifier, now, package, prepare_tenant, scope, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    what_was_seen_earlier_changes_nothing,
    what_a_check_leaves_out_stays,
    many_devices_are_written_at_once,
    only_new_devices_of_checks_are_counted,
    two_nodes_write_the_same_devices_at_once,
);

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn seen(device: &str, device_type: Option<&str>, minutes: i64) -> SeenDevice {
    SeenDevice {
        device: id(device),
        device_type: device_type.map(|text| DeviceType::parse(text).unwrap()),
        org_info: None,
        seen_at: now() + TimeDelta::minutes(minutes),
    }
}

fn install(device: &str, version_code: i64, minutes: i64) -> Install {
    Install {
        app: None,
        device: id(device),
        package_name: package("com.hema.wms"),
        identifier: identifier("com.hema.wms"),
        version_code: version(version_code),
        seen_at: in_micros(now() + TimeDelta::minutes(minutes)),
    }
}

async fn write(db: &Db, devices: Vec<SeenDevice>, installs: Vec<Install>) {
    let tx = db.begin().await.unwrap();
    devices::upsert_seen(&tx, scope(1), devices).await.unwrap();
    device_installs::upsert(&tx, scope(1), installs).await.unwrap();
    tx.commit().await.unwrap();
}

async fn what_was_seen_earlier_changes_nothing(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    write(db, vec![seen("A", Some("new"), 5)], vec![install("A", 7, 5)]).await;
    let before = devices::find(db, scope(1), &id("A")).await.unwrap();
    write(db, vec![seen("A", Some("old"), 4)], vec![install("A", 6, 4)]).await;
    assert_eq!(devices::find(db, scope(1), &id("A")).await.unwrap(), before);
    let tx = db.begin().await.unwrap();
    device_installs::delete(&tx, scope(1), &install("A", 0, 4))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let installs = device_installs::list_recorded(db, scope(1), &["A"]).await;
    assert_eq!(installs.unwrap(), [install("A", 7, 5)]);
    let tx = db.begin().await.unwrap();
    device_installs::delete(&tx, scope(1), &install("A", 0, 5))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let installs = device_installs::list_recorded(db, scope(1), &["A"]).await;
    assert_eq!(installs.unwrap(), []);
}

async fn what_a_check_leaves_out_stays(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let org = OrgScope::new(LevelCodes::from_path(&["HM"])).unwrap();
    let imported = Device {
        id: id("A"),
        project: Some(ProjectId::parse("stores").unwrap()),
        device_type: Some(DeviceType::parse("1").unwrap()),
        org_info: Some(OrgInfo::new(vec![org]).unwrap()),
    };
    let tx = db.begin().await.unwrap();
    devices::upsert_imported(&tx, scope(1), vec![imported.clone()])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    write(db, vec![seen("A", None, 0)], vec![]).await;
    write(db, vec![seen("A", None, 1)], vec![]).await;
    let stored = devices::find(db, scope(1), &id("A")).await.unwrap().unwrap();
    assert_eq!(stored.device, imported);
    assert_eq!(stored.first_seen_at, Some(in_micros(now())));
    assert_eq!(
        stored.last_seen_at,
        Some(in_micros(now()) + TimeDelta::minutes(1))
    );
}

/// More rows than one statement can bind on SQLite.
async fn many_devices_are_written_at_once(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let ids: Vec<_> = (0..6_000).map(|number| number.to_string()).collect();
    let devices = ids.iter().map(|id| seen(id, None, 0)).collect();
    let installs = ids.iter().map(|id| install(id, 1, 0)).collect();
    write(db, devices, installs).await;
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    assert_eq!(devices::find_many(db, scope(1), &ids).await.unwrap().len(), 6_000);
    let installs = device_installs::list_recorded(db, scope(1), &ids).await;
    assert_eq!(installs.unwrap().len(), 6_000);
}

async fn only_new_devices_of_checks_are_counted(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    prepare_tenant(db, 2).await;
    let imported = Device {
        id: id("imported"),
        project: None,
        device_type: None,
        org_info: None,
    };
    let tx = db.begin().await.unwrap();
    devices::upsert_imported(&tx, scope(1), vec![imported])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let all = vec![seen("imported", None, 0), seen("A", None, 0), seen("B", None, 1)];
    write(db, all, vec![]).await;
    let count = async |tenant: i64, minutes: i64| {
        let since = in_micros(now()) + TimeDelta::minutes(minutes);
        devices::count_new(db, scope(tenant), since).await.unwrap()
    };
    assert_eq!(count(1, 0).await, 2);
    assert_eq!(count(1, 1).await, 1);
    assert_eq!(count(1, 2).await, 0);
    assert_eq!(count(2, 0).await, 0);
}

/// The nodes write in opposite orders, which could deadlock.
async fn two_nodes_write_the_same_devices_at_once(database: TestDatabase) {
    prepare_tenant(&database.db, 1).await;
    let mut nodes = tokio::task::JoinSet::new();
    for reversed in [false, true] {
        let db = database.another_node().await;
        nodes.spawn(async move {
            for minutes in 0..20 {
                let mut ids: Vec<_> = (0..300).map(|number| number.to_string()).collect();
                if reversed {
                    ids.reverse();
                }
                let devices = ids.iter().map(|id| seen(id, None, minutes)).collect();
                let installs = ids.iter().map(|id| install(id, minutes + 1, minutes)).collect();
                write(&db, devices, installs).await;
            }
        });
    }
    nodes.join_all().await;
}
