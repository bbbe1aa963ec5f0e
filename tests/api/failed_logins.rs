//! Failed logins and calls, in the log and in the audit.

use reqwest::Client;
use serde_json::{Value, json};

use super::harness::{ADMIN, Caller, PASSWORD, TENANT, TestApp, in_tenant};
use super::two_nodes::node::Node;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// A password typed into the wrong field.
const TYPED_PASSWORD: &str = "Correct Horse Battery 1!";

async fn fail(app: &TestApp, username: &str, password: &str) {
    let login = json!({"username": username, "password": password});
    let answer = app.anyone().post("/api/v1/auth/login", &login).await;
    answer.problem(401, "unauthenticated");
}

async fn failures(reader: &Caller, path: &str) -> Vec<Value> {
    let audit = reader.get(path).await.expect(200);
    let events = audit["items"].as_array().unwrap();
    events
        .iter()
        .filter(|event| event["action"] == "user.login_failed")
        .cloned()
        .collect()
}

async fn a_failed_login_is_audited_where_the_account_belongs(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let admin = app.tenant_admin(TENANT).await;
    let person = json!({"username": "li.na", "password": PASSWORD, "role": "viewer"});
    admin.post(&in_tenant("/users"), &person).await.expect(201);

    for _ in 0..5 {
        fail(&app, "Li.Na", "wrong password").await;
        fail(&app, ADMIN, "wrong password").await;
        fail(&app, "nobody", "wrong password").await;
        fail(&app, TYPED_PASSWORD, "").await;
        fail(&app, &"x".repeat(10_000), "").await;
    }
    let of_tenant = failures(&admin, &in_tenant("/audit")).await;
    assert_eq!(of_tenant.len(), 1, "the first of several is audited");
    assert_eq!(of_tenant[0]["after"]["username"], "li.na");
    assert_eq!(of_tenant[0]["after"]["address"], "127.0.0.1");
    assert_eq!(of_tenant[0]["after"]["reason"], "wrong_password");

    let of_platform = failures(&platform, "/api/v1/audit?limit=200").await;
    let names: Vec<_> = of_platform
        .iter()
        .map(|event| event["after"]["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["(not a username)", "nobody", ADMIN]);
    let text = json!(of_platform).to_string();
    assert!(!text.contains("Horse") && !text.contains("horse") && !text.contains("xxx"));
}

async fn unknown_accounts_do_not_fill_the_audit(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    for number in 0..40 {
        fail(&app, &format!("nobody{number}"), "wrong password").await;
    }
    let audited = failures(&platform, "/api/v1/audit?limit=200").await.len();
    assert!((1..=20).contains(&audited), "{audited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_who_failed_and_who_called() {
    let database = TestDatabase::postgres().await;
    let mut node = Node::start(&database.url);
    let login = json!({"username": ADMIN, "password": "wrong password"});
    node.post("/api/v1/auth/login", &login).await.expect(401);
    let failed = node.log_line("a login failed");
    assert_eq!(failed["level"], "WARN");
    assert_eq!(failed["fields"]["account"], ADMIN);
    assert_eq!(failed["fields"]["address"], "127.0.0.1");
    let login = json!({"username": TYPED_PASSWORD, "password": ""});
    node.post("/api/v1/auth/login", &login).await.expect(401);
    let failed = node.log_line("a login failed");
    assert!(!failed.to_string().to_lowercase().contains("horse"), "{failed}");

    node.sign_in(ADMIN, PASSWORD).await;
    let tenant = json!({"id": TENANT, "name": "A tenant"});
    node.post("/api/v1/tenants", &tenant).await.expect(201);
    let path = format!("{}/api/v1/tenants/{TENANT}/audit", node.url());
    let request = Client::new()
        .get(path)
        .bearer_auth(node.token.as_deref().unwrap())
        .header(
            "user-agent",
            reqwest::header::HeaderValue::from_bytes(b"agent\xff\t1").unwrap(),
        );
    assert_eq!(request.send().await.unwrap().status(), 200);
    let answered = node.log_line("/audit");
    let fields = &answered["fields"];
    assert!(
        fields["principal"].as_str().unwrap().starts_with("user:"),
        "{fields}"
    );
    assert_eq!(fields["principal_name"], ADMIN);
    assert_eq!(fields["tenant"], TENANT);
    assert_eq!(fields["address"], "127.0.0.1");
    assert_eq!(fields["user_agent"], "agent\u{fffd}\\u{9}1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_password_of_the_first_administrator_is_reported() {
    let database = TestDatabase::postgres().await;
    drop(Node::start(&database.url));
    let (again, log) = Node::start_and_read(&database.url);
    assert!(
        log.iter()
            .any(|line| line.contains("SLIPWAY_ADMIN_PASSWORD is ignored")),
        "{log:#?}"
    );
    drop(again);
}

on_both_databases! {
    a_failed_login_is_audited_where_the_account_belongs,
    unknown_accounts_do_not_fill_the_audit,
}
