//! A merchant: a tenant with its administrator, a device and one app.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use slipway::app::{self, Running};
use slipway::config::Config;

use super::{Answer, Caller, TENANT, TestApp, app_fields, release_fields, start, test_config};

/// The merchant's app.
pub(crate) const PACKAGE: &str = "com.hema.wms";
/// A part of the app that is released separately.
pub(crate) const CHUKU: &str = "com.hema.wms.chuku";

/// Time limit for any wait.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Merchant {
    pub(crate) admin: Caller,
    /// Caller with the tenant's device key.
    pub(crate) device: Caller,
}

impl TestApp {
    /// Creates the usual tenant with the app [`PACKAGE`].
    pub(crate) async fn merchant(&self) -> Merchant {
        let admin = self.tenant_admin(TENANT).await;
        let device = self.device(&admin, TENANT).await;
        admin
            .post(&in_tenant("/apps"), &app_fields(PACKAGE))
            .await
            .expect(201);
        Merchant { admin, device }
    }

    /// Returns a caller with an API token of the usual tenant, which stays valid when the clock is set.
    pub(crate) async fn pipeline(&self, admin: &Caller, role: &str) -> Caller {
        let body = json!({"name": "ci", "role": role});
        let made = admin.post(&in_tenant("/api-tokens"), &body).await.expect(201);
        self.bearer(made["token"].as_str().unwrap())
    }

    /// Starts another node of the same installation. Returns it and the caller at that node.
    pub(crate) async fn at_another_node(&self, caller: &Caller) -> (Running, Caller) {
        self.at_another_node_with(caller, |_| {}).await
    }

    /// Starts another node with changed settings.
    pub(crate) async fn at_another_node_with(
        &self,
        caller: &Caller,
        change: impl FnOnce(&mut Config),
    ) -> (Running, Caller) {
        let mut config = test_config(&self.database.url);
        change(&mut config);
        let node = app::start(&config, start(self.clock.clone())).await.unwrap();
        let caller = Caller {
            url: format!("http://{}", node.address),
            ..caller.clone()
        };
        (node, caller)
    }
}

impl Merchant {
    /// Requests the creation of a release.
    pub(crate) async fn create(&self, fields: &Value) -> Answer {
        self.admin.post(&in_app("/releases"), fields).await
    }

    pub(crate) async fn draft(&self, identifier: &str, version_code: i64) -> Value {
        self.create(&release_fields(identifier, version_code))
            .await
            .expect(201)
    }

    pub(crate) async fn published(&self, identifier: &str, version_code: i64) -> Value {
        self.published_with(identifier, version_code, json!({})).await
    }

    /// Creates a published release with some fields replaced.
    pub(crate) async fn published_with(&self, identifier: &str, version_code: i64, own: Value) -> Value {
        let fields = with(release_fields(identifier, version_code), own);
        let fields = with(fields, json!({"publish": true}));
        self.create(&fields).await.expect(201)
    }

    /// Performs an action on a release.
    pub(crate) async fn take(&self, release: &Value, verb: &str, arguments: &Value) -> Answer {
        let path = format!("{}/{verb}", path_of(release));
        self.admin.post(&path, arguments).await
    }

    pub(crate) async fn recall(&self, release: &Value, mode: &str) -> Answer {
        let arguments = json!({"mode": mode, "reason": "it crashes at the till"});
        self.take(release, "recall", &arguments).await
    }

    /// Reads the current release.
    pub(crate) async fn read(&self, release: &Value) -> Value {
        self.admin.get(&path_of(release)).await.expect(200)
    }

    /// Returns the offers for a device with these installed versions.
    pub(crate) async fn offers(&self, old_versions: &Value) -> Value {
        let check = with(check_fields(), json!({"old_versions": old_versions}));
        let answer = self.device.post("/v1/check", &check).await.expect(200);
        answer["data"].clone()
    }

    /// Returns the versions of [`CHUKU`] that are offered to a device with this one; 0 means not installed.
    pub(crate) async fn offered(&self, installed: i64) -> Vec<i64> {
        let offers = self.offers(&json!({CHUKU: installed})).await;
        let of_chuku = |offer: &&Value| offer["identifier"] == CHUKU;
        let version = |offer: &Value| offer["version_code"].as_i64().unwrap();
        offers
            .as_array()
            .unwrap()
            .iter()
            .filter(of_chuku)
            .map(version)
            .collect()
    }

    /// Imports devices into the project `stores`.
    pub(crate) async fn know(&self, device_ids: &[&str]) {
        let devices = device_ids
            .iter()
            .map(|id| json!({"device_id": id, "project_id": "stores"}));
        let body = json!({"devices": devices.collect::<Vec<_>>()});
        self.admin.post(&in_tenant("/devices"), &body).await.expect(200);
    }

    /// Returns the whole audit, newest first.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        every_item(&self.admin, &in_tenant("/audit?limit=200")).await
    }
}

impl Caller {
    /// Polls a path until its 200 satisfies the condition, which a task of the server brings about.
    pub(crate) async fn get_once(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.get(path).await;
            if answer.status == 200 && is_so(&answer.body) {
                return answer.body;
            }
            assert!(Instant::now() < deadline, "{path}: {}", answer.text);
        }
    }

    /// Returns the credential.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the same caller at another node.
    pub(crate) fn at(&self, node: &TestApp) -> Self {
        Self {
            url: node.url.clone(),
            ..self.clone()
        }
    }

    /// Makes a call with an additional header. A null body means no body.
    pub(crate) async fn call_with(
        &self,
        (name, value): (&str, &str),
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = self.request(method, path).header(name, value);
        self.send(if body.is_null() {
            request
        } else {
            request.json(body)
        })
        .await
    }
}

/// Returns all items of a list, page by page. The path already has a query.
pub(crate) async fn every_item(caller: &Caller, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut page = caller.get(path).await.expect(200);
    loop {
        items.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            return items;
        };
        page = caller.get(&format!("{path}&cursor={cursor}")).await.expect(200);
    }
}

/// Returns a path below the usual tenant's.
pub(crate) fn in_tenant(rest: &str) -> String {
    format!("/api/v1/tenants/{TENANT}{rest}")
}

/// Returns a path below the usual app's.
pub(crate) fn in_app(rest: &str) -> String {
    in_tenant(&format!("/apps/{PACKAGE}{rest}"))
}

/// Returns the path of a release.
pub(crate) fn path_of(release: &Value) -> String {
    in_app(&format!("/releases/{}", release["id"].as_str().unwrap()))
}

/// Returns a valid check of the usual app.
pub(crate) fn check_fields() -> Value {
    json!({"package_name": PACKAGE, "version_code": 50, "device_id": "PDA001"})
}

/// Returns an object with members added or replaced.
pub(crate) fn with(mut object: Value, other: Value) -> Value {
    let Value::Object(other) = other else {
        panic!("{other} is no object");
    };
    object.as_object_mut().unwrap().extend(other);
    object
}
