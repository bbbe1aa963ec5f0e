//! The platform's administrators and tokens over the API.

use futures_util::future::join;
use serde_json::{Value, json};

use super::harness::{ADMIN, Caller, PASSWORD, TENANT, TestApp, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const USERS: &str = "/api/v1/users";
/// Number of rounds of a race.
const ROUNDS: usize = 8;

/// Creates an administrator and returns the path of the item.
async fn make(platform: &Caller, username: &str) -> String {
    let body = json!({"username": username, "password": PASSWORD});
    let made = platform.post(USERS, &body).await.expect(201);
    format!("{USERS}/{}", made["id"].as_str().unwrap())
}

async fn own_path(caller: &Caller) -> String {
    let me = caller.get("/api/v1/me").await.expect(200);
    format!("{USERS}/{}", me["id"].as_str().unwrap())
}

async fn an_administrator_is_created_used_and_deleted(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let path = make(&platform, "Li.Na").await;
    let shown = platform.get(&path).await.expect(200);
    assert_eq!(shown["username"], "li.na");
    assert_eq!(shown["role"], "platform_admin");
    assert_eq!(every_item(&platform, USERS).await.len(), 2);

    let second = app.login("li.na", PASSWORD).await;
    second.get("/api/v1/tenants").await.expect(200);
    let taken = json!({"username": "li.na", "password": PASSWORD});
    platform.post(USERS, &taken).await.problem(409, "already_exists");

    // A change ends the sessions at once.
    let password = json!({"password": "another long password"});
    platform.patch(&path, &password).await.expect(200);
    second
        .get("/api/v1/tenants")
        .await
        .problem(401, "unauthenticated");
    let second = app.login("li.na", "another long password").await;
    platform
        .patch(&path, &json!({"enabled": false}))
        .await
        .expect(200);
    second
        .get("/api/v1/tenants")
        .await
        .problem(401, "unauthenticated");
    platform.patch(&path, &json!({"enabled": true})).await.expect(200);
    let second = app.login("li.na", "another long password").await;
    platform.delete(&path).await.expect(204);
    second
        .get("/api/v1/tenants")
        .await
        .problem(401, "unauthenticated");
    platform.get(&path).await.problem(404, "not_found");

    let audit = platform.get("/api/v1/audit").await.expect(200);
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    let expected = [
        "user.delete",
        "user.update",
        "user.update",
        "user.set_password",
        "user.create",
    ];
    assert_eq!(actions, expected);
    assert!(!audit.to_string().contains("another long password"));
}

async fn the_last_enabled_administrator_stays(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let own = own_path(&platform).await;
    let other = make(&platform, "li.na").await;
    platform
        .patch(&other, &json!({"enabled": false}))
        .await
        .expect(200);
    // A disabled administrator does not count.
    for refused in [
        platform.patch(&own, &json!({"enabled": false})).await,
        platform.delete(&own).await,
    ] {
        let problem = refused.problem(409, "wrong_state");
        assert!(
            problem["detail"].as_str().unwrap().contains("last enabled"),
            "{problem}"
        );
    }
    for role in ["admin", "viewer"] {
        let demoted = platform.patch(&own, &json!({"role": role})).await;
        assert_eq!(demoted.wrong_fields(), ["role"]);
    }
    platform
        .patch(&other, &json!({"enabled": true}))
        .await
        .expect(200);
    platform.patch(&own, &json!({"enabled": false})).await.expect(200);
    let left = app.login("li.na", PASSWORD).await;
    left.delete(&own).await.expect(204);
    left.delete(&other).await.problem(409, "wrong_state");
}

async fn a_tenants_people_are_not_the_platforms(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let admin = app.tenant_admin(TENANT).await;
    let me = admin.get("/api/v1/me").await.expect(200);
    let path = format!("{USERS}/{}", me["id"].as_str().unwrap());
    // The platform's path does not show a tenant's person.
    platform.get(&path).await.problem(404, "not_found");
    platform.delete(&path).await.problem(404, "not_found");
    let change = json!({"enabled": false});
    platform.patch(&path, &change).await.problem(404, "not_found");
    let own = own_path(&platform).await;
    let in_tenant = in_tenant(&own.replace("/api/v1", ""));
    platform.get(&in_tenant).await.problem(404, "not_found");
    platform.delete(&in_tenant).await.problem(404, "not_found");
    admin.get("/api/v1/audit").await.problem(403, "permission_denied");
}

async fn a_platform_token_administers_the_platform(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let made = platform
        .post("/api/v1/api-tokens", &json!({"name": "terraform"}))
        .await;
    let made = made.expect(201);
    assert_eq!(made["role"], "platform_admin");
    let token = app.bearer(made["token"].as_str().unwrap());
    let tenant = json!({"id": TENANT, "name": "A tenant"});
    token.post("/api/v1/tenants", &tenant).await.expect(201);
    token.get(&in_tenant("/audit")).await.expect(200);
    let me = token.get("/api/v1/me").await.expect(200);
    assert_eq!(
        (&me["kind"], &me["role"]),
        (&json!("api_token"), &json!("platform_admin"))
    );
    // A token is not a person, so the last administrator still cannot be removed.
    let own = own_path(&platform).await;
    token.delete(&own).await.problem(409, "wrong_state");
    let path = format!("/api/v1/api-tokens/{}", made["id"].as_str().unwrap());
    platform.delete(&path).await.expect(204);
    token.get("/api/v1/me").await.problem(401, "unauthenticated");
}

async fn of_two_who_disable_each_other_one_stays(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut first = app.platform_admin().await;
    let mut paths = (own_path(&first).await, make(&first, "second").await);
    let mut names = (ADMIN, "second");
    for round in 0..ROUNDS {
        let second = app.login(names.1, PASSWORD).await;
        let act = async |caller: &Caller, path: &str| {
            if round % 2 == 0 {
                caller.patch(path, &json!({"enabled": false})).await.status
            } else {
                caller.delete(path).await.status
            }
        };
        let statuses = join(act(&first, &paths.1), act(&second, &paths.0)).await;
        let succeeded = |status: u16| status == 200 || status == 204;
        // The later request gets 401 (session already ended) or 409 (last administrator).
        assert!(succeeded(statuses.0) != succeeded(statuses.1), "{statuses:?}");
        if !succeeded(statuses.0) {
            names = (names.1, names.0);
            paths = (paths.1, paths.0);
        }
        first = app.login(names.0, PASSWORD).await;
        let enabled: Vec<Value> = every_item(&first, USERS)
            .await
            .into_iter()
            .filter(|administrator| administrator["enabled"] == true)
            .collect();
        assert_eq!(enabled.len(), 1);
        if round % 2 == 0 {
            first.patch(&paths.1, &json!({"enabled": true})).await.expect(200);
        } else {
            paths.1 = make(&first, names.1).await;
        }
    }
}

on_both_databases! {
    an_administrator_is_created_used_and_deleted,
    the_last_enabled_administrator_stays,
    a_tenants_people_are_not_the_platforms,
    a_platform_token_administers_the_platform,
    of_two_who_disable_each_other_one_stays,
}
