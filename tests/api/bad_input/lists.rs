//! Query parameters, and the headers `If-Match` and `Idempotency-Key`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;

use super::apps::create_app;
use super::fixture::{APP, Fixture, RESOURCE, app_path, tenant};
use super::pins::pin_of_device;
use super::releases::create_release;
use super::table::ExpectedProblem;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Returns every list, and true if its cursors are ids.
fn lists() -> Vec<(String, bool)> {
    let mut lists = vec![("/api/v1/tenants".to_owned(), true)];
    for noun in [
        "users",
        "app-keys",
        "device-keys",
        "api-tokens",
        "pins",
        "artifacts",
        "pushes",
        "audit",
    ] {
        lists.push((tenant(&format!("/{noun}")), true));
    }
    lists.push((app_path("/releases"), true));
    lists.push((tenant("/apps"), false));
    lists.push((tenant("/devices"), false));
    lists.push((app_path("/resources"), false));
    lists
}

async fn expect(fixture: &mut Fixture, path: &str, field: &str) {
    let caller = if path.starts_with("/api/v1/tenants?") {
        fixture.platform.clone()
    } else {
        fixture.admin.clone()
    };
    let request = caller.request(Method::GET, path);
    fixture
        .expect_refusal(path, &caller, request, &ExpectedProblem::field(field))
        .await;
}

async fn lists_refuse_bad_parameters(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    for (list, cursors_are_ids) in lists() {
        for limit in [
            "0",
            "201",
            "-1",
            "-0",
            "abc",
            "",
            "1.5",
            "1e1",
            "5%20",
            "0x5",
            "18446744073709551616",
            "%00",
            "%FF",
        ] {
            expect(&mut fixture, &format!("{list}?limit={limit}"), "limit").await;
        }
        // Not base64, not UTF-8, or control characters.
        for cursor in ["!!!", "%00", "%FF", "a", "YQ==", "_w", "AA", "YQBi", "Bw"] {
            expect(&mut fixture, &format!("{list}?cursor={cursor}"), "cursor").await;
        }
        if cursors_are_ids {
            for text in ["", "nonsense", "9223372036854775808", "1.5", "' OR 1=1 --"] {
                let cursor = URL_SAFE_NO_PAD.encode(text);
                expect(&mut fixture, &format!("{list}?cursor={cursor}"), "cursor").await;
            }
        }
        for name in ["nonsense", "Limit", "offset", "page", "limit[]", "LIMIT"] {
            expect(&mut fixture, &format!("{list}?{name}=1"), name).await;
            expect(&mut fixture, &format!("{list}?limit=5&{name}"), name).await;
        }
        expect(&mut fixture, &format!("{list}?limit=5&limit=6"), "limit").await;
        expect(&mut fixture, &format!("{list}?limit=5&limit=5"), "limit").await;
    }
    fixture.finish();
}

async fn filters_refuse_bad_values(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let releases = app_path("/releases");
    for state in [
        "nonsense",
        "",
        "%20",
        "Draft",
        "draft,published",
        "draft%00",
        "published%20",
    ] {
        expect(&mut fixture, &format!("{releases}?state={state}"), "state").await;
    }
    for list in [releases, tenant("/pins")] {
        for text in [
            "",
            "%20",
            "a%20b",
            "%00",
            "a%00",
            ".a",
            "*",
            "%FF",
            &"x".repeat(129),
        ] {
            expect(&mut fixture, &format!("{list}?identifier={text}"), "identifier").await;
        }
    }
    let pins = tenant("/pins");
    for text in ["", "%20", "a%20b", "%00", ".a", "*"] {
        expect(
            &mut fixture,
            &format!("{pins}?package_name={text}"),
            "package_name",
        )
        .await;
    }
    fixture.finish();
}

/// An invalid id in a path gives 404.
async fn what_is_no_id_is_not_there(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let not_found = ExpectedProblem::status(404, "not_found");
    let id = fixture.draft.clone();
    for (before, after, known) in [
        ("/api/v1/tenants/", "/apps", "10000000"),
        ("/api/v1/tenants/10000000/apps/", "/releases", APP),
        (
            "/api/v1/tenants/10000000/apps/com.hema.wms/resources/",
            "",
            RESOURCE,
        ),
        ("/api/v1/tenants/10000000/apps/com.hema.wms/releases/", "", &id),
    ] {
        admin.get(&format!("{before}{known}{after}")).await.expect(200);
        for wrong in [
            "0",
            "-1",
            "x y",
            "%00",
            "%FF",
            "..%2F..",
            "é",
            "%F0%9F%92%A9",
            "1.5",
            "9223372036854775808",
            "010000000",
            "+10000000",
            "{}",
        ] {
            let path = format!("{before}{wrong}{after}");
            let request = admin.request(Method::GET, &path);
            fixture.expect_refusal(&path, &admin, request, &not_found).await;
        }
        let long = format!("{before}{}{after}", "x".repeat(5_000));
        let request = admin.request(Method::GET, &long);
        fixture
            .expect_refusal("a long segment", &admin, request, &not_found)
            .await;
    }
    fixture.finish();
}

async fn a_malformed_precondition_is_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let (release, pin) = (fixture.draft.clone(), fixture.pin.clone());
    let release = app_path(&format!("/releases/{release}"));
    let calls = [
        (Method::PATCH, app_path("")),
        (Method::DELETE, app_path("")),
        (Method::PATCH, app_path(&format!("/resources/{RESOURCE}"))),
        (Method::PATCH, release.clone()),
        (Method::POST, format!("{release}/publish")),
        (Method::POST, format!("{release}/discard")),
        (Method::PUT, tenant("/org-directory")),
        (Method::PUT, tenant("/pins")),
        (Method::DELETE, tenant(&format!("/pins/{pin}"))),
    ];
    let wrong: [&[u8]; 12] = [
        b"abc",
        b"\"abc",
        b"abc\"",
        b"\"",
        b"'abc'",
        b"\"a\",b",
        b"a,\"b\"",
        b"",
        b",",
        b"*,\"a\"",
        b"w/\"a\"",
        b"\"\xe9\"",
    ];
    for (method, path) in calls {
        let body = match path.as_str() {
            path if path.ends_with("/pins") => pin_of_device().valid,
            path if path.ends_with("/org-directory") => json!({"nodes": [{"path": ["HM"]}]}),
            _ => json!({}),
        };
        for header in wrong {
            let value = HeaderValue::from_bytes(header).unwrap();
            let request = admin
                .request(method.clone(), &path)
                .header("if-match", value)
                .json(&body);
            let label = format!("{method} {path}: {}", String::from_utf8_lossy(header));
            fixture
                .expect_refusal(&label, &admin, request, &ExpectedProblem::field("If-Match"))
                .await;
        }
        for header in ["\"another\"", "W/\"a\"", "\"a\", \"b\"", "\"\""] {
            let request = admin
                .request(method.clone(), &path)
                .header("if-match", header)
                .json(&body);
            let label = format!("{method} {path}: {header}");
            let expected = ExpectedProblem::status(412, "stale");
            fixture.expect_refusal(&label, &admin, request, &expected).await;
        }
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

async fn a_malformed_idempotency_key_is_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let user = json!({"username": "li.na", "password": "a long enough password", "role": "viewer"});
    let creates = [
        (tenant("/apps"), create_app().valid),
        (app_path("/releases"), create_release().valid),
        (tenant("/users"), user),
        (tenant("/device-keys"), json!({"name": "a key"})),
    ];
    let (long, longer) = ("k".repeat(256), "k".repeat(300));
    let wrong: [&[u8]; 6] = [
        b"",
        b"   ",
        long.as_bytes(),
        longer.as_bytes(),
        "schlüssel".as_bytes(),
        b"\xff",
    ];
    for (path, body) in &creates {
        for key in wrong {
            let value = HeaderValue::from_bytes(key).unwrap();
            let request = admin
                .request(Method::POST, path)
                .header("idempotency-key", value)
                .json(body);
            let label = format!("{path}: {}", String::from_utf8_lossy(key));
            let expected = ExpectedProblem::field("Idempotency-Key");
            fixture.expect_refusal(&label, &admin, request, &expected).await;
        }
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// A refused request leaves its key free for the corrected request.
async fn a_refused_create_does_not_use_up_its_key(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let create = create_release();
    let path = app_path("/releases");
    let key = "k".repeat(255);
    for (changes, field) in [
        (json!({"md5": "x"}), "md5"),
        (json!({"starts_at": "2030-01-01T00:00:00Z"}), "ends_at"),
        (json!({"identifier": super::fixture::OLD_NAME}), "identifier"),
    ] {
        let row = create.row(&changes, ExpectedProblem::field(field));
        let request = admin.request(Method::POST, &path).header("idempotency-key", &key);
        let request = request.header("content-type", "application/json").body(row.body);
        fixture
            .expect_refusal(&row.label, &admin, request, &row.expected)
            .await;
    }
    let request = admin
        .request(Method::POST, &path)
        .header("idempotency-key", &key)
        .json(&create.valid);
    admin.send(request).await.expect(201);
    fixture.finish();
}

on_both_databases!(
    lists_refuse_bad_parameters,
    filters_refuse_bad_values,
    what_is_no_id_is_not_there,
    a_malformed_precondition_is_refused,
    a_malformed_idempotency_key_is_refused,
    a_refused_create_does_not_use_up_its_key,
);
