//! A running server process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::connection::Connection;
use crate::fleet::SECRET_KEY;
use crate::process::{Process, SERVER_CORE, free_address, on_core};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway");
pub(crate) const ADMIN: &str = "admin";
pub(crate) const PASSWORD: &str = "correct horse battery";
const SNAPSHOT_WITHIN: Duration = Duration::from_mins(5);
const READY_WITHIN: Duration = Duration::from_mins(5);

/// A server.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// Time from the start of the process until it was ready.
    pub(crate) ready_after: Duration,
    _data_dir: Option<TempDir>,
}

/// Settings of a node's start.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    pub(crate) database_url: &'a str,
    /// True for one worker on the server's core. Otherwise the node has the default number of workers on all cores.
    pub(crate) on_one_core: bool,
    /// Settings in addition to the usual ones.
    pub(crate) settings: &'a [(&'a str, &'a str)],
    /// Data directory of an earlier node.
    pub(crate) data_dir: Option<PathBuf>,
}

impl Node {
    /// Starts a node with one worker on the server's core.
    pub(crate) fn on_one_core(database_url: &str) -> anyhow::Result<Self> {
        Self::start(Setup {
            database_url,
            on_one_core: true,
            ..Setup::default()
        })
    }

    /// Starts the program and waits until it is ready.
    pub(crate) fn start(setup: Setup<'_>) -> anyhow::Result<Self> {
        let own_dir = if setup.data_dir.is_none() {
            Some(tempfile::tempdir()?)
        } else {
            None
        };
        let data_dir = setup
            .data_dir
            .or_else(|| own_dir.as_ref().map(|own| own.path().to_owned()))
            .context("one of the two is there")?;
        let address = free_address()?;
        let mut command = if setup.on_one_core {
            let mut command = on_core(SERVER_CORE, PROGRAM);
            command.env("SLIPWAY_WORKERS", "1");
            command
        } else {
            Command::new(PROGRAM)
        };
        command
            .arg("serve")
            .env("SLIPWAY_LISTEN", address.to_string())
            .env("SLIPWAY_DATA_DIR", &data_dir)
            .env("SLIPWAY_DATABASE_URL", setup.database_url)
            .env(
                "SLIPWAY_ARTIFACTS_URL",
                format!("file://{}/artifacts", data_dir.display()),
            )
            .env("SLIPWAY_PUBLIC_URL", format!("http://{address}"))
            .env("SLIPWAY_SECRET_KEY", SECRET_KEY)
            .env("SLIPWAY_ADMIN_USERNAME", ADMIN)
            .env("SLIPWAY_ADMIN_PASSWORD", PASSWORD)
            .env("SLIPWAY_LOGIN_ATTEMPTS_PER_ACCOUNT", "100000")
            .env("SLIPWAY_LOGIN_ATTEMPTS_PER_SOURCE", "100000")
            .envs(setup.settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // The report contains no log. The log is deleted with the node's data.
            .stderr(File::create(data_dir.join("log"))?);
        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        wait_until_ready(address, &mut process).with_context(|| last_lines(&data_dir.join("log")))?;
        Ok(Self {
            address,
            process,
            ready_after: began.elapsed(),
            _data_dir: own_dir,
        })
    }

    /// Returns the sum of a metric over all series whose labels contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        let text = Connection::open(self.address)?.get("/metrics")?.text()?;
        Ok(text
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }

    /// Waits until the node has saved its first snapshot, and returns the waiting time.
    pub(crate) fn wait_for_snapshot(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        while self.metric("slipway_snapshot_saved_total", "")? < 1.0 {
            ensure!(
                began.elapsed() < SNAPSHOT_WITHIN,
                "a snapshot did not come within {} s",
                SNAPSHOT_WITHIN.as_secs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(began.elapsed())
    }

    /// Returns the number of checks answered successfully so far.
    pub(crate) fn answered_checks(&self) -> anyhow::Result<f64> {
        let all = self.metric("slipway_checks_total", "")?;
        let failed = self.metric("slipway_checks_total", "refused")?
            + self.metric("slipway_checks_total", "app_unknown")?;
        Ok(all - failed)
    }
}

/// Returns the last lines of a node's log, which is deleted with its data.
fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().rev().take(10).collect();
    lines.reverse();
    lines.join("\n")
}

fn wait_until_ready(address: SocketAddr, process: &mut Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        let answer = Connection::open(address).and_then(|mut connection| connection.get("/readyz"));
        if answer.is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        if process.has_ended() {
            bail!("the server ended before it was ready");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("the server was not ready within {READY_WITHIN:?}")
}
