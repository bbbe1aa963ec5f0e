//! A log that cannot be written: a full disk, a closed pipe, or a reader that has stopped reading.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use slipway_test_support::wait::until;

const WITHIN: Duration = Duration::from_mins(1);
const PASSWORD: &str = "correct horse battery staple";

/// `slipway serve` on its own database.
struct Server {
    process: Child,
    url: String,
    http: Client,
    _data: TempDir,
}

impl Server {
    async fn start(level: &str, redirect: impl FnOnce(&mut Command)) -> Self {
        let data = TempDir::new().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .arg("serve")
            .env_clear()
            .env("SLIPWAY_LISTEN", address.to_string())
            .env("SLIPWAY_DATA_DIR", data.path())
            .env("SLIPWAY_ADMIN_PASSWORD", PASSWORD)
            .env("SLIPWAY_DRAIN_S", "0")
            .env("SLIPWAY_LOG", level)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        redirect(&mut command);
        let server = Self {
            process: command.spawn().unwrap(),
            url: format!("http://{address}"),
            http: Client::builder().timeout(WITHIN).build().unwrap(),
            _data: data,
        };
        until("the server answers", WITHIN, async || {
            server.http.get(server.at("/healthz")).send().await.is_ok()
        })
        .await;
        server
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.http.get(self.at(path)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(self.at(path)).bearer_auth(token).json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    /// Signs in, writes, and checks that every task runs.
    async fn works(&self) {
        let login = json!({"username": "admin", "password": PASSWORD});
        let (status, tokens) = self.post("/api/v1/auth/login", "", &login).await;
        assert_eq!(status, 200, "{tokens}");
        let token = tokens["access_token"].as_str().unwrap();
        let tenant = json!({"id": 10_000_000, "name": "A tenant"});
        let (status, answer) = self.post("/api/v1/tenants", token, &tenant).await;
        assert_eq!(status, 201, "{answer}");
        let readiness: Value = serde_json::from_str(&self.get("/readyz").await).unwrap();
        assert_eq!(readiness["status"], "ready", "{readiness}");
        assert_eq!(readiness["tasks_down"], json!([]), "{readiness}");
    }

    async fn dropped_lines(&self) -> u64 {
        let metrics = self.get("/metrics").await;
        let name = "slipway_log_lines_dropped_total ";
        let sample = metrics.lines().find_map(|line| line.strip_prefix(name));
        sample.unwrap().parse().unwrap()
    }

    async fn stop(mut self) -> ExitStatus {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut ended = None;
        until("the server stops", WITHIN, async || {
            ended = self.process.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process has already exited unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn full_disk() -> Stdio {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    OwnedFd::from(full).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk_harms_nothing_and_is_counted() {
    let server = Server::start("info", |command| {
        command.stderr(full_disk());
    })
    .await;
    server.works().await;
    assert!(server.dropped_lines().await > 0);
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_harms_nothing() {
    let mut server = Server::start("info", |command| {
        command.stderr(Stdio::piped());
    })
    .await;
    drop(server.process.stderr.take());
    server.works().await;
    assert!(server.dropped_lines().await > 0);
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_reading_blocks_nobody() {
    let mut server = Server::start("trace", |command| {
        command.stderr(Stdio::piped());
    })
    .await;
    let unread = server.process.stderr.take().unwrap();
    server.works().await;
    until("lines are dropped", WITHIN, async || {
        server.get("/healthz").await;
        server.dropped_lines().await > 0
    })
    .await;
    server.works_again().await;
    let told = tokio::task::spawn_blocking(|| told_dropped(unread));
    until("the log tells what was dropped", WITHIN, async || {
        server.get("/healthz").await;
        told.is_finished()
    })
    .await;
    assert!(told.await.unwrap() > 0);
    assert!(server.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_that_cannot_be_written_does_not_keep_a_server_from_starting() {
    let server = Server::start("info", |command| {
        command.env_remove("SLIPWAY_ADMIN_PASSWORD");
        command.stdout(full_disk()).stderr(full_disk());
    })
    .await;
    assert!(server.get("/readyz").await.contains("\"ready\""));
    assert!(server.stop().await.success());
}

impl Server {
    async fn works_again(&self) {
        let login = json!({"username": "admin", "password": PASSWORD});
        let (status, tokens) = self.post("/api/v1/auth/login", "", &login).await;
        assert_eq!(status, 200, "{tokens}");
    }
}

/// Reads a log until it reports the number of dropped lines. Every line must be complete.
fn told_dropped(log: ChildStderr) -> u64 {
    let lines = BufReader::new(log).lines().map_while(Result::ok);
    lines
        .map(|line| serde_json::from_str::<Value>(&line).expect("a whole line"))
        .find_map(|line| line["fields"]["dropped"].as_u64())
        .unwrap_or_default()
}
