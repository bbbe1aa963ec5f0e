//! Brings a tenant into the state of a case with the admin API.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::super::harness::{Answer, Caller, NOW, TestApp, TopClient};
use super::super::operations::api_token;
use crate::resolve::case::{list, release_with_defaults};

/// A tenant that no case's key belongs to.
const OTHER: i64 = 9_000_000;
/// Number of a nonexistent tenant.
const UNKNOWN: i64 = 9_999_999;

/// One server for all cases.
pub(super) struct Fixture<'a> {
    app: &'a TestApp,
    platform: Caller,
    next_tenant: AtomicI64,
}

/// The tenant of a case.
pub(super) struct Tenant {
    pub(super) number: i64,
    pub(super) admin: Caller,
    pub(super) device: Caller,
    /// Gateway client of the same tenant.
    pub(super) client: TopClient,
    base: String,
    /// Path of the first app, which actions concern.
    first_app: String,
    first_package: String,
    /// Paths of the first app's releases by `<identifier>@<version_code>`.
    releases: BTreeMap<String, String>,
}

impl<'a> Fixture<'a> {
    pub(super) async fn make(app: &'a TestApp) -> Self {
        let platform = app.platform_admin().await;
        let fixture = Self {
            app,
            platform,
            next_tenant: AtomicI64::new(1),
        };
        fixture.make_tenant(OTHER).await;
        fixture
    }

    async fn make_tenant(&self, number: i64) {
        // The administrator's session is valid at the tests' usual time.
        self.app.set_clock(NOW);
        let body = json!({"id": number, "name": "A tenant"});
        self.platform.post("/api/v1/tenants", &body).await.expect(201);
    }

    /// Creates a tenant in the state of the case.
    pub(super) async fn set_up(&self, case: &Value) -> Tenant {
        let number = self.next_tenant.fetch_add(1, Ordering::Relaxed);
        self.make_tenant(number).await;
        let first = &case["apps"][0]["package_name"];
        let base = format!("/api/v1/tenants/{number}");
        let mut tenant = Tenant {
            number,
            admin: api_token(self.app, &self.platform, number, "admin").await,
            device: self.app.device(&self.platform, number).await,
            client: self.app.top_client(&self.platform, number, "device").await,
            first_app: format!("{base}/apps/{}", text(first)),
            first_package: text(first).to_owned(),
            releases: BTreeMap::new(),
            base,
        };
        if !case["org_directory"].is_null() {
            tenant.set_org_directory(&case["org_directory"]).await.expect(200);
        }
        for app in list(&case["apps"]) {
            tenant.add_app(app).await;
        }
        if !case["tenant"].is_null() {
            // People of a disabled tenant have no access.
            self.platform
                .patch(&tenant.base, &case["tenant"])
                .await
                .expect(200);
        }
        tenant
    }

    /// Performs one action of a case.
    pub(super) async fn act(&self, tenant: &mut Tenant, action: &Value) -> Answer {
        let fields = &action["fields"];
        let admin = tenant.admin.clone();
        let (base, app) = (tenant.base.clone(), tenant.first_app.clone());
        let release = || tenant.releases[text(&action["release"])].clone();
        match text(&action["action"]) {
            "create_app" => admin.post(&format!("{base}/apps"), fields).await,
            "patch_app" => {
                let package = action["package_name"].as_str().unwrap_or(&tenant.first_package);
                admin.patch(&format!("{base}/apps/{package}"), fields).await
            }
            "patch_tenant" => {
                self.app.set_clock(NOW);
                self.platform.patch(&base, fields).await
            }
            "patch_resource" => {
                let path = format!("{app}/resources/{}", text(&action["identifier"]));
                admin.patch(&path, fields).await
            }
            "put_pin" => {
                let package = tenant.first_package.clone();
                tenant.put_pin(&package, fields).await
            }
            "set_org_directory" => tenant.set_org_directory(&action["org_directory"]).await,
            "create_release" => tenant.create_release(&app, fields, false).await,
            "patch_release" => admin.patch(&release(), fields).await,
            "set_rollout" => {
                let body = json!({"percent": action["percent"]});
                admin.put(&format!("{}/rollout", release()), &body).await
            }
            "publish" => {
                let body = json!({"force": action["force"] == true});
                admin.post(&format!("{}/publish", release()), &body).await
            }
            "recall" => recall(&admin, &release(), &action["mode"]).await,
            verb @ ("pause" | "resume" | "discard") => {
                admin.post(&format!("{}/{verb}", release()), &json!({})).await
            }
            other => panic!("the cases have a new action: {other}"),
        }
    }
}

impl Tenant {
    /// Returns the request with the case's `tenant_id`.
    pub(super) fn request(&self, mut request: Value, sent: &Value) -> Value {
        request["tenant_id"] = match sent.as_str().unwrap_or("own") {
            "own" => json!(self.number),
            "own_as_text" => json!(self.number.to_string()),
            "unknown" => json!(UNKNOWN),
            "other" => json!(OTHER),
            "missing" => return without(&request, &["tenant_id"]),
            other => panic!("the cases have a new kind of tenant: {other}"),
        };
        request
    }

    async fn set_org_directory(&self, paths: &Value) -> Answer {
        let nodes: Vec<_> = list(paths).iter().map(|path| json!({"path": path})).collect();
        let path = format!("{}/org-directory", self.base);
        self.admin.put(&path, &json!({"nodes": nodes})).await
    }

    async fn add_app(&mut self, app: &Value) {
        let fields = without(app, &["enabled", "resources", "releases", "pins"]);
        self.admin
            .post(&format!("{}/apps", self.base), &fields)
            .await
            .expect(201);
        let package_name = text(&app["package_name"]);
        let path = format!("{}/apps/{package_name}", self.base);
        self.add_releases(&path, app).await;
        for settings in list(&app["resources"]) {
            let resource = format!("{path}/resources/{}", text(&settings["identifier"]));
            let answer = self
                .admin
                .patch(&resource, &without(settings, &["identifier"]))
                .await;
            answer.expect(200);
        }
        for pin in list(&app["pins"]) {
            self.put_pin(package_name, pin).await.expect(200);
        }
        if app["enabled"] == false {
            self.admin
                .patch(&path, &json!({"enabled": false}))
                .await
                .expect(200);
        }
    }

    /// Adds the releases. Discarded drafts come first, because their versions may be in use again.
    async fn add_releases(&mut self, app_path: &str, app: &Value) {
        let (discarded, others): (Vec<_>, Vec<_>) = list(&app["releases"])
            .iter()
            .partition(|release| release["state"] == "discarded");
        for release in discarded.into_iter().chain(others) {
            let state = release["state"].as_str().unwrap_or("published");
            let is_public = !matches!(state, "draft" | "discarded");
            let fields = without(release, &["state", "recall_mode"]);
            let made = self
                .create_release(app_path, &fields, is_public)
                .await
                .expect(201);
            let path = format!("{app_path}/releases/{}", text(&made["id"]));
            match state {
                "draft" | "published" => {}
                "recalled" => self.recall_whatever_its_kind(app_path, &path, release).await,
                "paused" => drop(
                    self.admin
                        .post(&format!("{path}/pause"), &json!({}))
                        .await
                        .expect(200),
                ),
                "discarded" => drop(
                    self.admin
                        .post(&format!("{path}/discard"), &json!({}))
                        .await
                        .expect(200),
                ),
                other => panic!("the cases have a new state: {other}"),
            }
        }
    }

    /// Recalls a release of any kind. A resource may have become an apk after a rollback, which an apk would refuse.
    async fn recall_whatever_its_kind(&self, app_path: &str, path: &str, release: &Value) {
        let resource = format!("{app_path}/resources/{}", text(&release["identifier"]));
        let kind = self.admin.get(&resource).await.expect(200)["kind"].clone();
        self.admin
            .patch(&resource, &json!({"kind": "other"}))
            .await
            .expect(200);
        recall(&self.admin, path, &release["recall_mode"])
            .await
            .expect(200);
        self.admin
            .patch(&resource, &json!({"kind": kind}))
            .await
            .expect(200);
    }

    async fn create_release(&mut self, app_path: &str, fields: &Value, publish: bool) -> Answer {
        let mut body = release_with_defaults(fields);
        if publish {
            body["publish"] = json!(true);
            // The initial state may be in an order that publishing refuses.
            body["force"] = json!(true);
        }
        let answer = self.admin.post(&format!("{app_path}/releases"), &body).await;
        if let Some(id) = answer.body["id"].as_str().filter(|_| app_path == self.first_app) {
            let name = format!("{}@{}", text(&fields["identifier"]), fields["version_code"]);
            self.releases.insert(name, format!("{app_path}/releases/{id}"));
        }
        answer
    }

    async fn put_pin(&self, package_name: &str, fields: &Value) -> Answer {
        let mut body = fields.clone();
        body["package_name"] = json!(package_name);
        body["reason"] = json!("a case");
        self.admin.put(&format!("{}/pins", self.base), &body).await
    }
}

async fn recall(admin: &Caller, release: &str, mode: &Value) -> Answer {
    let body = json!({"mode": mode, "reason": "a case"});
    admin.post(&format!("{release}/recall"), &body).await
}

fn without(object: &Value, members: &[&str]) -> Value {
    let mut object = object.clone();
    for member in members {
        object.as_object_mut().unwrap().remove(*member);
    }
    object
}

fn text(json: &Value) -> &str {
    json.as_str().unwrap()
}
