//! Objects of a tenant, created over the API, for the pages to show.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::harness::{Answer, Caller, PASSWORD, TestApp, app_fields, push_fields, release_fields};

/// Ids by their placeholder in [`super::roles::ROWS`].
pub(super) struct Objects(Vec<(&'static str, String)>);

impl Objects {
    pub(super) async fn make(app: &TestApp, admin: &Caller, tenant: i64, number: usize) -> Self {
        let base = format!("/api/v1/tenants/{tenant}");
        let make = async |path: &str, body: Value| {
            let made = admin.post(&format!("{base}{path}"), &body).await;
            assert!((200..300).contains(&made.status), "{path}: {}", made.text);
            made.body
        };
        let upload = async |content: String| {
            let request = admin.request(Method::POST, &format!("{base}/artifacts"));
            let stored = Answer::read(request.body(content).send().await.unwrap()).await;
            stored.expect(201)["sha256"].as_str().unwrap().to_owned()
        };
        let id = |made: Value| made["id"].as_str().unwrap().to_owned();
        let package = format!("com.example.n{number}");
        let spare = format!("{package}.spare");
        make("/apps", app_fields(&package)).await;
        make("/apps", app_fields(&spare)).await;
        let releases = format!("/apps/{package}/releases");
        let identifier = format!("{package}.part");
        let release = async |version: i64, publish: bool| {
            let mut fields = release_fields(&identifier, version);
            fields["publish"] = json!(publish);
            id(make(&releases, fields).await)
        };
        let published = release(1, true).await;
        let to_pause = release(2, true).await;
        let paused = release(3, true).await;
        make(&format!("{releases}/{paused}/pause"), json!({})).await;
        let to_recall = release(4, true).await;
        let draft = release(5, false).await;
        let to_discard = release(6, false).await;
        let device = format!("device-{number}");
        make(
            "/devices",
            json!({"devices": [{"device_id": device, "project_id": "stores"}]}),
        )
        .await;
        let device_key = make("/device-keys", json!({"name": "devices"})).await;
        let enrolled = format!("enrolled-{number}");
        let enrol = json!({"device_id": enrolled, "project_id": "stores"});
        let holder = app.bearer(device_key["device_key"].as_str().unwrap());
        holder.post("/v1/devices", &enrol).await.expect(201);
        let pin = json!({"package_name": package, "identifier": identifier, "device_id": device, "mode": "hold",
            "reason": "stock-taking"});
        let pin = admin.put(&format!("{base}/pins"), &pin).await.expect(200);
        let user = json!({"username": format!("person-{number}"), "password": PASSWORD, "role": "viewer"});
        let platform = app.platform_admin().await;
        let administrator = json!({"username": format!("platform-{number}"), "password": PASSWORD});
        let administrator = platform.post("/api/v1/users", &administrator).await.expect(201);
        let platform_token = json!({"name": format!("platform-{number}")});
        let platform_token = platform
            .post("/api/v1/api-tokens", &platform_token)
            .await
            .expect(201);
        Self(vec![
            ("{tenant}", tenant.to_string()),
            ("{number}", number.to_string()),
            ("{package}", package.clone()),
            ("{spare}", spare),
            ("{identifier}", identifier.clone()),
            ("{published}", published),
            ("{to_pause}", to_pause),
            ("{paused}", paused),
            ("{to_recall}", to_recall),
            ("{draft}", draft),
            ("{to_discard}", to_discard),
            ("{push}", id(make("/pushes", push_fields(&[&device])).await)),
            ("{device}", device),
            ("{enrolled}", enrolled),
            ("{pin}", id(pin)),
            ("{user}", id(make("/users", user).await)),
            (
                "{app_key}",
                id(make("/app-keys", json!({"name": "SDK", "role": "device"})).await),
            ),
            ("{device_key}", id(device_key)),
            (
                "{token}",
                id(make("/api-tokens", json!({"name": "ci", "role": "viewer"})).await),
            ),
            ("{artifact}", upload(format!("artifact {number}")).await),
            (
                "{spare_artifact}",
                upload(format!("spare artifact {number}")).await,
            ),
            ("{administrator}", id(administrator)),
            ("{platform_token}", id(platform_token)),
        ])
    }

    /// Replaces the placeholders with ids.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, id) in &self.0 {
            filled = filled.replace(name, id);
        }
        filled
    }
}
