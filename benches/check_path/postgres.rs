//! A throw-away PostgreSQL server with its usual durability. It can be stopped and restarted.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use slipway_test_support::postgres::{as_server_user, program, run};

use crate::process::program_on_path;

/// Cleans up when its standard input closes. The pipe closes when this process ends, even after a kill.
const WATCHDOG: &str = r#"cat >/dev/null; "$1" -D "$2/data" -m immediate stop >/dev/null 2>&1; rm -rf "$2""#;

/// Settings besides the defaults: memory for a million releases, no checkpoints forced by bulk loads, and counting of
/// statements.
const SETTINGS: &str = "-c listen_addresses= -c shared_buffers=1GB -c max_wal_size=8GB -c max_connections=200 \
                        -c shared_preload_libraries=pg_stat_statements";

pub(crate) struct Postgres {
    directory: PathBuf,
    /// Holds the pipe that stays open while this process runs; see [`WATCHDOG`].
    _watchdog: Child,
}

impl Postgres {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = run(&mut as_server_user(
            "mktemp",
            &["-d", "-t", "slipway-bench.XXXXXX"],
        ));
        let directory = PathBuf::from(directory.trim());
        let pg_ctl = program("pg_ctl");
        let watchdog = as_server_user("sh", &["-c", WATCHDOG, "watchdog"])
            .arg(pg_ctl)
            .arg(&directory)
            .stdin(Stdio::piped())
            // Ctrl-C must not end the watchdog before it has cleaned up.
            .process_group(0)
            .spawn()?;
        let postgres = Self {
            directory,
            _watchdog: watchdog,
        };
        let initdb = program("initdb");
        let options = [
            "-U",
            "slipway",
            "-A",
            "trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ];
        run(as_server_user(text(&initdb)?, &["-D"])
            .arg(postgres.directory.join("data"))
            .args(options));
        postgres.resume()?;
        Ok(postgres)
    }

    /// Starts the server again after [`Postgres::stop`].
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        let options = format!("-k {} {SETTINGS}", self.directory.display());
        self.control(&[
            "-w",
            "-l",
            text(&self.directory.join("log"))?,
            "-o",
            &options,
            "start",
        ])
    }

    pub(crate) fn stop(&self) -> anyhow::Result<()> {
        self.control(&["-w", "-m", "fast", "stop"])
    }

    /// Creates an empty database and returns its URL.
    pub(crate) fn create_database(&self, name: &str) -> anyhow::Result<String> {
        self.execute("postgres", &format!("CREATE DATABASE {name}"))?;
        let directory = self.directory.display();
        Ok(format!("postgres://slipway@localhost/{name}?host={directory}"))
    }

    /// Runs statements and returns their output: a line for each row, columns separated by tabs.
    pub(crate) fn execute(&self, database: &str, statements: &str) -> anyhow::Result<String> {
        let mut child = Command::new(program_on_path("psql").context("psql is not on the path")?)
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-F",
                "\t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "slipway",
                "-h",
            ])
            .arg(&self.directory)
            .args(["-d", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("psql's input is piped")?;
        stdin.write_all(statements.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "psql failed");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = as_server_user(text(&program("pg_ctl"))?, &["-D"])
            .arg(self.directory.join("data"))
            .args(arguments)
            // The server would keep a pipe open while it runs.
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "pg_ctl {arguments:?} failed");
        Ok(())
    }
}

fn text(path: &std::path::Path) -> anyhow::Result<&str> {
    path.to_str().context("the path is not text")
}
