//! A server process with its embedded database.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::program;
use super::wait::until;

const PASSWORD: &str = "correct horse battery";
const WITHIN: Duration = Duration::from_mins(1);

pub struct EmbeddedServer {
    process: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
    http: Client,
    pub data_dir: PathBuf,
}

impl EmbeddedServer {
    /// Starts a server on a data directory. If it refuses to start, returns the last line that it wrote.
    pub async fn try_start(data_dir: &Path) -> Result<Self, String> {
        Self::try_start_with(data_dir, &[]).await
    }

    pub async fn try_start_with(data_dir: &Path, settings: &[(&str, &str)]) -> Result<Self, String> {
        let mut process = command(data_dir).envs(settings.iter().copied()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let last_words = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let reader = std::thread::spawn({
            let (log, last_words) = (log.clone(), last_words.clone());
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    match serde_json::from_str(&line) {
                        Ok(line) => log.lock().unwrap().push(line),
                        Err(_) => *last_words.lock().unwrap() = line,
                    }
                }
            }
        });
        let mut address = None;
        until("the server listens or ends", WITHIN, async || {
            address = log.lock().unwrap().iter().find_map(program::listening_address);
            address.is_some() || process.try_wait().unwrap().is_some()
        })
        .await;
        let Some(address) = address else {
            reader.join().unwrap();
            return Err(last_words.lock().unwrap().clone());
        };
        Ok(Self {
            process,
            address,
            log,
            http: Client::new(),
            data_dir: data_dir.to_owned(),
        })
    }

    pub async fn start(data_dir: &Path) -> Self {
        Self::try_start(data_dir).await.unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn database(&self) -> PathBuf {
        self.data_dir.join("slipway.db")
    }

    /// Returns the messages logged at a level.
    pub fn logged(&self, level: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let lines = log.iter().filter(|line| line["level"] == level);
        lines.map(|line| line["fields"].to_string()).collect()
    }

    pub async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let mut request = self
            .http
            .request(method, format!("http://{}{path}", self.address))
            .bearer_auth(token);
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.call(Method::GET, path, token, &Value::Null).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.call(Method::POST, path, token, body).await
    }

    /// Makes a call that must succeed, and returns its body.
    pub async fn make(&self, path: &str, token: &str, body: &Value) -> Value {
        let (status, made) = self.post(path, token, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {made}");
        made
    }

    pub async fn sign_in(&self) -> String {
        let login = json!({"username": "admin", "password": PASSWORD});
        let answer = self.make("/api/v1/auth/login", "", &login).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn readiness(&self) -> Value {
        self.get("/readyz", "").await.1
    }

    /// Waits until writes fail for this cause, or succeed if it is `null`.
    pub async fn until_writes_fail_for(&self, cause: Value) {
        until(&format!("writes fail for {cause}"), WITHIN, async || {
            self.readiness().await["cause"] == cause
        })
        .await;
        let readiness = self.readiness().await;
        let is_failing = !cause.is_null();
        assert_eq!(
            readiness["writes"],
            if is_failing { "failing" } else { "working" }
        );
        assert_eq!(readiness["status"], if is_failing { "degraded" } else { "ready" });
    }

    /// Stops the process as an operator does, and waits until it has exited.
    pub async fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        until("the server stops", WITHIN, async || {
            self.process.try_wait().unwrap().is_some()
        })
        .await;
    }

    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        // Ignores the error of a process that has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(program::path());
    command
        .arg("serve")
        .env_clear()
        .env("SLIPWAY_LISTEN", "127.0.0.1:0")
        .env("SLIPWAY_DATA_DIR", data_dir)
        .env("SLIPWAY_ADMIN_PASSWORD", PASSWORD)
        .env("SLIPWAY_DRAIN_S", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}
