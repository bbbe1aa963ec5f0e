//! A running server process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;

use super::super::harness::{ADMIN, PASSWORD};
use slipway_test_support::program::parse_listening_address;

pub(in crate::api) const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// Time limit for the program to start or to exit.
const DEADLINE: Duration = Duration::from_mins(1);

/// A server process. Killed when dropped.
pub(in crate::api) struct Node {
    url: String,
    http: Client,
    /// Credential for the admin API.
    pub(in crate::api) token: Option<String>,
    process: Process,
}

pub(in crate::api) struct NodeAnswer {
    pub(in crate::api) status: u16,
    pub(in crate::api) revision: String,
    text: String,
}

struct Process {
    child: Child,
    log: mpsc::Receiver<String>,
    _data_dir: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ignores the error of a process that has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(database_url: &str, secret_key: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let data_dir = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .arg("serve")
            .env_clear()
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env("SLIPWAY_DATA_DIR", data_dir.path())
            .env("SLIPWAY_DATABASE_URL", database_url)
            .env(
                "SLIPWAY_ARTIFACTS_URL",
                format!("file://{}", data_dir.path().display()),
            )
            .env("SLIPWAY_ADMIN_USERNAME", ADMIN)
            .env("SLIPWAY_ADMIN_PASSWORD", PASSWORD)
            .envs(secret_key.map(|key| ("SLIPWAY_SECRET_KEY", key)))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = mpsc::channel();
        // Reads to the end, so that the program never blocks on its log.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            log,
            _data_dir: data_dir,
        }
    }

    /// Returns the next line of the log, or `None` when the program has exited.
    fn line(&self, deadline: Instant) -> Option<String> {
        match self
            .log
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program neither starts nor gives up"),
        }
    }
}

impl Node {
    pub(in crate::api) fn start(database_url: &str) -> Self {
        Self::start_with_key(database_url, SECRET_KEY)
    }

    pub(in crate::api) fn start_with_key(database_url: &str, secret_key: &str) -> Self {
        Self::of(Process::start(database_url, Some(secret_key), &[]))
    }

    /// Starts with settings in addition to the usual ones.
    pub(in crate::api) fn start_with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::of(Process::start(database_url, Some(SECRET_KEY), settings))
    }

    /// Starts, and returns the log lines up to the one that reports listening.
    pub(in crate::api) fn start_and_read(database_url: &str) -> (Self, Vec<String>) {
        Self::read(Process::start(database_url, Some(SECRET_KEY), &[]))
    }

    fn of(process: Process) -> Self {
        Self::read(process).0
    }

    fn read(process: Process) -> (Self, Vec<String>) {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = Vec::new();
        while let Some(line) = process.line(deadline) {
            if let Some(address) = parse_listening_address(&line) {
                let node = Self {
                    url: format!("http://{address}"),
                    http: Client::new(),
                    token: None,
                    process,
                };
                return (node, lines);
            }
            lines.push(line);
        }
        panic!("the program ended: {lines:#?}");
    }

    /// Returns the next line of the log that contains this text.
    pub(in crate::api) fn log_line(&self, text: &str) -> Value {
        let deadline = Instant::now() + DEADLINE;
        while let Some(line) = self.process.line(deadline) {
            if line.contains(text) {
                return serde_json::from_str(&line).unwrap();
            }
        }
        panic!("the program ended without a line with {text}");
    }

    pub(in crate::api) fn url(&self) -> &str {
        &self.url
    }

    /// Returns host and port.
    pub(in crate::api) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(in crate::api) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Sends `SIGTERM` to the program.
    pub(in crate::api) fn terminate(&self) {
        let pid = self.process.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Returns true if the program exits without an error before the deadline.
    pub(in crate::api) fn has_ended_well(&mut self, deadline: Instant) -> bool {
        while self.process.line(deadline).is_some() {}
        self.process.child.wait().unwrap().success()
    }

    pub(in crate::api) async fn sign_in(&mut self, username: &str, password: &str) {
        let body = serde_json::json!({"username": username, "password": password});
        let answer = self.post("/api/v1/auth/login", &body).await.expect(200);
        self.token = answer["access_token"].as_str().map(str::to_owned);
    }

    pub(in crate::api) async fn get(&self, path: &str) -> NodeAnswer {
        self.call(Method::GET, path, self.token.as_deref(), None).await
    }

    /// Makes a GET with another credential.
    pub(in crate::api) async fn get_as(&self, token: &str, path: &str) -> NodeAnswer {
        self.call(Method::GET, path, Some(token), None).await
    }

    pub(in crate::api) async fn post(&self, path: &str, body: &Value) -> NodeAnswer {
        self.call(Method::POST, path, self.token.as_deref(), Some(body))
            .await
    }

    /// Makes a POST with another credential.
    pub(in crate::api) async fn post_as(&self, token: &str, path: &str, body: &Value) -> NodeAnswer {
        self.call(Method::POST, path, Some(token), Some(body)).await
    }

    pub(in crate::api) async fn put(&self, path: &str, body: &Value) -> NodeAnswer {
        self.call(Method::PUT, path, self.token.as_deref(), Some(body))
            .await
    }

    pub(in crate::api) async fn delete(&self, path: &str) -> NodeAnswer {
        self.call(Method::DELETE, path, self.token.as_deref(), None).await
    }

    /// Makes a check with a device key.
    pub(in crate::api) async fn check(&self, device_key: &str, body: &Value) -> NodeAnswer {
        self.call(Method::POST, "/v1/check", Some(device_key), Some(body))
            .await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> NodeAnswer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let revision = response.headers().get("slipway-revision");
        NodeAnswer {
            status: response.status().as_u16(),
            revision: revision.map_or("", |text| text.to_str().unwrap()).to_owned(),
            text: response.text().await.unwrap(),
        }
    }
}

impl NodeAnswer {
    /// Returns the body of an answer that must have this status.
    #[track_caller]
    pub(in crate::api) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Returns the error message of a program that refuses to start.
pub(in crate::api) fn refusal_of_a_start(database_url: &str, secret_key: Option<&str>) -> String {
    let mut process = Process::start(database_url, secret_key, &[]);
    let deadline = Instant::now() + DEADLINE;
    let mut lines = Vec::new();
    while let Some(line) = process.line(deadline) {
        assert!(
            parse_listening_address(&line).is_none(),
            "the program started: {line}"
        );
        lines.push(line);
    }
    assert!(!process.child.wait().unwrap().success());
    lines.join("\n")
}
