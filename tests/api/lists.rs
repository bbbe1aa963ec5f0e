//! Lists: their order, their filters, and pages without repeated or missing items.

use serde_json::{Value, json};

use super::harness::{
    CHUKU, Merchant, PACKAGE, TENANT, TestApp, app_fields, every_item, in_app, in_tenant, release_fields,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn releases_are_listed_the_latest_made_first(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for version in [3, 1, 2] {
        merchant.draft(CHUKU, version).await;
    }
    assert_eq!(versions(&merchant, "?limit=2").await, [2, 1, 3]);
    let first = merchant.admin.get(&in_app("/releases")).await.expect(200);
    assert_eq!(first["next_cursor"], Value::Null);
}

async fn releases_are_filtered_by_identifier_and_state(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let published = merchant.published(CHUKU, 2).await;
    merchant.published(PACKAGE, 3).await;
    merchant.draft(PACKAGE, 4).await;
    let of_chuku = format!("?limit=1&identifier={CHUKU}");
    assert_eq!(versions(&merchant, &of_chuku).await, [2, 1]);
    assert_eq!(versions(&merchant, "?limit=1&state=published").await, [3, 2]);
    let both = format!("{of_chuku}&state=draft");
    assert_eq!(versions(&merchant, &both).await, [1]);
    assert_eq!(versions(&merchant, "?limit=1&identifier=unknown").await, [0; 0]);
    merchant.recall(&published, "stop").await.expect(200);
    assert_eq!(versions(&merchant, "?limit=1&state=recalled").await, [2]);
}

async fn a_wrong_query_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=!", "cursor"),
        ("cursor=eHg", "cursor"),
        ("state=gone", "state"),
        ("identifier=a%20b", "identifier"),
        ("stat=draft", "stat"),
    ] {
        let refused = merchant.admin.get(&in_app(&format!("/releases?{query}"))).await;
        assert_eq!(refused.wrong_fields(), [field], "{query}");
    }
}

async fn a_page_holds_fifty_unless_asked_otherwise_and_two_hundred_at_most(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    make_drafts(&merchant, 1..=230).await;
    let page = async |query: &str| merchant.admin.get(&in_app(&format!("/releases{query}"))).await;
    let length = |page: &Value| page["items"].as_array().unwrap().len();
    assert_eq!(length(&page("").await.expect(200)), 50);
    let first = page("?limit=200").await.expect(200);
    assert_eq!(length(&first), 200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = page(&format!("?limit=200&cursor={cursor}")).await.expect(200);
    assert_eq!(length(&last), 30);
    assert_eq!(last["next_cursor"], Value::Null);
    // A page that is exactly full is the last one.
    let full = page(&format!("?limit=30&cursor={cursor}")).await.expect(200);
    assert_eq!(full["next_cursor"], Value::Null);
}

async fn releases_made_while_the_list_is_read_neither_hide_nor_repeat_others(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    make_drafts(&merchant, 1..=210).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    let mut added = 1_000;
    loop {
        let page = in_app(&format!("/releases?limit=40{cursor}"));
        let page = merchant.admin.get(&page).await.expect(200);
        seen.extend(codes(page["items"].as_array().unwrap()));
        // A new item is created, and the item of the cursor is deleted.
        merchant.draft(CHUKU, added).await;
        added += 1;
        let last = page["items"].as_array().unwrap().last().unwrap();
        merchant.take(last, "discard", &json!({})).await.expect(200);
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<_> = (1..=210).rev().collect();
    assert_eq!(seen, expected);
}

async fn apps_that_come_and_go_while_the_list_is_read_do_not_disturb_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for number in 0..210 {
        let fields = app_fields(&format!("app.{number:03}"));
        admin.post(&in_tenant("/apps"), &fields).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut page = admin.get(&in_tenant("/apps?limit=70")).await.expect(200);
    loop {
        let items = page["items"].as_array().unwrap();
        seen.extend(
            items
                .iter()
                .map(|app| app["package_name"].as_str().unwrap().to_owned()),
        );
        let last = seen.last().unwrap();
        admin
            .delete(&in_tenant(&format!("/apps/{last}")))
            .await
            .expect(204);
        let behind = app_fields(&format!("a.behind.{}", seen.len()));
        admin.post(&in_tenant("/apps"), &behind).await.expect(201);
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        let path = in_tenant(&format!("/apps?limit=70&cursor={next}"));
        page = admin.get(&path).await.expect(200);
    }
    let expected: Vec<_> = (0..210).map(|number| format!("app.{number:03}")).collect();
    assert_eq!(seen, expected);
}

async fn a_cursor_means_the_same_each_time(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    make_drafts(&merchant, 1..=5).await;
    let first = merchant.admin.get(&in_app("/releases?limit=2")).await;
    let cursor = first.expect(200)["next_cursor"].as_str().unwrap().to_owned();
    let path = in_app(&format!("/releases?limit=2&cursor={cursor}"));
    let once = merchant.admin.get(&path).await;
    merchant.draft(CHUKU, 6).await;
    let again = merchant.admin.get(&path).await;
    assert_eq!(once.text, again.text);
    assert_eq!(codes(once.expect(200)["items"].as_array().unwrap()), [3, 2]);
}

async fn every_list_is_paged(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    merchant.draft(PACKAGE, 1).await;
    for (path, body) in [
        ("/api-tokens", json!({"name": "x", "role": "viewer"})),
        ("/device-keys", json!({"name": "x"})),
        ("/app-keys", json!({"name": "x", "role": "device"})),
    ] {
        for _ in 0..2 {
            merchant.admin.post(&in_tenant(path), &body).await.expect(201);
        }
    }
    for device in ["A", "B"] {
        let pin = json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": device, "mode": "hold",
            "reason": "x"});
        merchant.admin.put(&in_tenant("/pins"), &pin).await.expect(200);
    }
    app.user(&merchant.admin, TENANT, "viewer").await;
    merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields("another.app"))
        .await
        .expect(201);
    for list in [
        in_tenant("/api-tokens"),
        in_tenant("/device-keys"),
        in_tenant("/app-keys"),
        in_tenant("/users"),
        in_tenant("/apps"),
        in_tenant("/pins"),
        in_tenant("/audit"),
        in_app("/resources"),
        in_app("/releases"),
    ] {
        let whole = merchant.admin.get(&format!("{list}?limit=200")).await.expect(200);
        let in_pages = every_item(&merchant.admin, &format!("{list}?limit=1")).await;
        assert!(in_pages.len() >= 2, "{list}");
        assert_eq!(json!(in_pages), whole["items"], "{list}");
        let refused = merchant.admin.get(&format!("{list}?limit=201")).await;
        assert_eq!(refused.wrong_fields(), ["limit"], "{list}");
        let refused = merchant.admin.get(&format!("{list}?cursor=%21")).await;
        assert_eq!(refused.wrong_fields(), ["cursor"], "{list}");
    }
}

async fn make_drafts(merchant: &Merchant, versions: std::ops::RangeInclusive<i64>) {
    for version in versions {
        let made = merchant.create(&release_fields(CHUKU, version)).await;
        made.expect(201);
    }
}

async fn versions(merchant: &Merchant, query: &str) -> Vec<i64> {
    codes(&every_item(&merchant.admin, &in_app(&format!("/releases{query}"))).await)
}

fn codes(releases: &[Value]) -> Vec<i64> {
    releases
        .iter()
        .map(|release| release["version_code"].as_i64().unwrap())
        .collect()
}

on_both_databases!(
    releases_are_listed_the_latest_made_first,
    releases_are_filtered_by_identifier_and_state,
    a_wrong_query_is_refused,
    a_page_holds_fifty_unless_asked_otherwise_and_two_hundred_at_most,
    releases_made_while_the_list_is_read_neither_hide_nor_repeat_others,
    apps_that_come_and_go_while_the_list_is_read_do_not_disturb_it,
    a_cursor_means_the_same_each_time,
    every_list_is_paged,
);
