//! A node that follows a tenant of which a large number of apps changed at once.

use sea_orm::ConnectionTrait as _;
use slipway::live::Lookup;
use slipway::storage::apps;

use super::live_cases::Node;
use crate::storage::values::{app, change, now, prepare_tenant, scope};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(a_node_follows_however_many_apps_changed);

/// More conditions than SQLite accepts in one statement.
const APPS: usize = 1_100;

async fn a_node_follows_however_many_apps_changed(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    change(db, 1, async |tx| {
        for number in 0..APPS {
            apps::insert(tx, app(&format!("com.hema.a{number}")), now()).await?;
        }
        Ok(())
    })
    .await;
    let mut node = Node::start(&database);
    node.sync.load().await.unwrap();
    let raw = sea_orm::Database::connect(&database.url).await.unwrap();
    for statement in [
        "UPDATE apps SET app_name = 'Renamed', revision = revision + 1, head = 'another'",
        "UPDATE catalog_revisions SET revision = revision + 1, head = 'another'",
    ] {
        raw.execute_unprepared(statement).await.unwrap();
    }
    node.sync.load().await.unwrap();
    let Lookup::Found(served) = node.live.tenant(scope(1).tenant()) else {
        panic!("the tenant is served");
    };
    assert_eq!(served.revision.head, "another");
    let last = format!("com.hema.a{}", APPS - 1);
    assert!(served.app("com.hema.a0").is_some() && served.app(&last).is_some());
}
