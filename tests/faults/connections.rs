//! Connections to PostgreSQL: too few, exhausted, or to a server that is no longer the primary.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::api::harness::{CHUKU, TestApp, in_app, in_tenant, path_of, release_fields};
use slipway_test_support::cluster::Cluster;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::proxy::{Endpoint, Mode, Proxy};
use slipway_test_support::wait::until;

const WITHIN: Duration = Duration::from_secs(40);

/// Returns a URL of the database for a new role with this limit of connections.
async fn limited(database: &TestDatabase, connections: u32) -> String {
    let (address, host) = database.url.split_once('?').unwrap();
    let (_, name) = address.rsplit_once('/').unwrap();
    let role = format!("{name}_limited");
    let mut direct = PgConnection::connect(&database.url).await.unwrap();
    let sql = format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}; ALTER DATABASE {name} OWNER TO {role}; \
         GRANT ALL ON SCHEMA public TO {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut direct)
        .await
        .unwrap();
    format!("postgres://{role}@localhost/{name}?{host}")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_connections_what_is_acknowledged_is_served() {
    let database = TestDatabase::postgres().await;
    let url = limited(&database, 3).await;
    let app = TestApp::start_with(database, |config| config.database_url = Some(url)).await;
    let merchant = Arc::new(app.merchant().await);
    let released = merchant.published(CHUKU, 5).await;
    assert_eq!(merchant.offered(1).await, [5]);

    // More concurrent callers than connections.
    let mut callers = JoinSet::new();
    for number in 0..12 {
        let merchant = merchant.clone();
        callers.spawn(async move {
            let answer = merchant.create(&release_fields(CHUKU, 10 + number)).await;
            assert!([201, 503].contains(&answer.status), "{}", answer.text);
        });
    }
    until("the recall is acknowledged", WITHIN, async || {
        merchant.recall(&released, "stop").await.status == 200
    })
    .await;
    assert_eq!(merchant.offered(1).await, [0_i64; 0]);
    callers.join_all().await;
    until("every call is done again", WITHIN, async || {
        merchant.admin.get(&in_app("/releases")).await.status == 200
    })
    .await;
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_served_while_the_whole_pool_is_taken() {
    let app = TestApp::start_with(TestDatabase::postgres().await, |config| {
        config.database_connections = Some(2);
    })
    .await;
    let merchant = app.merchant().await;
    let released = merchant.published(CHUKU, 5).await;
    assert_eq!(merchant.offered(1).await, [5]);
    let (node, elsewhere) = app.at_another_node(&merchant.admin).await;

    let mut direct = PgConnection::connect(&app.database.url).await.unwrap();
    let lock = "BEGIN; LOCK TABLE api_tokens IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut direct).await.unwrap();
    let mut blocked = JoinSet::new();
    for _ in 0..8 {
        let admin = merchant.admin.clone();
        blocked.spawn(async move { admin.get(&in_tenant("/api-tokens")).await.status });
    }
    until("the pool is taken", WITHIN, async || {
        app.running.context.db().pool_status().waiting > 0
    })
    .await;
    let path = format!("{}/recall", path_of(&released));
    elsewhere
        .post(&path, &json!({"mode": "stop", "reason": "x"}))
        .await
        .expect(200);
    until("the recall is served here too", WITHIN, async || {
        merchant.offered(1).await.is_empty()
    })
    .await;
    sqlx::raw_sql("ROLLBACK").execute(&mut direct).await.unwrap();
    blocked.join_all().await;
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_follow_the_primary_among_several_hosts() {
    let mut cluster = Cluster::start().await;
    cluster.add_standby().await;
    let primary = Proxy::start(cluster.target.clone()).await;
    let standby = Endpoint::Socket(cluster.standby_socket());
    let standby = Proxy::start(Arc::new(Mutex::new(standby))).await;
    // The standby comes first in the list and must be skipped.
    let url = format!(
        "postgres://slipway@127.0.0.1:{},127.0.0.1:{}/slipway?target_session_attrs=read-write",
        standby.port, primary.port
    );
    let app = TestApp::start(TestDatabase::at(&url).await).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 5).await;
    until("the standby has it", WITHIN, async || {
        cluster.standby_has_caught_up().await
    })
    .await;

    primary.set(Mode::Refuse);
    cluster.fail_over().await;
    until("a write reaches the new primary", WITHIN, async || {
        merchant.create(&release_fields(CHUKU, 6)).await.status == 201
    })
    .await;
    assert_eq!(merchant.offered(1).await, [5]);
    let apps = merchant.admin.get(&in_tenant("/apps")).await.expect(200);
    assert_eq!(apps["items"].as_array().unwrap().len(), 1);
    app.running.stop().await.unwrap();
}
