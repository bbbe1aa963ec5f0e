//! Calls whose database connection goes silent. Each is answered, and the answer states whether the write may have been
//! done.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use crate::api::harness::{
    Answer, CHUKU, Caller, Merchant, TestApp, in_app, in_tenant, push_fields, release_fields,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::proxy::{Mode, Proxy, behind};
use slipway_test_support::wait::until;

/// The deadline of a use case plus a margin for a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(25);
const WITHIN: Duration = Duration::from_secs(30);

/// Arbitrary number, equal to that in the trigger of [`Fixture::block_commits`].
const COMMIT_LOCK: &str = "SELECT pg_advisory_lock(13)";
const DEFERRED_TRIGGER: &str = "
    CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(13); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT OR UPDATE ON releases
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
    CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT OR UPDATE ON org_directories
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit()";

/// A server behind a proxy to its database, and a direct connection to the database.
struct Fixture {
    app: TestApp,
    proxy: Proxy,
    direct: PgConnection,
}

impl Fixture {
    async fn start() -> Self {
        let database = TestDatabase::postgres().await;
        let direct = PgConnection::connect(&database.url).await.unwrap();
        let (proxy, url) = behind(&database.url).await;
        let app = TestApp::start_with(database, |config| config.database_url = Some(url)).await;
        Self { app, proxy, direct }
    }

    /// Runs statements over the direct connection.
    async fn execute(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.direct).await.unwrap();
    }

    /// Makes a call whose connection goes silent during the commit. Returns the detail of its answer.
    async fn detail_after_silent_commit(
        &mut self,
        caller: &Caller,
        (method, path, key): (Method, &str, &str),
        body: &Value,
    ) -> String {
        self.execute(DEFERRED_TRIGGER).await;
        self.execute(COMMIT_LOCK).await;
        let call = called(caller, method, path, key, body);
        self.a_session_waits().await;
        self.proxy.silence().await;
        self.execute("SELECT pg_advisory_unlock_all()").await;
        let (answer, took) = call.await.unwrap();
        self.proxy.set(Mode::Open);
        let problem = answer.problem(503, "unavailable");
        assert!(took < ANSWERED_WITHIN, "{took:?}");
        problem["detail"].as_str().unwrap().to_owned()
    }

    /// Waits until a session waits for a lock.
    async fn a_session_waits(&mut self) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let direct = Arc::new(tokio::sync::Mutex::new(&mut self.direct));
        until("a session waits for a lock", WITHIN, async || {
            let mut direct = direct.lock().await;
            sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(&mut **direct)
                .await
                .unwrap()
                > 0
        })
        .await;
    }
}

fn called(
    caller: &Caller,
    method: Method,
    path: &str,
    key: &str,
    body: &Value,
) -> JoinHandle<(Answer, Duration)> {
    let caller = caller.clone();
    let request = caller
        .request(method, path)
        .header("Idempotency-Key", key)
        .json(body);
    tokio::spawn(async move {
        let begun = Instant::now();
        let answer = caller.send(request).await;
        (answer, begun.elapsed())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_goes_silent_in_its_transaction_is_answered_as_not_done() {
    let mut fixture = Fixture::start().await;
    let Merchant { admin, .. } = fixture.app.merchant().await;
    let (path, body) = (in_app("/releases"), release_fields(CHUKU, 1));

    fixture
        .execute("BEGIN; SELECT 1 FROM catalog_revisions FOR UPDATE")
        .await;
    let call = called(&admin, Method::POST, &path, "k", &body);
    fixture.a_session_waits().await;
    fixture.proxy.silence().await;
    fixture.execute("ROLLBACK").await;

    let (answer, took) = call.await.unwrap();
    fixture.proxy.set(Mode::Open);
    let problem = answer.problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("was not done"), "{detail}");
    assert!(took < ANSWERED_WITHIN, "{took:?}");

    // The key is free at once, although the first request never completed.
    let again = repeat(&admin, &path, &body).await;
    assert_eq!(again.status, 201, "{}", again.text);
    assert_eq!(again.header("idempotency-replayed"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_goes_silent_in_its_commit_may_have_been_done_and_is_done_once() {
    let mut fixture = Fixture::start().await;
    let Merchant { admin, .. } = fixture.app.merchant().await;
    let (path, body) = (in_app("/releases"), release_fields(CHUKU, 1));

    let call = (Method::POST, path.as_str(), "k");
    let detail = fixture.detail_after_silent_commit(&admin, call, &body).await;
    assert!(detail.contains("may have been done"), "{detail}");
    assert!(detail.contains("Idempotency-Key"), "{detail}");

    let again = repeat(&admin, &path, &body).await;
    assert_eq!(again.status, 201, "{}", again.text);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let releases = admin.get(&path).await.expect(200);
    assert_eq!(releases["items"].as_array().unwrap().len(), 1);
}

/// Writes of complete lists run on other threads, with the same deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_heavy_write_that_goes_silent_in_its_commit_may_have_been_done() {
    let mut fixture = Fixture::start().await;
    let Merchant { admin, .. } = fixture.app.merchant().await;
    let path = in_tenant("/org-directory");
    let body = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});

    let call = (Method::PUT, path.as_str(), "");
    let detail = fixture.detail_after_silent_commit(&admin, call, &body).await;
    assert!(detail.contains("may have been done"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_does_not_keep_its_key_reserved() {
    let mut fixture = Fixture::start().await;
    let Merchant { admin, .. } = fixture.app.merchant().await;
    let (path, body) = (in_app("/releases"), release_fields(CHUKU, 1));

    fixture
        .execute("BEGIN; SELECT 1 FROM catalog_revisions FOR UPDATE")
        .await;
    let call = called(&admin, Method::POST, &path, "k", &body);
    fixture.a_session_waits().await;
    call.abort();
    assert!(call.await.is_err());
    fixture.execute("ROLLBACK").await;

    let again = repeat(&admin, &path, &body).await;
    assert_eq!(again.status, 201, "{}", again.text);
}

/// Every kind of call: reads, sign-ins, device calls, and writes without a catalog transaction.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_answered_while_its_connection_is_silent() {
    let mut fixture = Fixture::start().await;
    let merchant = fixture.app.merchant().await;
    merchant.know(&["PDA001"]).await;
    let admin = merchant.admin;
    fixture
        .execute("BEGIN; LOCK TABLE users, sessions, devices, pushes, tenants, api_tokens IN ACCESS EXCLUSIVE MODE")
        .await;
    let login = json!({"username": "admin", "password": "correct horse battery"});
    let calls = [
        called(&admin, Method::GET, "/api/v1/me", "", &Value::Null),
        called(
            &admin,
            Method::POST,
            &in_tenant("/pushes"),
            "p",
            &push_fields(&["PDA001"]),
        ),
        called(
            &fixture.app.anyone(),
            Method::POST,
            "/api/v1/auth/login",
            "l",
            &login,
        ),
    ];
    fixture.a_session_waits().await;
    fixture.proxy.silence().await;
    fixture.execute("ROLLBACK").await;
    for call in calls {
        let (answer, took) = call.await.unwrap();
        fixture.proxy.set(Mode::Open);
        answer.problem(503, "unavailable");
        assert!(took < ANSWERED_WITHIN, "{took:?}");
    }
    fixture.proxy.set(Mode::Open);
    fixture.app.platform_admin().await;
}

/// Repeats a request until the database has ended the session of the first one.
async fn repeat(caller: &Caller, path: &str, body: &Value) -> Answer {
    let last = Mutex::new(None);
    until("the request is done", Duration::from_secs(40), async || {
        let (answer, _) = called(caller, Method::POST, path, "k", body).await.unwrap();
        let is_done = answer.status == 201;
        *last.lock().unwrap() = Some(answer);
        is_done
    })
    .await;
    last.into_inner().unwrap().unwrap()
}
