//! A PostgreSQL cluster like that of an installation: a durable primary, and a standby that can lag behind.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::postgres::{as_server_user, initialise, program, run};
use super::proxy::{Endpoint, Mode, Proxy, Target};
use super::wait::until;

/// Stops the servers of a directory when its standard input closes. The pipe closes when this process ends, even after
/// a kill.
const WATCHDOG: &str = r#"
    cat >/dev/null
    for pid in $(head -qn1 "$1"/*/postmaster.pid 2>/dev/null); do
        kill -QUIT "$pid" 2>/dev/null
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    done
    rm -rf "$1"
"#;
const SETTINGS: &str = "-c listen_addresses= -c max_connections=150 -c shared_buffers=32MB";
/// Time limit for an operation of a server.
const DEADLINE: Duration = Duration::from_mins(1);

/// The PostgreSQL servers of one installation.
pub struct Cluster {
    directory: PathBuf,
    /// Number of servers created so far.
    made: u32,
    primary: Server,
    standby: Option<Server>,
    /// Proxy between the standby and its primary.
    replication: Proxy,
    /// Socket of the primary. All proxies to the database share it.
    pub target: Target,
    _watchdog: Child,
}

struct Server {
    data: PathBuf,
    sockets: PathBuf,
}

impl Cluster {
    pub async fn start() -> Self {
        let made = as_server_user("mktemp", &["-d", "-t", "slipway-cluster.XXXXXX"]).output();
        let directory = PathBuf::from(String::from_utf8(made.unwrap().stdout).unwrap().trim());
        let watchdog = as_server_user("sh", &["-c", WATCHDOG, "watchdog"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let primary = Server::at(&directory, 0);
        initialise(&primary.data);
        primary.start().await;
        run(Command::new(program("createdb"))
            .args(["-U", "slipway", "-h"])
            .arg(&primary.sockets)
            .arg("slipway"));
        let target: Target = Arc::new(Mutex::new(Endpoint::Socket(primary.socket())));
        let replication = Proxy::start(target.clone()).await;
        Self {
            directory,
            made: 1,
            primary,
            standby: None,
            replication,
            target,
            _watchdog: watchdog,
        }
    }

    /// Returns a pool that connects to the primary directly.
    pub fn pool(&self) -> PgPool {
        self.primary.pool()
    }

    /// Kills the primary's postmaster without any cleanup.
    pub fn crash(&self) {
        self.primary.kill();
    }

    pub async fn restart(&self) {
        self.primary.start().await;
    }

    /// Creates a standby of the primary and waits until it has caught up.
    pub async fn add_standby(&mut self) {
        let standby = Server::at(&self.directory, self.made);
        self.made += 1;
        self.replication.set(Mode::Open);
        let (from, to) = (self.primary.sockets.clone(), standby.data.clone());
        let port = self.replication.port;
        tokio::task::spawn_blocking(move || copy_base(&from, &to, port))
            .await
            .unwrap();
        standby.start().await;
        let behind = self.primary.wal_position().await;
        until("the standby has caught up", DEADLINE, async || {
            standby.has_replayed(&behind).await
        })
        .await;
        self.standby = Some(standby);
    }

    /// Returns true if the standby has everything that the primary has now.
    pub async fn standby_has_caught_up(&self) -> bool {
        let position = self.primary.wal_position().await;
        let standby = self.standby.as_ref().expect("there is a standby");
        standby.has_replayed(&position).await
    }

    /// Returns the socket of the standby.
    pub fn standby_socket(&self) -> PathBuf {
        self.standby.as_ref().expect("there is a standby").socket()
    }

    /// Cuts replication: the standby misses everything that is committed from now on.
    pub fn leave_standby_behind(&self) {
        self.replication.set(Mode::Refuse);
    }

    /// Kills the primary for good and promotes the standby. Clients of a proxy must have been cut off before.
    pub async fn fail_over(&mut self) {
        self.primary.kill();
        self.primary = self.standby.take().expect("there is a standby");
        let pool = self.primary.pool();
        sqlx::query("SELECT pg_promote(true, 60)")
            .execute(&pool)
            .await
            .unwrap();
        *self.target.lock().unwrap() = Endpoint::Socket(self.primary.socket());
    }
}

impl Server {
    fn at(directory: &Path, number: u32) -> Self {
        let sockets = directory.join(format!("sockets{number}"));
        run(as_server_user("mkdir", &[]).arg(&sockets));
        Self {
            data: directory.join(format!("server{number}")),
            sockets,
        }
    }

    fn socket(&self) -> PathBuf {
        self.sockets.join(".s.PGSQL.5432")
    }

    fn pool(&self) -> PgPool {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.sockets)
            .username("slipway")
            .database("slipway")
            .application_name("runner");
        PgPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(3))
            .connect_lazy_with(options)
    }

    /// Starts the server. Retries while remains of a killed server block the start.
    async fn start(&self) {
        until("PostgreSQL starts", DEADLINE, async || {
            let (data, sockets) = (self.data.clone(), self.sockets.clone());
            tokio::task::spawn_blocking(move || pg_ctl_start(&data, &sockets))
                .await
                .unwrap()
        })
        .await;
    }

    fn kill(&self) {
        let file = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let pid = file
            .lines()
            .next()
            .expect("the file begins with the postmaster's pid");
        run(Command::new("kill").args(["-KILL", pid]));
    }

    async fn wal_position(&self) -> String {
        let query = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text");
        query.fetch_one(&self.pool()).await.unwrap()
    }

    async fn has_replayed(&self, position: &str) -> bool {
        let query = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)";
        let replayed = sqlx::query_scalar(query)
            .bind(position)
            .fetch_one(&self.pool())
            .await;
        replayed.unwrap_or(false)
    }
}

fn pg_ctl_start(data: &Path, sockets: &Path) -> bool {
    let options = format!("-k {} {SETTINGS}", sockets.display());
    let log = data.with_extension("log");
    let arguments = ["start", "-w", "-t", "60", "-D"];
    as_server_user(program("pg_ctl").to_str().unwrap(), &arguments)
        .arg(data)
        .arg("-l")
        .arg(log)
        .args(["-o", &options])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

fn copy_base(sockets: &Path, to: &Path, port: u16) {
    let arguments = ["-U", "slipway", "-c", "fast", "--no-sync", "-R", "-h"];
    run(
        as_server_user(program("pg_basebackup").to_str().unwrap(), &arguments)
            .arg(sockets)
            .arg("-D")
            .arg(to),
    );
    // The last line of the configuration wins.
    let conninfo = format!("primary_conninfo = 'host=127.0.0.1 port={port} user=slipway'");
    let script = "echo \"$1\" >>\"$2/postgresql.auto.conf\"";
    run(as_server_user("sh", &["-c", script, "sh", &conninfo]).arg(to));
}
