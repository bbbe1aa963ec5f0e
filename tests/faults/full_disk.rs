//! The disk of a SQLite database fills up during publishes and device records, and has space again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::{Value, json};

use slipway_test_support::embedded::EmbeddedServer;
use slipway_test_support::small_disk::SmallDisk;
use slipway_test_support::wait::until;

const RELEASES: &str = "/api/v1/tenants/1/apps/com.hema.pos/releases";
const WITHIN: Duration = Duration::from_secs(30);

/// Answers that one release manager received.
#[derive(Default)]
struct Publishes {
    acknowledged: Vec<String>,
    refused: Vec<Value>,
}

async fn publish(server: &EmbeddedServer, admin: &str, version: i64) -> (u16, Value) {
    let release = json!({
        "identifier": "com.hema.pos",
        "version_code": version,
        "version_name": format!("1.{version}"),
        "download_url": format!("https://files.example/{}{version}.bin", "long/".repeat(150)),
        "size": 1_000,
        "md5": format!("{version:032x}"),
        "publish": true,
    });
    server.post(RELEASES, admin, &release).await
}

async fn keep_publishing(
    server: Arc<EmbeddedServer>,
    admin: String,
    first: i64,
    is_over: Arc<AtomicBool>,
) -> Publishes {
    let mut publishes = Publishes::default();
    for version in (first..).step_by(2) {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        match publish(&server, &admin, version).await {
            (201, release) => publishes
                .acknowledged
                .push(release["id"].as_str().unwrap().to_owned()),
            (_, problem) => publishes.refused.push(problem),
        }
    }
    publishes
}

/// Makes checks of new devices continuously; each device is recorded.
async fn keep_checking(server: Arc<EmbeddedServer>, key: String, is_over: Arc<AtomicBool>) -> Vec<u16> {
    let mut refused = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let device = format!("PDA{number}");
        let check = json!({"package_name": "com.hema.pos", "version_code": 0, "device_id": device});
        let (status, _) = server.post("/v1/check", &key, &check).await;
        if status != 200 {
            refused.push(status);
        }
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_acknowledged_write_and_no_check() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let data_dir = disk.path().join("data");
    let server = Arc::new(EmbeddedServer::start(&data_dir).await);
    let admin = server.sign_in().await;
    server
        .make("/api/v1/tenants", &admin, &json!({"id": 1, "name": "Hema"}))
        .await;
    let app = json!({"package_name": "com.hema.pos", "app_name": "Tills"});
    server.make("/api/v1/tenants/1/apps", &admin, &app).await;
    let key = server
        .make("/api/v1/tenants/1/device-keys", &admin, &json!({"name": "tills"}))
        .await;
    let key = key["device_key"].as_str().unwrap().to_owned();

    let is_over = Arc::new(AtomicBool::new(false));
    let managers = [1, 2].map(|first| {
        tokio::spawn(keep_publishing(
            server.clone(),
            admin.clone(),
            first,
            is_over.clone(),
        ))
    });
    let devices = tokio::spawn(keep_checking(server.clone(), key, is_over.clone()));
    for _ in 0..2 {
        disk.fill();
        server.until_writes_fail_for(json!("full")).await;
        disk.free();
        server.until_writes_fail_for(Value::Null).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for manager in managers {
        let publishes = manager.await.unwrap();
        for problem in publishes.refused {
            assert_eq!(problem["status"], 503, "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains("full") && detail.contains("free space"),
                "{detail}"
            );
        }
        acknowledged.extend(publishes.acknowledged);
    }
    assert_eq!(devices.await.unwrap(), [0_u16; 0], "every check was answered");
    let after = publish(&server, &admin, 1_000_000).await;
    assert_eq!(after.0, 201, "{}", after.1);

    assert_all_there(&server, &admin, &acknowledged).await;
    assert_rows_there(&server.database(), acknowledged.len() + 1).await;
    let Some(server) = Arc::into_inner(server) else {
        panic!("nobody calls any more")
    };
    server.kill();
    let server = EmbeddedServer::start(&data_dir).await;
    assert_all_there(&server, &admin, &acknowledged).await;

    // A node must also start while the disk is full.
    disk.fill();
    server.kill();
    let server = EmbeddedServer::start(&data_dir).await;
    assert_all_there(&server, &admin, &acknowledged).await;
    server.until_writes_fail_for(json!("full")).await;
    disk.free();
    until("writes work again", WITHIN, async || {
        publish(&server, &admin, 1_000_001).await.0 == 201
    })
    .await;
    server.kill();
}

async fn assert_all_there(server: &EmbeddedServer, admin: &str, acknowledged: &[String]) {
    assert!(!acknowledged.is_empty());
    for id in acknowledged {
        let status = server.get(&format!("{RELEASES}/{id}"), admin).await.0;
        assert_eq!(status, 200, "{id} was acknowledged");
    }
}

/// Reads the file in another process than the server.
async fn assert_rows_there(database: &Path, acknowledged: usize) {
    let connection = Database::connect(format!("sqlite://{}", database.display()))
        .await
        .unwrap();
    let count = Statement::from_string(
        connection.get_database_backend(),
        "SELECT count(*) AS rows FROM releases",
    );
    let rows = connection.query_one_raw(count).await.unwrap().unwrap();
    let rows: i64 = rows.try_get("", "rows").unwrap();
    assert!(usize::try_from(rows).unwrap() >= acknowledged, "{rows} rows");
    connection.close().await.unwrap();
}
