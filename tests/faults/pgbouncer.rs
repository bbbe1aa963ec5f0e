//! `PgBouncer` between a node and PostgreSQL.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use slipway::app;
use slipway::clock::SystemClock;
use tempfile::TempDir;

use crate::api::harness::{CHUKU, TestApp, start, test_config};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::postgres::as_server_user;
use slipway_test_support::wait::until;

const WITHIN: Duration = Duration::from_secs(20);

/// A pooler that stops at the end of the test.
struct PgBouncer {
    process: Child,
    url: String,
    _directory: TempDir,
}

impl PgBouncer {
    /// Returns `None` if `PgBouncer` is not installed.
    async fn start(database: &TestDatabase, pool_mode: &str) -> Option<Self> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.exists() {
            eprintln!("skipped: PgBouncer is not installed (apt-get install pgbouncer)");
            return None;
        }
        let (address, sockets) = database.url.split_once("?host=").unwrap();
        let (_, name) = address.rsplit_once('/').unwrap();
        // The port may be taken meanwhile, but PgBouncer cannot choose a free port itself.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let settings = format!(
            "[databases]\n{name} = host={sockets} user=slipway\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n"
        );
        let file: PathBuf = directory.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let process = as_server_user(program.to_str().unwrap(), &[])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("PgBouncer listens", WITHIN, async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
        Some(Self {
            process,
            url: format!("postgres://slipway@127.0.0.1:{port}/{name}"),
            _directory: directory,
        })
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // `runuser` forwards this signal. SIGKILL would leave its child running.
        let pid = self.process.id().to_string();
        let _ = std::process::Command::new("kill").arg(pid).status();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_pgbouncer_in_session_mode_a_node_works() {
    let database = TestDatabase::postgres().await;
    let Some(pooler) = PgBouncer::start(&database, "session").await else {
        return;
    };
    let app = TestApp::start_with(database, |config| config.database_url = Some(pooler.url.clone())).await;
    let merchant = app.merchant().await;
    let released = merchant.published(CHUKU, 5).await;
    assert_eq!(merchant.offered(1).await, [5]);
    merchant.recall(&released, "stop").await.expect(200);
    assert_eq!(merchant.offered(1).await, [0_i64; 0]);
    app.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncer_in_transaction_mode_is_refused_with_advice() {
    for pool_mode in ["transaction", "statement"] {
        let database = TestDatabase::postgres().await;
        let Some(pooler) = PgBouncer::start(&database, pool_mode).await else {
            return;
        };
        let refused = app::start(&test_config(&pooler.url), start(Arc::new(SystemClock))).await;
        let why = format!("{:#}", refused.err().expect("the node does not start"));
        assert!(why.contains("pool_mode = session"), "{pool_mode}: {why}");
    }
}
