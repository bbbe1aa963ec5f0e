//! The org directory: a tenant's list of org nodes, written and read as a whole.

use serde_json::{Value, json};

use super::harness::{CHUKU, Merchant, TestApp, check_fields, in_tenant, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_directory_is_empty_until_it_is_written(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let read = merchant.admin.get(&path()).await;
    let etag = read.header("etag").to_owned();
    assert_eq!(read.expect(200), json!({"nodes": []}));
    let again = merchant.admin.get(&path()).await;
    assert_eq!(again.header("etag"), etag);
}

async fn a_directory_is_replaced_whole(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let first = json!({"nodes": [
        {"path": ["HM", "HM-SH", "8007"], "name": "Nanjing Road", "time_zone": "Asia/Shanghai"},
        {"path": ["HM"]},
    ]});
    let written = merchant.admin.put(&path(), &first).await;
    let etag = written.header("etag").to_owned();
    assert_eq!(nodes(&written.expect(200)), nodes(&first));
    let read = merchant.admin.get(&path()).await;
    assert_eq!(read.header("etag"), etag);
    assert_eq!(nodes(&read.expect(200)), nodes(&first));

    let second = json!({"nodes": [{"path": ["HM", "HM-BJ", "9001"]}]});
    merchant.admin.put(&path(), &second).await.expect(200);
    let read = merchant.admin.get(&path()).await.expect(200);
    assert_eq!(nodes(&read), nodes(&second));
    merchant
        .admin
        .put(&path(), &json!({"nodes": []}))
        .await
        .expect(200);
    let read = merchant.admin.get(&path()).await.expect(200);
    assert_eq!(read, json!({"nodes": []}));
}

async fn the_same_directory_again_changes_nothing(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let directory = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"], "name": "Nanjing Road"}]});
    let first = merchant.admin.put(&path(), &directory).await;
    let again = merchant.admin.put(&path(), &directory).await;
    assert!(!first.header("slipway-revision").is_empty());
    assert_eq!(again.header("slipway-revision"), first.header("slipway-revision"));
    assert_eq!(again.header("etag"), first.header("etag"));
}

async fn a_device_that_sends_only_its_store_is_completed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let only_shanghai = json!({"org_scopes": [{"l1Code": "HM", "l2Code": "HM-SH"}]});
    merchant.published_with(CHUKU, 240, only_shanghai).await;
    assert_eq!(offers_in_store(&merchant, "8007").await, 0);

    let write = async |nodes: Value| {
        let directory = json!({"nodes": nodes});
        merchant.admin.put(&path(), &directory).await.expect(200);
    };
    write(json!([{"path": ["HM", "HM-SH", "8007"]}, {"path": ["HM", "HM-BJ", "9001"]}])).await;
    assert_eq!(offers_in_store(&merchant, "8007").await, 1);
    assert_eq!(offers_in_store(&merchant, "9001").await, 0);
    // A code that two stores share completes no path.
    write(json!([{"path": ["HM", "HM-SH", "8007"]}, {"path": ["HM", "HM-BJ", "8007"]}])).await;
    assert_eq!(offers_in_store(&merchant, "8007").await, 0);
}

async fn wrong_nodes_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let write = async |body: Value| merchant.admin.put(&path(), &body).await.wrong_fields();
    assert_eq!(write(json!({})).await, ["nodes"]);
    let nodes = json!({"nodes": [
        {"path": []},
        {"path": ["a", "b", "c", "d", "e", "f"]},
        {"name": "no path"},
        {"path": ["a", " "]},
        {"path": ["a"], "time_zone": "Shanghai", "name": ""},
        {"path": ["ok"]},
    ]});
    assert_eq!(
        write(nodes).await,
        [
            "nodes[0].path",
            "nodes[1].path",
            "nodes[2].path",
            "nodes[3].path",
            "nodes[4].name",
            "nodes[4].time_zone"
        ]
    );
    let twice = json!({"nodes": [{"path": ["a"]}, {"path": ["a"], "name": "again"}]});
    assert_eq!(write(twice).await, ["nodes[1].path"]);
    let unknown = json!({"nodes": [{"path": ["a"], "city": "x"}]});
    assert_eq!(write(unknown).await, ["nodes[0].city"]);
    let read = merchant.admin.get(&path()).await.expect(200);
    assert_eq!(read, json!({"nodes": []}));
}

async fn a_directory_may_be_far_larger_than_other_bodies(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let store = |number: i32| {
        json!({"path": ["HM", format!("region {}", number / 100), number.to_string()],
        "name": format!("a store with a rather long name, number {number}")})
    };
    let many: Vec<_> = (0..20_000).map(store).collect();
    let directory = json!({"nodes": many});
    assert!(directory.to_string().len() > 1_048_576);
    merchant.admin.put(&path(), &directory).await.expect(200);
    let read = merchant.admin.get(&path()).await.expect(200);
    assert_eq!(read["nodes"].as_array().unwrap().len(), 20_000);

    let too_long = json!({"nodes": "x".repeat(17 * 1_048_576)});
    let refused = merchant.admin.put(&path(), &too_long).await;
    refused.problem(413, "too_large");
}

fn path() -> String {
    in_tenant("/org-directory")
}

/// Returns the nodes without absent members.
fn nodes(directory: &Value) -> Vec<Value> {
    let mut nodes = directory["nodes"].as_array().unwrap().clone();
    for node in &mut nodes {
        node.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    nodes
}

async fn offers_in_store(merchant: &Merchant, code: &str) -> usize {
    let check = with(check_fields(), json!({"org_info": {"l3Code": code}}));
    let answer = merchant.device.post("/v1/check", &check).await.expect(200);
    answer["data"].as_array().unwrap().len()
}

on_both_databases!(
    a_directory_is_empty_until_it_is_written,
    a_directory_is_replaced_whole,
    the_same_directory_again_changes_nothing,
    a_device_that_sends_only_its_store_is_completed,
    wrong_nodes_are_all_named,
    a_directory_may_be_far_larger_than_other_bodies,
);
