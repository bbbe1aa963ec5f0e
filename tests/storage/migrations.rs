//! Applying and reverting the schema's migrations.

use slipway::storage::{Durability, StorageError, connect, tenants};

use super::values::{prepare_tenant, tenant};
use crate::api::harness::DEADLINE;
use slipway_domain::catalog::page::PageRequest;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

on_both_databases!(
    the_schema_goes_up_down_and_up_again,
    nodes_that_start_together_migrate_once,
    a_newer_schema_is_refused,
    the_database_answers_a_ping,
);

#[tokio::test]
async fn an_unreadable_url_is_refused_without_repeating_it() {
    for url in [
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@a b/d",
        "postgres://u:hunter2@h:port/d",
    ] {
        let refusal = connect(url, Durability::Full).await.unwrap_err();
        assert!(matches!(refusal, StorageError::Other(_)), "{refusal:?}");
        assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let db = connect("postgres://u@127.0.0.1:1/d", Durability::Full)
        .await
        .unwrap();
    let refusal = db.ping().await.unwrap_err();
    assert!(matches!(refusal, StorageError::Unavailable(_)), "{refusal:?}");
}

async fn the_schema_goes_up_down_and_up_again(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    db.rollback_all().await.unwrap();
    assert!(tenants::list(db, &PageRequest::first(1)).await.is_err());
    prepare_tenant(db, 2).await;
    let page = tenants::list(db, &PageRequest::first(9)).await.unwrap();
    let found: Vec<_> = page.items.into_iter().map(|stored| stored.value).collect();
    assert_eq!(found, [tenant(2)]);
}

async fn nodes_that_start_together_migrate_once(database: TestDatabase) {
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = database.url.clone();
        nodes.spawn(async move {
            let db = connect(&url, Durability::Full).await?;
            db.migrate().await
        });
    }
    for outcome in nodes.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(tenants::find(&database.db, tenant(1).id).await.unwrap(), None);
}

/// A node of the older version writes in another order of tables than a migration locks them.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_the_victim_of_a_deadlock_is_repeated() {
    use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, Statement};
    let database = TestDatabase::postgres().await;
    database.db.migrate().await.unwrap();
    let one = ConnectOptions::new(database.url.clone())
        .max_connections(1)
        .to_owned();
    let other = Database::connect(one.clone()).await.unwrap();
    let observer = Database::connect(one).await.unwrap();
    let down = include_str!("../../migration/src/m0015_device_counts/postgres_down.sql");
    for statement in [
        down,
        "DELETE FROM seaql_migrations WHERE version = 'm0015_device_counts'",
        // The check for deadlocks of the migration finds this one.
        "SET deadlock_timeout = '60s'",
        "BEGIN; LOCK TABLE device_installs IN ROW EXCLUSIVE MODE",
    ] {
        other.execute_unprepared(statement).await.unwrap();
    }
    let node = database.another_node().await;
    let migration = tokio::spawn(async move { node.migrate().await });
    until("the migration waits", DEADLINE, async || {
        let waits =
            "SELECT 1 AS it FROM pg_locks WHERE NOT granted AND relation = 'device_installs'::regclass";
        let statement = Statement::from_string(observer.get_database_backend(), waits);
        observer.query_one_raw(statement).await.unwrap().is_some()
    })
    .await;
    let rest = "LOCK TABLE devices IN ROW EXCLUSIVE MODE; COMMIT";
    other.execute_unprepared(rest).await.unwrap();
    migration.await.unwrap().unwrap();
    let counts = "SELECT count(*) FROM install_counts";
    observer.execute_unprepared(counts).await.unwrap();
}

async fn a_newer_schema_is_refused(database: TestDatabase) {
    database.db.migrate().await.unwrap();
    note_a_migration(&database.url, "m9999_from_the_future").await;
    let refusal = database.another_node().await.migrate().await.unwrap_err();
    assert!(matches!(&refusal, StorageError::NewerSchema(names) if names == "m9999_from_the_future"));
    assert!(refusal.to_string().contains("run the newer version"), "{refusal}");
}

async fn the_database_answers_a_ping(database: TestDatabase) {
    database.db.ping().await.unwrap();
}

/// Records a migration as applied, in the table of sea-orm.
async fn note_a_migration(url: &str, name: &str) {
    use sea_orm::ConnectionTrait;
    let connection = sea_orm::Database::connect(url).await.unwrap();
    let statement = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
    connection.execute_unprepared(&statement).await.unwrap();
}
