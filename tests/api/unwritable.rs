//! A database that accepts no writes: read-only, locked, or full. Writes are refused with the cause, `/readyz` names
//! it, and checks continue.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use serde_json::{Value, json};

use super::harness::{Answer, CHUKU, Merchant, TestApp, check_fields, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::postgres::PostgresServer;
use slipway_test_support::wait::until;

const WITHIN: Duration = Duration::from_secs(30);

struct Fixture {
    app: TestApp,
    merchant: Merchant,
    /// A session that does not belong to the server.
    outside: DatabaseConnection,
}

impl Fixture {
    async fn set(database: TestDatabase) -> Self {
        let outside = Database::connect(&database.url).await.unwrap();
        let app = TestApp::start(database).await;
        let merchant = app.merchant().await;
        merchant.published(CHUKU, 230).await;
        let fixture = Self {
            app,
            merchant,
            outside,
        };
        fixture.until_writes_fail_for(Value::Null).await;
        fixture
    }

    /// Waits until writes fail for a cause, or work (`null`), while no caller writes.
    async fn until_writes_fail_for(&self, cause: Value) {
        let readiness = async || self.app.anyone().get("/readyz").await.expect(200);
        until(&format!("writes fail for {cause}"), WITHIN, async || {
            readiness().await["cause"] == cause
        })
        .await;
        let readiness = readiness().await;
        let (writes, status) = match cause {
            Value::Null => ("working", "ready"),
            _ => ("failing", "degraded"),
        };
        assert_eq!(
            (&readiness["writes"], &readiness["status"]),
            (&json!(writes), &json!(status))
        );
    }

    async fn write(&self, number: i64) -> Answer {
        let key = json!({"name": format!("key {number}")});
        self.merchant.admin.post(&in_tenant("/device-keys"), &key).await
    }

    async fn assert_check(&self) {
        let check = self.merchant.device.post("/v1/check", &check_fields()).await;
        assert_eq!(check.expect(200)["data"][0]["version_code"], 230);
    }

    async fn tell(&self, statement: &str) {
        self.outside.execute_unprepared(statement).await.unwrap();
    }
}

fn assert_names(answer: Answer, words: &[&str]) {
    assert!(!answer.header("retry-after").is_empty());
    let problem = answer.problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap();
    for word in words {
        assert!(detail.contains(word), "{word}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_told_and_recovers() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let fixture = Fixture::set(TestDatabase::of(&server).await).await;
    fixture
        .tell("ALTER SYSTEM SET default_transaction_read_only = on")
        .await;
    fixture.tell("SELECT pg_reload_conf()").await;
    fixture.until_writes_fail_for(json!("read_only")).await;
    assert_names(fixture.write(1).await, &["read-only", "primary"]);
    fixture.merchant.admin.get(&in_tenant("/apps")).await.expect(200);
    fixture.assert_check().await;

    // A node can also start on it, because the data that it needs exists.
    let another = TestApp::start(fixture.app.database.again().await).await;
    let ready = another.anyone().get("/readyz").await.expect(200);
    assert_eq!(ready["catalog"]["loaded"], true);

    fixture.tell("SET default_transaction_read_only = off").await;
    fixture
        .tell("ALTER SYSTEM RESET default_transaction_read_only")
        .await;
    fixture.tell("SELECT pg_reload_conf()").await;
    fixture.until_writes_fail_for(Value::Null).await;
    fixture.write(2).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_told_and_neither_writes_nor_lists_wait_for_long() {
    let fixture = Fixture::set(TestDatabase::postgres().await).await;
    let lock = fixture.outside.begin().await.unwrap();
    let tables = "LOCK TABLE device_keys, releases, users IN ACCESS EXCLUSIVE MODE";
    lock.execute_unprepared(tables).await.unwrap();
    fixture.until_writes_fail_for(json!("locked")).await;
    // Far below the 30 seconds after which statements are cancelled. The lock lasts longer than any statement.
    let releases = in_tenant("/apps/com.hema.wms/releases");
    let keys = in_tenant("/device-keys");
    let login = json!({"username": "admin", "password": "correct horse battery"});
    let anyone = fixture.app.anyone();
    let answers = tokio::time::timeout(Duration::from_secs(15), async {
        tokio::join!(
            fixture.write(1),
            fixture.merchant.admin.get(&releases),
            fixture.merchant.admin.get(&keys),
            anyone.post("/api/v1/auth/login", &login),
            fixture.assert_check(),
        )
    });
    let (write, releases, keys, login, ()) = answers.await.unwrap();
    for answer in [write, releases, keys, login] {
        assert_names(answer, &["locked", "end what holds the lock"]);
    }
    lock.rollback().await.unwrap();
    fixture.until_writes_fail_for(Value::Null).await;
    fixture.write(2).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_that_another_process_holds_is_told() {
    let fixture = Fixture::set(TestDatabase::sqlite().await).await;
    let lock = fixture.outside.begin().await.unwrap();
    lock.execute_unprepared("UPDATE settings SET value = value")
        .await
        .unwrap();
    // More writes than connections. Other calls must not wait for a connection.
    let writes = (0..12).map(|number| fixture.write(number));
    let apps = in_tenant("/apps");
    let (answers, lists, ()) = tokio::join!(
        futures_util::future::join_all(writes),
        fixture.merchant.admin.get(&apps),
        fixture.assert_check(),
    );
    for answer in answers {
        assert_names(answer, &["locked"]);
    }
    lists.expect(200);
    fixture.until_writes_fail_for(json!("locked")).await;
    lock.rollback().await.unwrap();
    fixture.until_writes_fail_for(Value::Null).await;
    fixture.write(100).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_postgres_is_told_and_recovers() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let disk = tempfile::TempDir::new().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=40m,mode=777", "tmpfs"])
        .arg(disk.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let unmount = Unmount(disk.path());
    let database = TestDatabase::of(&server).await;
    let outside = Database::connect(server.database()).await.unwrap();
    let small = format!("CREATE TABLESPACE small LOCATION '{}'", tablespace(disk.path()));
    outside.execute_unprepared(&small).await.unwrap();
    database.db.clone().close().await.unwrap();
    let name = database.url.split(['/', '?']).nth(3).unwrap();
    let moved = format!("ALTER DATABASE {name} SET TABLESPACE small");
    outside.execute_unprepared(&moved).await.unwrap();

    let fixture = Fixture::set(database.again().await).await;
    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    // An open file keeps its space after it is removed.
    drop(file);
    fixture.until_writes_fail_for(json!("full")).await;
    fixture.assert_check().await;
    std::fs::remove_file(&filler).unwrap();
    fixture.until_writes_fail_for(Value::Null).await;
    fixture.write(1).await.expect(201);
    drop(fixture);
    server.stop();
    drop(unmount);
}

/// Creates a directory for the server's user.
fn tablespace(disk: &Path) -> String {
    let directory = disk.join("tablespace").display().to_string();
    let made = slipway_test_support::postgres::as_server_user("mkdir", &["-m", "700", &directory]).status();
    assert!(made.unwrap().success());
    directory
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
