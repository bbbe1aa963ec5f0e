//! The real server in this process, on a database of its own, with a clock that tests can set.

mod answer;
mod artifacts;
mod fixtures;
mod merchant;
pub(crate) mod raw;
mod top;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use slipway::app::{self, Running, StartOptions};
use slipway::clock::{Clock, FixedClock, SystemClock};
use slipway::config::{ArtifactConfig, Config, DeliveryConfig, DeviceRecordConfig, MqttConfig};
use slipway::http::ForwardedHeader;
use slipway::storage::Durability;

pub(crate) use answer::Answer;
pub(crate) use artifacts::{DOWNLOADS, apk, apk_with, md5, new_link, plant_artifact, sha256};
pub(crate) use fixtures::{TENANT, app_fields, push_fields, release_fields};
pub(crate) use merchant::{
    CHUKU, DEADLINE, Merchant, PACKAGE, check_fields, every_item, in_app, in_tenant, path_of, with,
};
pub(crate) use top::{CHECK, PUSH, TopCall, TopClient, as_texts, form, percent, plant_app_key, xml_to_json};

use slipway_test_support::database::TestDatabase;
use tempfile::TempDir;

pub(crate) const ADMIN: &str = "admin";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Secret key of every node, unless a test needs another.
pub(crate) const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// Initial time of the clock in every test.
pub(crate) const NOW: &str = "2026-03-02T02:00:00Z";

/// A running server.
pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) running: Running,
    pub(crate) database: TestDatabase,
    http: Client,
}

/// A caller of the server, with or without a credential.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) url: String,
    http: Client,
    token: Option<String>,
}

impl TestApp {
    pub(crate) async fn start(database: TestDatabase) -> Self {
        Self::start_with(database, |_| {}).await
    }

    /// Starts with changed settings.
    pub(crate) async fn start_with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(FixedClock::at(NOW.parse().unwrap()));
        let mut config = test_config(&database.url);
        change(&mut config);
        let running = app::start(&config, start(clock.clone())).await.unwrap();
        Self::of(database, clock, running)
    }

    /// Starts with the system's clock, for clients that send the real time. Setting the clock has no effect.
    pub(crate) async fn start_by_system_clock(database: TestDatabase) -> Self {
        let config = test_config(&database.url);
        let running = app::start(&config, start(Arc::new(SystemClock))).await.unwrap();
        let unused = Arc::new(FixedClock::at(NOW.parse().unwrap()));
        Self::of(database, unused, running)
    }

    fn of(database: TestDatabase, clock: Arc<FixedClock>, running: Running) -> Self {
        Self {
            url: format!("http://{}", running.address),
            clock,
            running,
            database,
            http: Client::new(),
        }
    }

    pub(crate) fn set_clock(&self, now: &str) {
        let now: DateTime<Utc> = now.parse().unwrap();
        self.clock.set(now);
    }

    /// Returns a caller without a credential.
    pub(crate) fn anyone(&self) -> Caller {
        self.with_token(None)
    }

    /// Returns a caller with a bearer token of any kind.
    pub(crate) fn bearer(&self, token: &str) -> Caller {
        self.with_token(Some(token.to_owned()))
    }

    /// Signs in, and returns the caller.
    pub(crate) async fn login(&self, username: &str, password: &str) -> Caller {
        let body = json!({"username": username, "password": password});
        let answer = self.anyone().post("/api/v1/auth/login", &body).await.expect(200);
        self.bearer(answer["access_token"].as_str().unwrap())
    }

    /// Signs in as the first administrator.
    pub(crate) async fn platform_admin(&self) -> Caller {
        self.login(ADMIN, PASSWORD).await
    }

    fn with_token(&self, token: Option<String>) -> Caller {
        Caller {
            url: self.url.clone(),
            http: self.http.clone(),
            token,
        }
    }
}

/// Returns the settings of a node on this database. Several nodes share the key.
pub(crate) fn test_config(database_url: &str) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        operations_listen: None,
        data_dir: std::env::temp_dir(),
        database_url: Some(database_url.to_owned()),
        database_connections: None,
        admin_username: ADMIN.to_owned(),
        admin_password: Some(PASSWORD.to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
        trusted_proxies: Vec::new(),
        forwarded_header: ForwardedHeader::Auto,
        public_url: None,
        next_check_s: 3_600,
        next_check_after_offer_s: 300,
        poll_interval_ms: 250,
        hints: true,
        workers: Some(1),
        stale_after_s: 900,
        snapshot_interval_s: 0,
        gateway_calls_per_minute: 0,
        push_preview_lifetime_s: 600,
        push_lifetime_s: 604_800,
        push_retention_days: 90,
        artifacts: ArtifactConfig {
            url: Some(artifacts_url(database_url)),
            bucket_variables: Vec::new(),
            max_bytes: 2 << 30,
            retention_days: 30,
            scrub_days: 30,
            downloads: 256,
            download_min_rate: 8_192,
            download_redirect: false,
            download_url: Some("https://files.example".to_owned()),
        },
        connections_per_worker: 25_000,
        costly_calls: 10_000,
        drain_s: 0,
        login_attempts_per_account: 100_000,
        login_attempts_per_account_anywhere: 1_000_000,
        login_attempts_per_source: 100_000,
        invalid_tokens_per_source: 1_000_000,
        device_records: DeviceRecordConfig {
            enabled: true,
            new_devices_per_day: 100_000,
            states: 1_024,
            queue: 1_024,
            batch: 500,
            wait_ms: 5,
        },
        delivery: DeliveryConfig {
            redelivery_ms: 15_000,
            redelivery_max_ms: 300_000,
            device_rate: 20,
            heartbeat_ms: 20_000,
        },
        mqtt: MqttConfig {
            url: None,
            username: None,
            password: None,
            ca_file: None,
        },
    }
}

/// Returns the URL of the artifact folder of a database. All nodes on the database share it.
fn artifacts_url(database_url: &str) -> String {
    static FOLDERS: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().unwrap());
    let name: String = database_url
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let folder = FOLDERS.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    format!("file://{}", folder.display())
}

pub(crate) fn start(clock: Arc<dyn Clock>) -> StartOptions {
    StartOptions {
        clock,
        durability: Durability::Relaxed,
        handle_signals: false,
        announce: |_| {},
    }
}

impl Caller {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Returns a request to which a test adds headers or an unusual body.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }
}
