//! Tenants and their org directories.

use slipway::storage::{StorageError, org_directories, tenants};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::org::{OrgCode, OrgNode};
use slipway_domain::catalog::page::PageRequest;

use super::values::{change, name, now, prepare_tenant, scope, tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    a_tenant_is_read_as_it_was_written,
    a_directory_is_replaced_whole,
    a_cursor_of_another_list_is_refused,
);

async fn a_tenant_is_read_as_it_was_written(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let before = tenants::find(db, tenant(1).id).await.unwrap().unwrap();
    assert_eq!(before.value, tenant(1));
    assert_eq!(
        (before.created_at, before.updated_at),
        (in_micros(now()), in_micros(now()))
    );
    let later = now() + chrono::TimeDelta::hours(1);
    let mut value = tenant(1);
    (value.name, value.enabled, value.offers_enabled) = (name("盒马"), false, false);
    change(db, 1, async |tx| {
        let after = tenants::update(tx, &before, value.clone(), later).await?;
        assert_eq!(tenants::find(tx, value.id).await?.unwrap(), after);
        assert_eq!((&after.value, after.updated_at), (&value, in_micros(later)));
        assert_eq!(after.created_at, before.created_at);
        assert_ne!(after.etag, before.etag);
        Ok(())
    })
    .await;
}

async fn a_directory_is_replaced_whole(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    assert_eq!(org_directories::find(db, scope(1)).await.unwrap(), None);
    let node = |code: &str| OrgNode {
        path: vec![OrgCode::parse("HM").unwrap(), OrgCode::parse(code).unwrap()],
        name: Some(name("上海")),
        time_zone: Some("Asia/Shanghai".parse().unwrap()),
    };
    for nodes in [vec![node("SH"), node("BJ")], vec![node("GZ")]] {
        change(db, 1, async |tx| {
            let written = org_directories::replace(tx, nodes.clone(), now()).await?;
            assert_eq!(written.nodes, nodes);
            assert_eq!(org_directories::find(tx, scope(1)).await?, Some(written));
            Ok(())
        })
        .await;
    }
}

async fn a_cursor_of_another_list_is_refused(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let page = PageRequest {
        limit: 1,
        after: Some("com.hema.wms".to_owned()),
    };
    assert!(matches!(
        tenants::list(db, &page).await,
        Err(StorageError::BadCursor)
    ));
}
