//! Tenants, people, keys, tokens and logins.

use reqwest::Method;
use serde_json::json;

use super::fixture::{Fixture, tenant};
use super::kind::Kind;
use super::table::{Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const NAME: Kind = Kind::Line { max: 128 };
const ROLE: Kind = Kind::OneOf(&["admin", "publisher", "viewer"]);

async fn tenants_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let platform = fixture.platform.clone();
    let before = fixture.everything().await;
    let id = Field::required("id", Kind::Integer { min: 1 });
    let create = Operation::new(
        Method::POST,
        "/api/v1/tenants",
        json!({"id": 20_000_000, "name": "Another"}),
        vec![id, Field::required("name", NAME)],
    );
    fixture.try_rows(&platform, &create, create.rows()).await;
    let schemes = Kind::list(Kind::UrlScheme, 100, |index| json!(format!("s{index}")));
    let update = Operation::new(
        Method::PATCH,
        tenant(""),
        json!({"name": "A tenant", "enabled": true, "offers_enabled": true, "enrolment": "key", "push_url_schemes": ["https"],
            "artifact_quota_bytes": 1_000_000}),
        vec![
            Field::not_null("name", NAME),
            Field::not_null("enabled", Kind::Bool),
            Field::not_null("offers_enabled", Kind::Bool),
            Field::not_null("enrolment", Kind::OneOf(&["key", "code"])),
            Field::optional("push_url_schemes", schemes),
            Field::not_null("artifact_quota_bytes", Kind::Integer { min: 0 }),
        ],
    );
    fixture.try_rows(&platform, &update, update.rows()).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&platform, &create, 201).await;
    fixture.try_operation(&platform, &update, 200).await;
    fixture.finish();
}

async fn people_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let person = json!({"username": "li.na", "password": "a long enough password", "role": "viewer"});
    let made = admin.post(&tenant("/users"), &person).await.expect(201);
    let before = fixture.everything().await;
    let create = Operation::new(
        Method::POST,
        tenant("/users"),
        json!({"username": "wang.wu", "password": "0123456789", "role": "publisher"}),
        vec![
            Field::required("username", Kind::Username),
            Field::required("password", Kind::Password),
            Field::required("role", ROLE),
        ],
    );
    fixture.try_rows(&admin, &create, create.rows()).await;
    let platform_role = create.row(
        &json!({"role": "platform_admin"}),
        super::table::ExpectedProblem::field("role"),
    );
    fixture.try_rows(&admin, &create, vec![platform_role]).await;
    let update = Operation::new(
        Method::PATCH,
        tenant(&format!("/users/{}", made["id"].as_str().unwrap())),
        json!({"role": "viewer", "enabled": true, "password": "x".repeat(256)}),
        vec![
            Field::not_null("role", ROLE),
            Field::not_null("enabled", Kind::Bool),
            Field::not_null("password", Kind::Password),
        ],
    );
    fixture.try_rows(&admin, &update, update.rows()).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &create, 201).await;
    fixture.try_operation(&admin, &update, 200).await;
    fixture.finish();
}

async fn administrators_and_their_tokens_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let platform = fixture.platform.clone();
    let person = json!({"username": "li.na", "password": "a long enough password"});
    let made = platform.post("/api/v1/users", &person).await.expect(201);
    let role = || Kind::OneOf(&["platform_admin"]);
    let before = fixture.everything().await;
    let create = Operation::new(
        Method::POST,
        "/api/v1/users",
        json!({"username": "wang.wu", "password": "0123456789", "role": "platform_admin"}),
        vec![
            Field::required("username", Kind::Username),
            Field::required("password", Kind::Password),
            Field::optional("role", role()),
        ],
    );
    fixture.try_rows(&platform, &create, create.rows()).await;
    let update = Operation::new(
        Method::PATCH,
        format!("/api/v1/users/{}", made["id"].as_str().unwrap()),
        json!({"role": "platform_admin", "enabled": false, "password": "x".repeat(256)}),
        vec![
            Field::not_null("role", role()),
            Field::not_null("enabled", Kind::Bool),
            Field::not_null("password", Kind::Password),
        ],
    );
    fixture.try_rows(&platform, &update, update.rows()).await;
    let token = Operation::new(
        Method::POST,
        "/api/v1/api-tokens",
        json!({"name": "ci", "role": "platform_admin", "expires_at": "2999-01-01T00:00:00Z"}),
        vec![
            Field::required("name", NAME),
            Field::optional("role", role()),
            Field::optional("expires_at", Kind::Instant),
        ],
    );
    fixture.try_rows(&platform, &token, token.rows()).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&platform, &create, 201).await;
    fixture.try_operation(&platform, &update, 200).await;
    fixture.try_operation(&platform, &token, 201).await;
    fixture.finish();
}

async fn signing_in_refuses_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let anyone = fixture.app.anyone();
    let person = json!({"username": "li.na", "password": "a long enough password", "role": "viewer"});
    admin.post(&tenant("/users"), &person).await.expect(201);
    let credentials = json!({"username": "li.na", "password": "a long enough password"});
    let signed_in = anyone.post("/api/v1/auth/login", &credentials).await.expect(200);
    let person = fixture.app.bearer(signed_in["access_token"].as_str().unwrap());

    let login = Operation::new(
        Method::POST,
        "/api/v1/auth/login",
        credentials,
        vec![
            Field::required("username", Kind::AnyText),
            Field::required("password", Kind::AnyText),
        ],
    );
    fixture.try_operation(&anyone, &login, 200).await;
    let refresh = Operation::new(
        Method::POST,
        "/api/v1/auth/refresh",
        json!({"refresh_token": signed_in["refresh_token"]}),
        vec![Field::required("refresh_token", Kind::AnyText)],
    );
    fixture.try_operation(&anyone, &refresh, 200).await;
    let password = Operation::new(
        Method::PUT,
        "/api/v1/me/password",
        json!({"current": "a long enough password", "new": "another long password"}),
        vec![
            Field::required("current", Kind::AnyText),
            Field::required("new", Kind::Password),
        ],
    );
    fixture.try_operation(&person, &password, 204).await;
    fixture.finish();
}

/// An impossible name or password is answered like an unknown account, not like a malformed field.
async fn impossible_credentials_are_refused_like_unknown_ones(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let anyone = fixture.app.anyone();
    for text in [
        "",
        " ",
        "a\0b",
        "\u{7}",
        "店",
        "'; DROP TABLE users; --",
        &"x".repeat(100_000),
    ] {
        let login = json!({"username": text, "password": text});
        anyone
            .post("/api/v1/auth/login", &login)
            .await
            .problem(401, "unauthenticated");
        let login = json!({"username": "admin", "password": text});
        anyone
            .post("/api/v1/auth/login", &login)
            .await
            .problem(401, "unauthenticated");
        let refresh = json!({"refresh_token": text});
        anyone
            .post("/api/v1/auth/refresh", &refresh)
            .await
            .problem(401, "unauthenticated");
    }
    for token in [
        "",
        "x",
        "a.b.c",
        "slipway_token_",
        "slipway_device_x",
        "..",
        &"x".repeat(5_000),
    ] {
        let caller = fixture.app.bearer(token);
        caller.get("/api/v1/me").await.problem(401, "unauthenticated");
        caller
            .post("/v1/check", &json!({}))
            .await
            .problem(401, "unauthenticated");
    }
}

async fn keys_and_tokens_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let operations = [
        Operation::new(
            Method::POST,
            tenant("/app-keys"),
            json!({"name": "a key", "role": "device", "expires_at": "2999-01-01T00:00:00Z"}),
            vec![
                Field::required("name", NAME),
                Field::required("role", Kind::OneOf(&["device", "operator"])),
                Field::optional("expires_at", Kind::Instant),
            ],
        ),
        Operation::new(
            Method::POST,
            tenant("/device-keys"),
            json!({"name": "a key", "expires_at": "2999-01-01T00:00:00Z"}),
            vec![
                Field::required("name", NAME),
                Field::optional("expires_at", Kind::Instant),
            ],
        ),
        Operation::new(
            Method::POST,
            tenant("/api-tokens"),
            json!({"name": "ci", "role": "publisher", "expires_at": "2999-01-01T00:00:00Z"}),
            vec![
                Field::required("name", NAME),
                Field::required("role", ROLE),
                Field::optional("expires_at", Kind::Instant),
            ],
        ),
    ];
    for create in &operations {
        fixture.try_rows(&admin, create, create.rows()).await;
    }
    assert_eq!(fixture.everything().await, before);
    for create in &operations {
        fixture.try_operation(&admin, create, 201).await;
    }
    fixture.finish();
}

on_both_databases!(
    tenants_refuse_bad_input,
    people_refuse_bad_input,
    administrators_and_their_tokens_refuse_bad_input,
    signing_in_refuses_bad_input,
    impossible_credentials_are_refused_like_unknown_ones,
    keys_and_tokens_refuse_bad_input,
);
