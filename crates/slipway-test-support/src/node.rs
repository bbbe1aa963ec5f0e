//! A node: the program as a process behind a proxy to its database, which can be stopped, killed and started again.

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

use super::proxy::{Proxy, Target};
use super::wait::until;

const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const ADMIN: &str = "admin";
const PASSWORD: &str = "correct horse battery staple";
const START_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// How many lines of a log are kept for a failure.
const KEPT_LINES: usize = 30;

pub struct NodeProcess {
    pub number: usize,
    /// Between the node and the database.
    pub proxy: Proxy,
    settings: Vec<(&'static str, String)>,
    data_dir: TempDir,
    http: Client,
    life: Mutex<Life>,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// One life of a node, from a start to its end.
struct Life {
    process: Option<Process>,
    address: SocketAddr,
    /// Which life it is.
    number: u32,
}

/// Killed when dropped.
struct Process(Child);

/// An answer, and which life of the node gave it.
pub struct NodeAnswer {
    pub status: u16,
    /// What `Slipway-Revision` names.
    pub revision: Option<String>,
    pub stale: bool,
    pub body: Value,
    pub life: u32,
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The node is down, or was killed meanwhile.
    Killed,
    Failed(String),
    TooLate,
}

impl NodeProcess {
    /// Starts a node on a database, with settings beside the usual ones.
    pub async fn start(number: usize, target: Target, settings: Vec<(&'static str, String)>) -> Self {
        let node = Self {
            number,
            proxy: Proxy::start(target).await,
            settings,
            data_dir: TempDir::new().unwrap(),
            // A connection that is kept may be closed by the node at the moment it is used again.
            http: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            life: Mutex::new(Life {
                process: None,
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                number: 0,
            }),
            log: Arc::default(),
        };
        node.start_again().await;
        node
    }

    /// Starts a life and waits until it listens.
    pub async fn start_again(&self) {
        let mut process = Process(self.command().spawn().unwrap());
        let stderr = BufReader::new(process.0.stderr.take().unwrap());
        let address = Arc::new(Mutex::new(None));
        let (log, found) = (self.log.clone(), address.clone());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
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
        let mut life = self.life.lock().unwrap();
        life.process = Some(process);
        life.address = address.lock().unwrap().take().expect("it listens");
        life.number += 1;
    }

    fn command(&self) -> Command {
        let database = format!("postgres://slipway@127.0.0.1:{}/slipway", self.proxy.port);
        let mut command = Command::new(super::program::path());
        command
            .arg("serve")
            .env_clear()
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env("SLIPWAY_DATA_DIR", self.data_dir.path())
            .env("SLIPWAY_DATABASE_URL", database)
            .env("SLIPWAY_ARTIFACTS_URL", format!("file://{}", self.data_dir.path().display()))
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
        self.life.lock().unwrap().process.is_some()
    }

    /// Which life it is in, or was last.
    pub fn life(&self) -> u32 {
        self.life.lock().unwrap().number
    }

    /// Where it listens, or listened last.
    pub fn address(&self) -> SocketAddr {
        self.life.lock().unwrap().address
    }

    pub fn kill(&self) {
        let process = self.life.lock().unwrap().process.take();
        drop(process.expect("only what is up is killed"));
    }

    /// Tells the node to stop, and waits until it has.
    pub async fn stop(&self) {
        self.signal("TERM");
        until("a node stops", STOP_WITHIN, async || {
            let mut life = self.life.lock().unwrap();
            let process = life.process.as_mut().expect("nobody else ends it");
            process.0.try_wait().unwrap().is_some()
        })
        .await;
        self.life.lock().unwrap().process = None;
    }

    /// `STOP`, `CONT` or `TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = self.life.lock().unwrap().process.as_ref().unwrap().0.id();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The last lines of the log.
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
        let (address, life) = {
            let life = self.life.lock().unwrap();
            if life.process.is_none() {
                return Err(NoAnswer::Killed);
            }
            (life.address, life.number)
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
                life,
                took: begun.elapsed(),
            }),
            Ok(Err(_)) if self.was_killed_since(life) => Err(NoAnswer::Killed),
            Ok(Err(error)) => Err(NoAnswer::Failed(format!("{error:?}"))),
            Err(_) => Err(NoAnswer::TooLate),
        }
    }

    fn was_killed_since(&self, life: u32) -> bool {
        let now = self.life.lock().unwrap();
        now.process.is_none() || now.number != life
    }

    /// An access token of the first administrator.
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
        // One that has ended cannot be killed, which is as well.
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

/// The address in the log line that tells it.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let is_listening = fields["message"] == "listening";
    fields["address"].as_str().filter(|_| is_listening)?.parse().ok()
}
