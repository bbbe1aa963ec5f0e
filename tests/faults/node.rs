//! A node: the program as a process, which can be stopped, killed and started again.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::history::Pair;
use super::proxy::{Proxy, Target};
use super::wait::until;

const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
pub(super) const ADMIN: &str = "admin";
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// After so long without the database a node is stale: short, so that it happens.
const STALE_AFTER_S: &str = "2";
const START_WITHIN: Duration = Duration::from_mins(1);
/// How many lines of a log are kept for a failure.
const KEPT_LINES: usize = 30;

pub(super) struct Node {
    pub(super) number: usize,
    /// Between the node and the database.
    pub(super) proxy: Proxy,
    data_dir: TempDir,
    http: Client,
    life: Mutex<Life>,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// One life of a node, from a start to the kill.
struct Life {
    process: Option<Process>,
    url: String,
    /// Which life it is.
    number: u32,
    /// The newest pair of each tenant that this life has named.
    floors: HashMap<i64, Pair>,
}

/// Killed when dropped.
struct Process(Child);

/// An answer, and which life of the node gave it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) pair: Option<Pair>,
    pub(super) stale: bool,
    pub(super) body: Value,
    pub(super) life: u32,
    pub(super) took: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The node is down, or was killed meanwhile.
    Killed,
    Failed(String),
    TooLate,
}

impl Node {
    pub(super) async fn start(number: usize, target: Target) -> Self {
        let node = Self {
            number,
            proxy: Proxy::start(target).await,
            data_dir: TempDir::new().unwrap(),
            // A connection that is kept may be closed by the node at the moment it is used again.
            http: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            life: Mutex::new(Life {
                process: None,
                url: String::new(),
                number: 0,
                floors: HashMap::new(),
            }),
            log: Arc::default(),
        };
        node.start_again().await;
        node
    }

    /// Starts a life and waits until it listens.
    pub(super) async fn start_again(&self) {
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
        life.url = format!("http://{}", address.lock().unwrap().take().unwrap_or_default());
        life.number += 1;
        life.floors.clear();
    }

    fn command(&self) -> Command {
        let database = format!("postgres://slipway@127.0.0.1:{}/slipway", self.proxy.port);
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .arg("serve")
            .env_clear()
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env("SLIPWAY_DATA_DIR", self.data_dir.path())
            .env("SLIPWAY_DATABASE_URL", database)
            .env("SLIPWAY_ADMIN_USERNAME", ADMIN)
            .env("SLIPWAY_ADMIN_PASSWORD", PASSWORD)
            .env("SLIPWAY_SECRET_KEY", SECRET_KEY)
            .env("SLIPWAY_STALE_AFTER_S", STALE_AFTER_S)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.lock().unwrap().process.is_some()
    }

    pub(super) fn kill(&self) {
        let process = self.life.lock().unwrap().process.take();
        drop(process.expect("only what is up is killed"));
    }

    /// `STOP` or `CONT`.
    pub(super) fn signal(&self, signal: &str) {
        let pid = self.life.lock().unwrap().process.as_ref().unwrap().0.id();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The last lines of the log.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().cloned().collect()
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
        within: Duration,
    ) -> Result<Answer, NoAnswer> {
        let (url, life) = {
            let life = self.life.lock().unwrap();
            if life.process.is_none() {
                return Err(NoAnswer::Killed);
            }
            (life.url.clone(), life.number)
        };
        let mut request = self.http.request(method, format!("{url}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let begun = Instant::now();
        match timeout(within, read(request)).await {
            Ok(Ok((status, pair, stale, body))) => Ok(Answer {
                status,
                pair,
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

    /// The newest pair of a tenant that the node has named in this life, and which life that is.
    pub(super) fn floor(&self, tenant: i64) -> Option<(u32, Pair)> {
        let now = self.life.lock().unwrap();
        Some((now.number, now.floors.get(&tenant)?.clone()))
    }

    /// Notes that a life of the node has named a pair, so that it may name no older one any more.
    pub(super) fn raise_floor(&self, life: u32, tenant: i64, pair: &Pair) {
        let mut now = self.life.lock().unwrap();
        let is_higher = now
            .floors
            .get(&tenant)
            .is_none_or(|floor| floor.revision < pair.revision);
        if now.number == life && is_higher {
            now.floors.insert(tenant, pair.clone());
        }
    }

    /// After a failover another history counts.
    pub(super) fn drop_floors(&self) {
        self.life.lock().unwrap().floors.clear();
    }

    pub(super) async fn sign_in(&self) -> String {
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

async fn read(request: reqwest::RequestBuilder) -> Result<(u16, Option<Pair>, bool, Value), reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let pair = header("slipway-revision").and_then(|named| Pair::parse(&named));
    let stale = header("slipway-stale").is_some();
    let text = response.text().await?;
    Ok((
        status,
        pair,
        stale,
        serde_json::from_str(&text).unwrap_or(Value::Null),
    ))
}

/// The address in the log line that tells it.
fn address_in(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let is_listening = fields["message"] == "listening";
    fields["address"]
        .as_str()
        .filter(|_| is_listening)
        .map(str::to_owned)
}
