//! `slipway publish` when networks, files and servers misbehave.

use std::collections::HashSet;

use serde_json::{Value, json};
use slipway::storage::artifacts;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::{Damage, DamageKind};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::Sha256;
use slipway_package_maker::{Signing, TestKey};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use tokio::net::TcpListener;

use super::super::harness::{CHUKU, NOW, PACKAGE, TENANT, apk, apk_with, in_tenant, sha256};
use super::relay::{Reaction, Relay, Request, answer};
use super::{Fixture, expect_code, json_of, serve_file};

const PROBLEM: &str = "application/problem+json";

impl Fixture {
    async fn relay(&self, react: impl FnMut(&Request) -> Reaction + Send + 'static) -> Relay {
        Relay::start(self.app.running.address, react).await
    }

    async fn states(&self) -> Vec<Value> {
        let releases = self.releases().await;
        releases.iter().map(|release| release["state"].clone()).collect()
    }
}

/// Returns a reaction that replaces the answers to some requests.
fn replace(
    method: &'static str,
    path_end: &str,
    replacement: (&'static str, &'static str, &'static str),
) -> impl FnMut(&Request) -> Reaction + Send + use<> {
    let path_end = path_end.to_owned();
    let (status, media_type, body) = replacement;
    move |request| {
        if request.is(method, &path_end) {
            answer(status, media_type, body)
        } else {
            Reaction::Forward
        }
    }
}

async fn an_answer_of_something_else_is_no_success(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let file = fixture.write("app.apk", &bytes);
    let labels = fixture.write("labels.bin", b"labels");
    let labels = format!("{CHUKU}={labels}");
    let versions = ["--version-code", "7", "--version-name", "7", "--retries", "0"];
    let both = [&[file.as_str(), &labels], &versions[..]].concat();
    let both = both.as_slice();
    let one = &[file.as_str(), "--retries", "0"][..];
    let artifact = format!("/artifacts/{}", sha256(&bytes));
    let artifact = artifact.as_str();
    let page = ("200 OK", "text/html", "<html>sign in to the network</html>");
    let json = |text| ("200 OK", "application/json", text);
    for (method, path_end, replaced, arguments) in [
        ("GET", artifact, page, one),
        ("GET", artifact, ("302 Found", "text/html", ""), one),
        ("GET", artifact, json("{}"), one),
        ("POST", "/artifacts", page, one),
        ("POST", "/artifacts", json("\"text\""), one),
        ("POST", "/artifacts", json("{}"), one),
        ("POST", "/releases", page, one),
        ("POST", "/releases", json("[]"), one),
        ("POST", "/releases", json("\"text\""), both),
        ("POST", "/releases", json("{\"id\": 1}"), both),
        ("POST", "/publish", page, both),
        ("POST", "/publish", json("{\"items\": \"text\"}"), both),
        ("POST", "/publish", json("{\"items\": []}"), both),
    ] {
        let relay = fixture.relay(replace(method, path_end, replaced)).await;
        let failed = expect_code(fixture.publish_at(&relay.url, arguments).await, 3);
        assert!(
            failed.contains("not an answer of Slipway"),
            "{replaced:?}: {failed}"
        );
    }
    assert!(!fixture.states().await.contains(&json!("published")));

    let page = ("404 Not Found", "text/html", "<html>no such page</html>");
    let relay = fixture.relay(replace("GET", artifact, page)).await;
    let refused = expect_code(fixture.publish_at(&relay.url, one).await, 1);
    assert!(
        refused.contains("404") && refused.contains("not an answer of Slipway"),
        "{refused}"
    );
    fixture.publish(both).await.expect_success();
}

async fn a_lost_answer_to_a_create_breaks_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let older = fixture.write("labels.bin", b"labels");
    let older = format!("{CHUKU}={older}");
    let versions = ["--version-code", "7", "--version-name", "7"];
    let app = ["--app", PACKAGE, "--draft"];
    let draft = [&[older.as_str()], &versions[..], &app].concat();
    fixture.publish(&draft).await.expect_success();

    let file = fixture.write("app.apk", &apk(PACKAGE, 240));
    let unsafe_module = apk_with("com.hema.wms.ruku", 1, &Signing::of(TestKey::App), |apk| {
        apk.test_only = true;
    });
    let unsafe_module = fixture.write("ruku.apk", &unsafe_module);
    let mut keys = HashSet::new();
    let relay = fixture
        .relay(move |request| {
            let is_first = request.is("POST", "/releases")
                && keys.insert(request.header("idempotency-key").map(str::to_owned));
            if is_first {
                Reaction::Lose
            } else {
                Reaction::Forward
            }
        })
        .await;
    let all = [&[file.as_str(), &older, &unsafe_module], &versions[..]].concat();
    let refused = expect_code(fixture.publish_at(&relay.url, &all).await, 1);
    assert!(refused.contains("tests only"), "{refused}");
    let creates = relay.requests("POST", "/releases");
    let keys: Vec<_> = creates
        .iter()
        .map(|request| request.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys.len(), 6);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 3);
    for release in fixture.releases().await {
        let is_older = release["identifier"] == CHUKU;
        let expected = if is_older { "draft" } else { "discarded" };
        assert_eq!(release["state"], expected, "{release}");
    }
}

async fn a_damaged_file_is_uploaded_again(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let file = fixture.write("app.apk", &bytes);
    fixture.publish(&[&file]).await.expect_success();
    let known = fixture.publish(&[&file]).await.expect_success();
    assert!(known.contains("is on the server already"), "{known}");

    let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
    let tx = fixture.app.database.db.begin_catalog(scope).await.unwrap();
    let digest = Sha256::parse(&sha256(&bytes)).unwrap();
    let before = artifacts::find(&tx, scope, &digest).await.unwrap().unwrap();
    let damage = Damage {
        kind: DamageKind::Altered,
        found_at: NOW.parse().unwrap(),
    };
    artifacts::set_damage(&tx, &before, Some(damage), NOW.parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let path = in_tenant(&format!("/artifacts/{}", sha256(&bytes)));
    let admin = &fixture.merchant.admin;
    assert_eq!(admin.get(&path).await.expect(200)["damage"], "altered");
    let repaired = fixture.publish(&[&file]).await.expect_success();
    assert!(repaired.contains("is damaged on the server"), "{repaired}");
    assert_eq!(admin.get(&path).await.expect(200)["damage"], Value::Null);
}

async fn a_file_that_changes_or_vanishes_is_named(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let digest = sha256(&bytes);
    let path = fixture.directory.path().join("app.apk");
    for (changed, code, message) in [
        (Some(apk(PACKAGE, 241)), 1, "app.apk changed"),
        (Some(bytes[..100].to_vec()), 1, "app.apk changed"),
        (None, 2, "app.apk cannot be read any more"),
    ] {
        let file = fixture.write("app.apk", &bytes);
        let (path, digest) = (path.clone(), digest.clone());
        let relay = fixture
            .relay(move |request| {
                if request.is("GET", &digest) {
                    match &changed {
                        Some(changed) => std::fs::write(&path, changed).unwrap(),
                        None => std::fs::remove_file(&path).unwrap(),
                    }
                }
                Reaction::Forward
            })
            .await;
        let failed = expect_code(fixture.publish_at(&relay.url, &[&file]).await, code);
        assert!(failed.contains(message), "{failed}");
        assert!(relay.requests("POST", "/artifacts").len() <= 1);
    }
    let file = fixture.write("app.apk", &bytes);
    let mismatch = r#"{"code": "digest_mismatch", "detail": "the received bytes have another SHA-256"}"#;
    let altered = replace("POST", "/artifacts", ("400 Bad Request", PROBLEM, mismatch));
    let relay = fixture.relay(altered).await;
    let refused = expect_code(fixture.publish_at(&relay.url, &[&file]).await, 1);
    assert!(
        refused.contains("app.apk: the server received other bytes than were sent"),
        "{refused}"
    );
    assert_eq!(fixture.releases().await, [] as [Value; 0]);
}

async fn secrets_are_not_printed(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = tokio::spawn(serve_file(listener, bytes.clone()));
    let url = format!("http://{address}/app.apk?signature=hunter2");
    let shown = format!("http://{address}/app.apk");
    for mode in [
        &["--dry-run"][..],
        &["--dry-run", "--json"],
        &[],
        &["--json"],
        &[],
    ] {
        let outcome = fixture
            .publish(&[&["--url", url.as_str()][..], mode].concat())
            .await;
        let printed = outcome.stderr.clone() + &outcome.expect_success();
        assert!(
            printed.contains(&shown) && !printed.contains("hunter2"),
            "{printed}"
        );
    }
    assert_eq!(fixture.releases().await[0]["download_url"], url);
    serve.abort();

    let file = fixture.write("app.apk", &bytes);
    let server_with = |secret: &str| fixture.app.url.replace("http://", &format!("http://{secret}"));
    let server = &fixture.app.url;
    for (server, arguments, code) in [
        (
            server,
            vec!["--url", "http://127.0.0.1:1/a.apk?s=hunter2", "--retries", "0"],
            3,
        ),
        (server, vec!["--url", "http://user:hunter2@127.0.0.1:1/a.apk"], 2),
        (server, vec!["--url", "http://hunter2@127.0.0.1:1/a.apk"], 2),
        (server, vec!["--url", "ftp://user:hunter2@127.0.0.1:1/a.apk"], 2),
        (&server_with("user:hunter2@"), vec![file.as_str()], 2),
        (&format!("{server}?token=hunter2"), vec![file.as_str()], 2),
    ] {
        let outcome = fixture.publish_at(server, &arguments).await;
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
        expect_code(outcome, code);
    }

    let variables = [
        ("SLIPWAY_URL", server.as_str()),
        ("SLIPWAY_TOKEN", "hunter2\n"),
        ("SLIPWAY_TENANT", "1"),
    ];
    let outcome = super::publish_with(fixture.directory.path(), &[&file], &variables).await;
    let failed = expect_code(outcome, 2);
    assert!(
        failed.contains("SLIPWAY_TOKEN") && !failed.contains("hunter2"),
        "{failed}"
    );
}

async fn names_do_not_command_the_terminal(database: TestDatabase) {
    const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{202e}.apk";
    let fixture = Fixture::set(database).await;
    let hostile = apk_with(PACKAGE, 240, &Signing::of(TestKey::App), |apk| {
        "1\u{1b}[2J\u{9b}".clone_into(&mut apk.version_name);
    });
    let file = fixture.write(HOSTILE, &hostile);
    let plain = fixture.write("app.apk", &apk(PACKAGE, 241));
    let unnamed = fixture.write("b\u{1b}\u{9b}", b"labels");
    let problem = r#"{"code": "in_use", "detail": "used by \u001b[2J\u009b\u202e"}"#;
    let refuse = replace("POST", "/releases", ("409 Conflict", PROBLEM, problem));
    let relay = fixture.relay(refuse).await;
    let outcomes = [
        fixture.publish(&[&file, "--dry-run"]).await,
        fixture.publish(&[&file, "--dry-run", "--json"]).await,
        fixture.publish(&[&unnamed]).await,
        fixture.publish(&["\u{1b}\u{9b}/no/such/file"]).await,
        fixture.publish_at(&relay.url, &[&plain]).await,
        fixture.publish_at(&relay.url, &[&plain, "--json"]).await,
    ];
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.code.unwrap()).collect();
    assert_eq!(codes, [0, 0, 2, 2, 1, 1]);
    for outcome in outcomes {
        let printed = outcome.stdout + &outcome.stderr;
        assert!(!printed.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{printed:?}");
    }
}

async fn temporary_answers_are_retried(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let file = fixture.write("app.apk", &apk(PACKAGE, 240));
    let mut failed = HashSet::new();
    let relay = fixture
        .relay(move |request| {
            let kinds = [("GET", ""), ("POST", "/artifacts"), ("POST", "/releases")];
            let kind = kinds
                .into_iter()
                .find(|(method, path_end)| request.is(method, path_end));
            if failed.insert(kind.unwrap()) {
                answer("503 Service Unavailable", "text/html", "<html>busy</html>")
            } else {
                Reaction::Forward
            }
        })
        .await;
    let published = json_of(fixture.publish_at(&relay.url, &[&file, "--json"]).await);
    assert_eq!(published["releases"][0]["is_new"], true);
    assert_eq!(published["releases"][0]["release"]["state"], "published");
    assert_eq!(relay.requests("POST", "/artifacts").len(), 2);
}

on_both_databases!(
    an_answer_of_something_else_is_no_success,
    a_lost_answer_to_a_create_breaks_nothing,
    a_damaged_file_is_uploaded_again,
    a_file_that_changes_or_vanishes_is_named,
    secrets_are_not_printed,
    names_do_not_command_the_terminal,
    temporary_answers_are_retried,
);
