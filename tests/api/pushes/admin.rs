//! Pushes over the admin API: accepted as a whole or not at all, listed, and read with the state of each target.

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use slipway::clock::Clock;
use slipway::storage::push_targets;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::Acknowledgement;
use slipway_domain::catalog::text::{DeviceId, PushDetail};

use crate::api::console::Browser;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp, every_item, in_tenant, push_fields, with};
use crate::api::operations::make_person;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_push_is_stored_and_read_back(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["B", "A"]).await;
    let fields = with(
        push_fields(&["B", "A", "B"]),
        json!({"trace_id": "build-7", "source_url": "http://"}),
    );
    let made = merchant.admin.post(&in_tenant("/pushes"), &fields).await;
    let etag = made.header("etag").to_owned();
    let push = made.expect(201);
    assert_eq!(push["created_at"], "2026-03-02T02:00:00Z");
    assert_eq!(push["expires_at"], "2026-03-02T02:10:00Z");
    assert!(push["origin"].as_str().unwrap().starts_with("user:"));
    assert_eq!(push["sender_name"], format!("admin-{TENANT}"));
    for (member, value) in [
        ("trace_id", "build-7"),
        ("action", "preview"),
        ("app_id", "111"),
        ("app_type", "tinyApp"),
        ("pack_url", "https://files.example/demo.amr"),
        ("source_url", "http://"),
    ] {
        assert_eq!(push[member], value, "{member}");
    }
    let target = |device_id: &str| {
        json!({"device_id": device_id, "project_id": "stores", "state": "queued", "sequence": 1, "channel": null,
            "deliveries": 0, "delivered_at": null, "received_at": null, "opened_at": null, "ended_at": null,
            "detail": null, "changed_at": "2026-03-02T02:00:00Z"})
    };
    assert_eq!(push["targets"], json!([target("A"), target("B")]));
    let path = in_tenant(&format!("/pushes/{}", push["id"].as_str().unwrap()));
    let read = merchant.admin.get(&path).await;
    assert_eq!(read.header("etag"), etag);
    assert_eq!(read.expect(200), push);

    let event = &merchant.audit().await[0];
    assert_eq!(
        (&event["action"], &event["object_id"]),
        (&json!("push.create"), &push["id"])
    );
    assert_eq!(event["after"]["targets"], 2);
    let metrics = app.anyone().get("/metrics").await.text;
    assert!(
        metrics.contains("slipway_pushes_accepted_total{api=\"admin\"}"),
        "{metrics}"
    );
    assert!(metrics.contains("slipway_push_targets_accepted_total{api=\"admin\"}"));
}

async fn only_previews_expire_soon(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.push_preview_lifetime_s = 60;
        config.push_lifetime_s = 3_600;
    })
    .await;
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    for (action, expires_at) in [
        ("preview", "2026-03-02T02:01:00Z"),
        ("install", "2026-03-02T03:00:00Z"),
    ] {
        let fields = with(push_fields(&["A"]), json!({"action": action}));
        let push = merchant
            .admin
            .post(&in_tenant("/pushes"), &fields)
            .await
            .expect(201);
        assert_eq!(push["expires_at"], expires_at);
    }
}

/// Devices that have only checked have no project yet.
async fn a_push_with_one_unknown_device_is_not_taken_at_all(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    merchant.offers(&json!({})).await;
    let devices = in_tenant("/devices");
    merchant
        .admin
        .get_once(&devices, |list| list["items"].as_array().unwrap().len() == 2)
        .await;
    let refused = merchant
        .admin
        .post(&in_tenant("/pushes"), &push_fields(&["A", "PDA001"]))
        .await;
    let problem = refused.problem(400, "invalid_parameter");
    assert_eq!(problem["errors"][0]["field"], "target_info[1].hardware_id");
    assert!(
        problem["detail"].as_str().unwrap().contains("PDA001"),
        "{problem}"
    );
    assert_eq!(
        every_item(&merchant.admin, &in_tenant("/pushes?limit=9")).await,
        [json!(null); 0]
    );
    // The sequence was not advanced either.
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &push_fields(&["A"]))
        .await
        .expect(201);
    assert_eq!(push["targets"][0]["sequence"], 1);
    merchant.know(&["PDA001"]).await;
    let push = push_fields(&["A", "PDA001"]);
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &push)
        .await
        .expect(201);
    assert_eq!(push["targets"][0]["sequence"], 2);
    assert_eq!(push["targets"][1]["sequence"], 1);
}

async fn pushes_are_listed_the_latest_first_and_found_by_trace_id(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A", "B"]).await;
    for trace_id in ["one", "two", "one"] {
        // Different content makes it a different push.
        let fields = json!({"trace_id": trace_id, "action": merchant.audit().await.len().to_string()});
        let fields = with(push_fields(&["A", "B"]), fields);
        merchant
            .admin
            .post(&in_tenant("/pushes"), &fields)
            .await
            .expect(201);
    }
    let trace_ids = async |query: &str| -> Vec<Value> {
        let items = every_item(&merchant.admin, &in_tenant(&format!("/pushes?limit=2{query}"))).await;
        items.into_iter().map(|push| push["trace_id"].clone()).collect()
    };
    assert_eq!(trace_ids("").await, ["one", "two", "one"]);
    assert_eq!(trace_ids("&trace_id=one").await, ["one", "one"]);
    assert_eq!(trace_ids("&trace_id=three").await, [json!(null); 0]);

    let newest = &merchant.admin.get(&in_tenant("/pushes")).await.expect(200)["items"][0];
    acknowledge(&app, newest, "A").await;
    let newest = &merchant.admin.get(&in_tenant("/pushes")).await.expect(200)["items"][0];
    let counts = json!({"queued": 1, "delivered": 0, "received": 1, "opened": 0, "applied": 0, "failed": 0,
        "expired": 0, "withdrawn": 0});
    assert_eq!(newest["target_counts"], counts);
    assert_eq!(newest["targets"], Value::Null);
    let path = in_tenant(&format!("/pushes/{}", newest["id"].as_str().unwrap()));
    let target = &merchant.admin.get(&path).await.expect(200)["targets"][0];
    assert_eq!(
        (&target["state"], &target["detail"]),
        (&json!("received"), &json!("it is here"))
    );
    assert_eq!(target["received_at"], "2026-03-02T02:00:05Z");
}

/// Acknowledges like the device itself.
async fn acknowledge(app: &TestApp, push: &Value, device_id: &str) {
    let id: PushId = push["id"].as_str().unwrap().parse().unwrap();
    let scope = slipway_domain::access::TenantScope::internal(
        slipway_domain::catalog::ids::TenantId::parse(TENANT).unwrap(),
    );
    let device = DeviceId::parse(device_id).unwrap();
    let detail = Some(PushDetail::parse("it is here").unwrap());
    let tx = app.database.db.begin().await.unwrap();
    let at = app.clock.now() + TimeDelta::seconds(5);
    let said = Acknowledgement::Received;
    push_targets::acknowledge(&tx, scope, &device, id, said, detail, at)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn a_tenant_says_which_schemes_its_pushes_may_have(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let platform = app.platform_admin().await;
    merchant.know(&["A"]).await;
    let push = async |pack_url: &str, source_url: Option<&str>| {
        let info = json!({"app_id": "111", "app_type": "tinyApp", "pack_url": pack_url});
        let fields = json!({"package_push_info": info, "source_url": source_url});
        let answer = merchant
            .admin
            .post(&in_tenant("/pushes"), &with(push_fields(&["A"]), fields))
            .await;
        if answer.status == 201 {
            Vec::new()
        } else {
            answer.wrong_fields()
        }
    };
    let tenant = platform.get(&in_tenant("")).await.expect(200);
    assert_eq!(tenant["push_url_schemes"], Value::Null);
    assert_eq!(push("alipays://x", Some("http://y")).await, [""; 0]);
    assert_eq!(push("JavaScript:x", None).await, ["package_push_info.pack_url"]);

    let schemes = json!({"push_url_schemes": ["HTTPS", "file", "https"]});
    let tenant = platform.patch(&in_tenant(""), &schemes).await.expect(200);
    assert_eq!(tenant["push_url_schemes"], json!(["file", "https"]));
    assert_eq!(push("file:///x", Some("Https://y")).await, [""; 0]);
    assert_eq!(push("alipays://x", None).await, ["package_push_info.pack_url"]);
    assert_eq!(push("https://x", Some("y")).await, ["source_url"]);
    // Omitted members keep their values.
    let renamed = platform
        .patch(&in_tenant(""), &json!({"name": "Hema"}))
        .await
        .expect(200);
    assert_eq!(renamed["push_url_schemes"], json!(["file", "https"]));

    let any = json!({"push_url_schemes": null});
    let tenant = platform.patch(&in_tenant(""), &any).await.expect(200);
    assert_eq!(tenant["push_url_schemes"], Value::Null);
    assert_eq!(push("alipays://x", None).await, [""; 0]);
    assert_eq!(push("file:///x", None).await, ["package_push_info.pack_url"]);
}

async fn a_push_names_its_sender_after_the_sender_is_gone(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    make_person(&merchant.admin, TENANT, "li.na", "publisher").await;
    let li_na = app.login("li.na", PASSWORD).await;
    let user = li_na.get("/api/v1/me").await.expect(200)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let pushes = in_tenant("/pushes");
    let push = li_na.post(&pushes, &push_fields(&["A"])).await.expect(201);
    let token = app.pipeline(&merchant.admin, "publisher").await;
    let other = with(push_fields(&["A"]), json!({"trace_id": "ci"}));
    token.post(&pushes, &other).await.expect(201);
    let path = in_tenant(&format!("/users/{user}"));
    merchant.admin.delete(&path).await.expect(204);

    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let console = format!("/console/tenants/{TENANT}/pushes");
    let list = browser.get(&console).await.text;
    assert!(
        list.contains("<td>li.na</td>") && list.contains("<td>ci</td>"),
        "{list}"
    );
    let path = format!("{console}/{}", push["id"].as_str().unwrap());
    let page = browser.get(&path).await.text;
    let sender = format!("<dd>li.na <code class=\"quiet\">user:{user}</code></dd>");
    assert!(page.contains(&sender), "{page}");

    // Nodes of the previous version store no name.
    let connection = Database::connect(&app.database.url).await.unwrap();
    let statement = "UPDATE pushes SET sender_name = NULL";
    connection.execute_unprepared(statement).await.unwrap();
    connection.close().await.unwrap();
    let page = browser.get(&path).await.text;
    assert!(page.contains(&format!("<dd>user:{user}</dd>")), "{page}");
}

on_both_databases!(
    a_push_names_its_sender_after_the_sender_is_gone,
    a_push_is_stored_and_read_back,
    only_previews_expire_soon,
    a_push_with_one_unknown_device_is_not_taken_at_all,
    pushes_are_listed_the_latest_first_and_found_by_trace_id,
    a_tenant_says_which_schemes_its_pushes_may_have,
);
