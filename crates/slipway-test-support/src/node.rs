//! A node: the program as a process behind a proxy to its database. It can be stopped, killed and restarted.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::program;
use super::proxy::{Proxy, Target};
use super::wait::until;

const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const ADMIN: &str = "admin";
const PASSWORD: &str = "correct horse battery staple";
const START_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// Number of log lines that are kept for the message of a failure.
const KEPT_LINES: usize = 30;

pub struct NodeProcess {
    pub number: usize,
    /// Proxy between the node and the database.
    pub proxy: Proxy,
    settings: Vec<(&'static str, String)>,
    data_dir: TempDir,
    http: Client,
    run: Mutex<Run>,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// One run of the program, from its start to its exit.
struct Run {
    process: Option<Process>,
    address: SocketAddr,
    /// Number of the run, counted from 1.
    number: u32,
}

/// Killed when dropped.
struct Process(Child);

/// An answer, with the number of the run that gave it.
pub struct NodeAnswer {
    pub status: u16,
    /// Value of `Slipway-Revision`.
    pub revision: Option<String>,
    pub stale: bool,
    pub body: Value,
    pub run_number: u32,
    pub took: Duration,
}

/// Reason for a missing answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The node is down, or was killed during the call.
    Killed,
    Failed(String),
    TooLate,
}

impl NodeProcess {
    /// Starts a node on a database, with settings in addition to the usual ones.
    pub async fn start(number: usize, target: Target, settings: Vec<(&'static str, String)>) -> Self {
        let node = Self {
            number,
            proxy: Proxy::start(target).await,
            settings,
            data_dir: TempDir::new().unwrap(),
            // The node may close an idle connection just when it is reused.
            http: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            run: Mutex::new(Run {
                process: None,
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                number: 0,
            }),
            log: Arc::default(),
        };
        node.start_again().await;
        node
    }

    /// Starts the program again and waits until it listens.
    pub async fn start_again(&self) {
        let mut process = Process(self.command().spawn().unwrap());
        let stderr = BufReader::new(process.0.stderr.take().unwrap());
        let address = Arc::new(Mutex::new(None));
        let (log, found) = (self.log.clone(), address.clone());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(address) = program::parse_listening_address(&line) {
                    *found.lock().unwrap() = Some(address);
                }
                let mut log = log.lock().unwrap();
                log.push_back(line);
                if log.len() > KEPT_LINES {
                    log.pop_front();
                }
            }
        });
        until("a node listens", START_WITHIN, async || {
            address.lock().unwrap().is_some()
        })
        .await;
        let mut run = self.run.lock().unwrap();
        run.process = Some(process);
        run.address = address.lock().unwrap().take().expect("it listens");
        run.number += 1;
    }

    fn command(&self) -> Command {
        let database = format!("postgres://slipway@127.0.0.1:{}/slipway", self.proxy.port);
        let mut command = Command::new(program::path());
        command
            .arg("serve")
            .env_clear()
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env("SLIPWAY_DATA_DIR", self.data_dir.path())
            .env("SLIPWAY_DATABASE_URL", database)
            .env(
                "SLIPWAY_ARTIFACTS_URL",
                format!("file://{}", self.data_dir.path().display()),
            )
            .env("SLIPWAY_ADMIN_USERNAME", ADMIN)
            .env("SLIPWAY_ADMIN_PASSWORD", PASSWORD)
            .env("SLIPWAY_SECRET_KEY", SECRET_KEY)
            .envs(self.settings.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    pub fn is_up(&self) -> bool {
        self.run.lock().unwrap().process.is_some()
    }

    /// Returns the number of the current or last run.
    pub fn run_number(&self) -> u32 {
        self.run.lock().unwrap().number
    }

    /// Returns the address of the current or last run.
    pub fn address(&self) -> SocketAddr {
        self.run.lock().unwrap().address
    }

    pub fn kill(&self) {
        let process = self.run.lock().unwrap().process.take();
        drop(process.expect("only what is up is killed"));
    }

    /// Sends `SIGTERM` to the node and waits until it has exited.
    pub async fn stop(&self) {
        self.signal("TERM");
        until("a node stops", STOP_WITHIN, async || {
            let mut run = self.run.lock().unwrap();
            let process = run.process.as_mut().expect("nobody else ends it");
            process.0.try_wait().unwrap().is_some()
        })
        .await;
        self.run.lock().unwrap().process = None;
    }

    /// Sends `STOP`, `CONT` or `TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = self.run.lock().unwrap().process.as_ref().unwrap().0.id();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Returns the last lines of the log.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().cloned().collect()
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
        within: Duration,
    ) -> Result<NodeAnswer, NoAnswer> {
        let (address, run_number) = {
            let run = self.run.lock().unwrap();
            if run.process.is_none() {
                return Err(NoAnswer::Killed);
            }
            (run.address, run.number)
        };
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let begun = Instant::now();
        match timeout(within, read(request)).await {
            Ok(Ok((status, revision, stale, body))) => Ok(NodeAnswer {
                status,
                revision,
                stale,
                body,
                run_number,
                took: begun.elapsed(),
            }),
            Ok(Err(_)) if self.was_killed_since(run_number) => Err(NoAnswer::Killed),
            Ok(Err(error)) => Err(NoAnswer::Failed(format!("{error:?}"))),
            Err(_) => Err(NoAnswer::TooLate),
        }
    }

    fn was_killed_since(&self, run_number: u32) -> bool {
        let now = self.run.lock().unwrap();
        now.process.is_none() || now.number != run_number
    }

    /// Signs in as the first administrator and returns the access token.
    pub async fn sign_in(&self) -> String {
        let login = json!({"username": ADMIN, "password": PASSWORD});
        let path = "/api/v1/auth/login";
        let answer = self
            .call(Method::POST, path, None, &login, START_WITHIN)
            .await
            .unwrap();
        answer.body["access_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ignores the error of a process that has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn read(
    request: reqwest::RequestBuilder,
) -> Result<(u16, Option<String>, bool, Value), reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let revision = header("slipway-revision");
    let stale = header("slipway-stale").is_some();
    let text = response.text().await?;
    Ok((
        status,
        revision,
        stale,
        serde_json::from_str(&text).unwrap_or(Value::Null),
    ))
}
