//! Isolation of tenants: another tenant's object is answered byte for byte like a nonexistent one.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::described_operations::{DescribedOperation, described, with_descriptions};
use super::dump::dump;
use super::harness::{Answer, Caller, TestApp, push_fields};
use super::operations::{Objects, Operation, api_token, call, operations};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const A: i64 = 10_000_000;
const B: i64 = 20_000_000;
/// Number of a nonexistent tenant.
const NOBODYS: i64 = 30_000_000;
/// Nonexistent id.
const NO_ID: &str = "00000000-0000-4000-8000-000000000000";
const NO_NAME: &str = "com.example.absent";

/// Operations without a tenant in their path, and the reason why each shows no other tenant.
/// `a_tenants_people_learn_nothing_from_the_platforms_operations` and the tests below it cover the details.
const WITHOUT_A_TENANT: [(&str, &str); 30] = [
    ("login", "tells nobody which usernames there are"),
    ("refresh", "takes a refresh token and nothing else"),
    ("logout", "ends the caller's own session"),
    ("get_me", "shows the caller"),
    ("change_password", "changes the caller's own password"),
    ("create_administrator", "is 403 for a tenant's people"),
    ("list_administrators", "is 403 for a tenant's people"),
    ("get_administrator", "is 403 for a tenant's people"),
    ("update_administrator", "is 403 for a tenant's people"),
    ("delete_administrator", "is 403 for a tenant's people"),
    ("create_platform_token", "is 403 for a tenant's people"),
    ("list_platform_tokens", "is 403 for a tenant's people"),
    ("get_platform_token", "is 403 for a tenant's people"),
    ("delete_platform_token", "is 403 for a tenant's people"),
    ("list_platform_audit", "is 403 for a tenant's people"),
    ("list_tenants", "is 403 for a tenant's people"),
    (
        "create_tenant",
        "is 403 for a tenant's people, whether the number is taken or free",
    ),
    (
        "check",
        "takes the tenant from the key; a claim to another is 403",
    ),
    (
        "check_again",
        "is the check, and takes the tenant from the key too",
    ),
    (
        "enrol_device",
        "takes the tenant from the key, or from the device's own token",
    ),
    ("receive_events", "takes the device's own token alone"),
    ("poll_pushes", "takes the device's own token alone"),
    ("acknowledge_push", "takes the device's own token alone"),
    ("download_artifact", "takes the key of a link and nothing else"),
    ("get_download_page", "takes the key of a link and nothing else"),
    ("get_download_qr_svg", "takes the key of a link and nothing else"),
    ("get_download_qr_png", "takes the key of a link and nothing else"),
    ("get_health", "is for anybody and knows no tenants"),
    ("get_readiness", "is for anybody and counts"),
    ("get_metrics", "is for anybody and counts"),
];

/// Two tenants, each with one object of every kind.
struct TwoTenants {
    app: TestApp,
    platform: Caller,
    a: Objects,
    admin_of_a: Caller,
    b: Objects,
    admin_of_b: Caller,
}

impl TwoTenants {
    async fn make(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let (admin_of_a, admin_of_b) = (app.tenant_admin(A).await, app.tenant_admin(B).await);
        Self {
            platform: app.platform_admin().await,
            a: Objects::make(&app, &admin_of_a, A, 1).await,
            b: Objects::make(&app, &admin_of_b, B, 2).await,
            admin_of_a,
            admin_of_b,
            app,
        }
    }

    async fn dump(&self) -> (Value, Value) {
        (dump(&self.platform, A).await, dump(&self.platform, B).await)
    }

    /// Returns the operations with a tenant in their path, on A's objects.
    fn operations_on_a(&self) -> impl Iterator<Item = (Operation, DescribedOperation)> {
        with_descriptions(operations(&self.a))
            .into_iter()
            .filter(|(_, described)| names_a_tenant(described))
    }
}

async fn another_tenant_looks_like_one_that_is_not_there(database: TestDatabase) {
    let tenants = TwoTenants::make(database).await;
    let strangers = [
        ("B's administrator", tenants.admin_of_b.clone()),
        (
            "B's publisher token",
            api_token(&tenants.app, &tenants.admin_of_b, B, "publisher").await,
        ),
        (
            "B's viewer",
            tenants.app.user(&tenants.admin_of_b, B, "viewer").await,
        ),
    ];
    let before = tenants.dump().await;
    for (operation, _) in tenants.operations_on_a() {
        let nowhere = Operation {
            path: operation.path.replacen(&A.to_string(), &NOBODYS.to_string(), 1),
            ..operation.clone()
        };
        for (name, stranger) in &strangers {
            let context = format!("{} by {name}", operation.id);
            let (there, absent) = (call(stranger, &operation).await, call(stranger, &nowhere).await);
            assert_not_there(&there, &absent, &context);
        }
    }
    assert_eq!(tenants.dump().await, before);
}

async fn another_tenants_objects_look_like_none_at_all(database: TestDatabase) {
    let tenants = TwoTenants::make(database).await;
    let before = tenants.dump().await;
    let of_b: BTreeMap<_, _> = operations(&tenants.b)
        .into_iter()
        .map(|operation| (operation.id, operation.path))
        .collect();
    let mut tried = 0;
    for (operation, described) in tenants.operations_on_a() {
        let pieces: Vec<_> = operation.path.split('/').collect();
        let pieces_of_b: Vec<_> = of_b[operation.id].split('/').collect();
        // The first placeholder is the tenant.
        for &index in &described.placeholders()[1..] {
            let absent = if pieces[index].len() == NO_ID.len() && !pieces[index].contains('.') {
                NO_ID
            } else {
                NO_NAME
            };
            let with = |piece| Operation {
                path: replaced(&pieces, index, piece),
                ..operation.clone()
            };
            let of_b = call(&tenants.admin_of_a, &with(pieces_of_b[index])).await;
            let of_nobody = call(&tenants.admin_of_a, &with(absent)).await;
            let context = format!("{} with B's {}", operation.id, pieces_of_b[index]);
            assert_not_there(&of_b, &of_nobody, &context);
            tried += 1;
        }
    }
    assert!(tried > 35, "only {tried} ids were tried");
    assert_eq!(tenants.dump().await, before);
}

async fn a_body_that_names_another_tenants_objects_is_refused_like_one_that_names_none(
    database: TestDatabase,
) {
    let tenants = TwoTenants::make(database).await;
    let before = tenants.dump().await;
    let pins = format!("/api/v1/tenants/{A}/pins");
    let pin = |package_name: &str, identifier: &str| {
        json!({"package_name": package_name, "identifier": identifier, "device_id": "PDA001", "mode": "hold",
            "reason": "stock-taking"})
    };
    let (a, b, admin) = (&tenants.a, &tenants.b, &tenants.admin_of_a);
    for (theirs, nobodys) in [
        (pin(&b.package_name, &b.identifier), pin(NO_NAME, &b.identifier)),
        (pin(&a.package_name, &b.identifier), pin(&a.package_name, NO_NAME)),
    ] {
        let (there, absent) = (admin.put(&pins, &theirs).await, admin.put(&pins, &nobodys).await);
        assert_same(&there, &absent, "put_pin");
        there.problem(400, "invalid_parameter");
    }
    let pushes = format!("/api/v1/tenants/{A}/pushes");
    let push = async |device_id: &str| admin.post(&pushes, &push_fields(&[device_id])).await;
    let (mut there, absent) = (push(&b.device_id).await, push("nobodys").await);
    // Each answer names the device as it was sent.
    there.text = there.text.replace(&b.device_id, "nobodys");
    assert_eq!(there.text, absent.text);
    there.problem(400, "invalid_parameter");
    assert_eq!(tenants.dump().await, before);
}

async fn filters_and_lists_show_the_own_tenant_alone(database: TestDatabase) {
    let tenants = TwoTenants::make(database).await;
    let (a, b) = (&tenants.a, &tenants.b);
    let filters = [
        format!("/api/v1/tenants/{A}/pins?package_name={}", b.package_name),
        format!("/api/v1/tenants/{A}/pins?identifier={}", b.identifier),
        format!(
            "/api/v1/tenants/{A}/apps/{}/releases?identifier={}",
            a.package_name, b.identifier
        ),
        format!("/api/v1/tenants/{A}/devices?package_name={}", b.package_name),
        format!("/api/v1/tenants/{A}/pushes?trace_id={}", b.trace_id),
    ];
    for filter in filters {
        assert_eq!(
            tenants.admin_of_a.get(&filter).await.expect(200)["items"],
            json!([]),
            "{filter}"
        );
    }
    let of_a = dump(&tenants.admin_of_a, A).await.to_string();
    let ids = [&b.app_key, &b.device_key, &b.api_token].map(|made| made["id"].as_str().unwrap());
    let names = [b.username.as_str(), &b.package_name, &b.identifier, &b.device_id];
    let own_ids = [&a.app_key, &a.device_key, &a.api_token].map(|made| made["id"].as_str().unwrap());
    for name in names.into_iter().chain(ids) {
        assert!(!of_a.contains(name), "{name} of B is in what A sees");
    }
    for name in own_ids {
        assert!(of_a.contains(name), "{name} of A is not in what A sees");
    }
}

#[test]
fn every_operation_without_a_tenant_in_its_path_is_listed_here() {
    let mut described: Vec<_> = described()
        .into_iter()
        .filter(|described| !names_a_tenant(described))
        .map(|it| it.id)
        .collect();
    let mut listed: Vec<_> = WITHOUT_A_TENANT.iter().map(|(id, _)| *id).collect();
    described.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, described);
}

async fn a_tenants_people_learn_nothing_from_the_platforms_operations(database: TestDatabase) {
    let tenants = TwoTenants::make(database).await;
    let admin = &tenants.admin_of_b;
    let make = async |id: i64| {
        admin
            .post("/api/v1/tenants", &json!({"id": id, "name": "Mine"}))
            .await
    };
    let (taken, free) = (make(A).await, make(NOBODYS).await);
    assert_same(&taken, &free, "create_tenant");
    taken.problem(403, "permission_denied");
    admin
        .get("/api/v1/tenants")
        .await
        .problem(403, "permission_denied");
    assert_eq!(admin.get("/api/v1/me").await.expect(200)["tenant_id"], B);

    let login = async |username: &str| {
        let body = json!({"username": username, "password": "not the password"});
        tenants.app.anyone().post("/api/v1/auth/login", &body).await
    };
    let (there, absent) = (login(&tenants.a.username).await, login("nobody").await);
    assert_same(&there, &absent, "login");
    there.problem(401, "unauthenticated");
}

async fn a_check_that_claims_another_tenant_is_refused_like_one_that_claims_none_that_exists(
    database: TestDatabase,
) {
    let tenants = TwoTenants::make(database).await;
    let device = tenants.app.device(&tenants.admin_of_b, B).await;
    let check = async |tenant: i64| {
        let body = json!({"tenant_id": tenant, "package_name": tenants.a.package_name, "version_code": 0,
            "device_id": "PDA001"});
        device.post("/v1/check", &body).await
    };
    let unknown = check(NOBODYS).await;
    assert_same(&check(A).await, &unknown, "a claim to A with B's key");
    let body = check(B).await.expect(200);
    assert_eq!(body["msg_code"], "APP_UNKNOWN", "A's app is none of B's");

    disable(&tenants.platform, A).await;
    assert_same(
        &check(A).await,
        &unknown,
        "a claim to a disabled tenant with B's key",
    );
    disable(&tenants.platform, B).await;
    for tenant in [A, B, NOBODYS] {
        assert_same(
            &check(tenant).await,
            &unknown,
            "with the key of a disabled tenant",
        );
    }
    unknown.problem(403, "permission_denied");
}

on_both_databases!(
    another_tenant_looks_like_one_that_is_not_there,
    another_tenants_objects_look_like_none_at_all,
    a_body_that_names_another_tenants_objects_is_refused_like_one_that_names_none,
    filters_and_lists_show_the_own_tenant_alone,
    a_tenants_people_learn_nothing_from_the_platforms_operations,
    a_check_that_claims_another_tenant_is_refused_like_one_that_claims_none_that_exists,
);

fn names_a_tenant(described: &DescribedOperation) -> bool {
    described.path.contains("{tenant_id}")
}

fn replaced(pieces: &[&str], index: usize, piece: &str) -> String {
    let mut pieces = pieces.to_vec();
    pieces[index] = piece;
    pieces.join("/")
}

async fn disable(platform: &Caller, tenant: i64) {
    platform
        .patch(&format!("/api/v1/tenants/{tenant}"), &json!({"enabled": false}))
        .await
        .expect(200);
}

#[track_caller]
fn assert_not_there(there: &Answer, absent: &Answer, context: &str) {
    assert_eq!(there.status, 404, "{context}: {}", there.text);
    assert_eq!(there.body["code"], "not_found", "{context}: {}", there.text);
    assert_same(there, absent, context);
}

/// Compares two complete answers, except for parts that always differ.
#[track_caller]
fn assert_same(one: &Answer, other: &Answer, context: &str) {
    let headers = |answer: &Answer| -> HeaderMap {
        let mut headers = answer.headers.clone();
        // The server closes a connection if it refuses an upload before the body has arrived.
        for differing in ["x-request-id", "date", "connection"] {
            headers.remove(differing);
        }
        headers
    };
    assert_eq!(one.status, other.status, "{context}");
    assert_eq!(one.text, other.text, "{context}");
    assert_eq!(headers(one), headers(other), "{context}");
}
