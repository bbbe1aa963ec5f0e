//! Every operation of the API with a valid request, for tests of all operations.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Answer, Caller, PASSWORD, TestApp, app_fields, push_fields, release_fields, with};

/// A valid request for one operation.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// Objects of one tenant for the operations. Each action on a release has its own release, so that every operation can
/// run once.
pub(crate) struct Objects {
    pub(crate) tenant: i64,
    /// Distinguishes these objects from others of the same tenant.
    pub(crate) number: i64,
    pub(crate) username: String,
    pub(crate) refresh_token: String,
    pub(crate) app_key: Value,
    pub(crate) device_key: Value,
    pub(crate) api_token: Value,
    administrator: String,
    platform_token: String,
    pub(crate) package_name: String,
    pub(crate) identifier: String,
    pub(crate) device_id: String,
    pub(crate) push: String,
    /// A device with its own token.
    pub(crate) enrolled_device_id: String,
    pub(crate) device_token: String,
    pub(crate) trace_id: String,
    user: String,
    app_without_releases: String,
    pin: String,
    draft: String,
    another_draft: String,
    published: String,
    paused: String,
    to_recall: String,
    artifact: Value,
    artifact_to_delete: String,
}

impl Objects {
    /// Creates one object of every kind as an administrator.
    pub(crate) async fn make(app: &TestApp, admin: &Caller, tenant: i64, number: i64) -> Self {
        let base = format!("/api/v1/tenants/{tenant}");
        let make =
            async |path: &str, body: Value| admin.post(&format!("{base}{path}"), &body).await.expect(201);
        let username = format!("somebody-{tenant}-{number}");
        let user = make(
            "/users",
            json!({"username": username, "password": PASSWORD, "role": "viewer"}),
        )
        .await;
        let app_key = make("/app-keys", json!({"name": "SDK", "role": "device"})).await;
        let device_key = make("/device-keys", json!({"name": "devices"})).await;
        let api_token = make("/api-tokens", json!({"name": "ci", "role": "viewer"})).await;

        let platform = app.platform_admin().await;
        let administrator = json!({"username": format!("platform-{tenant}-{number}"), "password": PASSWORD});
        let administrator = platform.post("/api/v1/users", &administrator).await.expect(201);
        let platform_token = json!({"name": format!("platform-{tenant}-{number}")});
        let platform_token = platform
            .post("/api/v1/api-tokens", &platform_token)
            .await
            .expect(201);

        let package_name = format!("com.example.t{tenant}.n{number}");
        let app_without_releases = format!("{package_name}.spare");
        make("/apps", app_fields(&package_name)).await;
        make("/apps", app_fields(&app_without_releases)).await;
        let identifier = format!("{package_name}.part");
        let releases = format!("/apps/{package_name}/releases");
        let release = async |version_code: i64, publish: bool| {
            let mut fields = release_fields(&identifier, version_code);
            fields["publish"] = json!(publish);
            id_of(&make(&releases, fields).await)
        };
        let published = release(1, true).await;
        let paused = release(2, true).await;
        let pause = format!("{base}{releases}/{paused}/pause");
        admin.post(&pause, &json!({})).await.expect(200);
        let device_id = format!("device-{tenant}-{number}");
        let devices = json!({"devices": [{"device_id": device_id, "project_id": "stores"}]});
        admin.post(&format!("{base}/devices"), &devices).await.expect(200);
        let trace_id = format!("trace-{tenant}-{number}");
        let push = with(push_fields(&[&device_id]), json!({"trace_id": trace_id}));
        let push = id_of(&make("/pushes", push).await);
        let enrolled_device_id = format!("enrolled-{tenant}-{number}");
        let enrol = json!({"device_id": enrolled_device_id, "project_id": "stores"});
        let device = app.bearer(device_key["device_key"].as_str().unwrap());
        let enrolled = device.post("/v1/devices", &enrol).await.expect(201);
        let artifact = make("/artifacts", json!({"file": format!("{tenant}-{number}")})).await;
        let artifact_to_delete = make("/artifacts", json!({"spare": format!("{tenant}-{number}")})).await;
        let pin = json!({"package_name": package_name, "identifier": identifier, "device_id": "PDA001",
            "mode": "hold", "reason": "stock-taking"});
        Self {
            tenant,
            number,
            refresh_token: sign_in(app, &username).await["refresh_token"]
                .as_str()
                .unwrap()
                .to_owned(),
            username,
            user: id_of(&user),
            app_key,
            device_key,
            api_token,
            administrator: id_of(&administrator),
            platform_token: id_of(&platform_token),
            app_without_releases,
            pin: id_of(&admin.put(&format!("{base}/pins"), &pin).await.expect(200)),
            to_recall: release(3, true).await,
            artifact_to_delete: artifact_to_delete["sha256"].as_str().unwrap().to_owned(),
            artifact,
            draft: release(4, false).await,
            another_draft: release(5, false).await,
            published,
            paused,
            package_name,
            identifier,
            device_id,
            push,
            enrolled_device_id,
            device_token: enrolled["device_token"].as_str().unwrap().to_owned(),
            trace_id,
        }
    }
}

/// Creates a person of a tenant with the common password.
pub(crate) async fn make_person(admin: &Caller, tenant: i64, username: &str, role: &str) {
    let body = json!({"username": username, "password": PASSWORD, "role": role});
    let path = format!("/api/v1/tenants/{tenant}/users");
    admin.post(&path, &body).await.expect(201);
}

/// Signs in, and returns the answer.
pub(crate) async fn sign_in(app: &TestApp, username: &str) -> Value {
    let body = json!({"username": username, "password": PASSWORD});
    app.anyone().post("/api/v1/auth/login", &body).await.expect(200)
}

/// Creates an API token of this role.
pub(crate) async fn api_token(app: &TestApp, admin: &Caller, tenant: i64, role: &str) -> Caller {
    let path = format!("/api/v1/tenants/{tenant}/api-tokens");
    let body = json!({"name": role, "role": role});
    let made = admin.post(&path, &body).await.expect(201);
    app.bearer(made["token"].as_str().unwrap())
}

/// Sends the request of an operation.
pub(crate) async fn call(caller: &Caller, operation: &Operation) -> Answer {
    let request = caller.request(operation.method.clone(), &operation.path);
    let request = match &operation.body {
        Some(body) => request.json(body),
        None => request,
    };
    caller.send(request).await
}

/// Returns the only table of operations, in an order in which all of them can run. Operations that end the caller's own
/// sessions come last.
#[expect(clippy::too_many_lines, reason = "a table with a row for each operation")]
pub(crate) fn operations(of: &Objects) -> Vec<Operation> {
    let tenant = format!("/api/v1/tenants/{}", of.tenant);
    let app = format!("{tenant}/apps/{}", of.package_name);
    let (own, number) = (format!("{}-{}", of.tenant, of.number), of.number);
    let key = |kind: &str, made: &Value| format!("{tenant}/{kind}/{}", id_of(made));
    let release = |id: &str, verb: &str| format!("{app}/releases/{id}{verb}");
    let user = format!("{tenant}/users/{}", of.user);
    let administrator = format!("/api/v1/users/{}", of.administrator);
    let platform_token = format!("/api/v1/api-tokens/{}", of.platform_token);
    let resource = format!("{app}/resources/{}", of.identifier);
    let (pins, devices) = (format!("{tenant}/pins"), format!("{tenant}/devices"));
    let pushes = format!("{tenant}/pushes");
    let one_device = format!("/v1/devices/{}", of.enrolled_device_id);
    let (app_key, device_key) = (key("app-keys", &of.app_key), key("device-keys", &of.device_key));
    let api_token = key("api-tokens", &of.api_token);
    let device = json!({"version_code": 1, "device_id": "PDA001"});
    let mut check = device.clone();
    check["package_name"] = json!(of.package_name);
    let pin = json!({"package_name": of.package_name, "identifier": of.identifier, "org_path": ["HM"],
        "mode": "ceiling", "version_code": 9, "reason": "stock-taking"});
    let artifacts = format!("{tenant}/artifacts");
    let artifact = format!("{artifacts}/{}", of.artifact["sha256"].as_str().unwrap());
    let download = of.artifact["download_url"].as_str().unwrap();
    let download = download.trim_start_matches("https://files.example");
    let download_page = format!("/get/{}", download.split('/').nth(2).unwrap());
    vec![
        get("get_health", "/healthz"),
        get("get_readiness", "/readyz"),
        get("get_metrics", "/metrics"),
        post("check", "/v1/check", check),
        get(
            "check_again",
            &format!(
                "/v1/check?package_name={}&version_code=1&device_id=PDA001",
                of.package_name
            ),
        ),
        post(
            "enrol_device",
            "/v1/devices",
            json!({"device_id": format!("own-{own}"), "project_id": "stores"}),
        ),
        get("receive_events", &format!("{one_device}/events")),
        get("poll_pushes", &format!("{one_device}/pushes")),
        post(
            "acknowledge_push",
            &format!("{one_device}/pushes/{}/ack", of.push),
            json!({"state": "received"}),
        ),
        post(
            "login",
            "/api/v1/auth/login",
            json!({"username": of.username, "password": PASSWORD}),
        ),
        post(
            "refresh",
            "/api/v1/auth/refresh",
            json!({"refresh_token": of.refresh_token}),
        ),
        get("get_me", "/api/v1/me"),
        post(
            "create_administrator",
            "/api/v1/users",
            json!({"username": format!("new-platform-{own}"), "password": PASSWORD}),
        ),
        get("list_administrators", "/api/v1/users"),
        get("get_administrator", &administrator),
        patch("update_administrator", &administrator, json!({"enabled": false})),
        delete("delete_administrator", &administrator),
        post(
            "create_platform_token",
            "/api/v1/api-tokens",
            json!({"name": format!("new-{own}")}),
        ),
        get("list_platform_tokens", "/api/v1/api-tokens"),
        get("get_platform_token", &platform_token),
        delete("delete_platform_token", &platform_token),
        get("list_platform_audit", "/api/v1/audit"),
        get("list_tenants", "/api/v1/tenants"),
        post(
            "create_tenant",
            "/api/v1/tenants",
            json!({"id": of.tenant + 1 + number, "name": "A new one"}),
        ),
        get("get_tenant", &tenant),
        patch(
            "update_tenant",
            &tenant,
            json!({"name": format!("Renamed {number}")}),
        ),
        post(
            "create_user",
            &format!("{tenant}/users"),
            json!({"username": format!("new-{own}"), "password": PASSWORD, "role": "viewer"}),
        ),
        get("list_users", &format!("{tenant}/users")),
        get("get_user", &user),
        patch("update_user", &user, json!({"role": "publisher"})),
        delete("delete_user", &user),
        post(
            "create_app_key",
            &format!("{tenant}/app-keys"),
            json!({"name": "new", "role": "operator"}),
        ),
        get("list_app_keys", &format!("{tenant}/app-keys")),
        get("get_app_key", &app_key),
        post("rotate_app_key", &format!("{app_key}/rotate"), json!({})),
        delete("delete_app_key", &app_key),
        post(
            "create_device_key",
            &format!("{tenant}/device-keys"),
            json!({"name": "new"}),
        ),
        get("list_device_keys", &format!("{tenant}/device-keys")),
        get("get_device_key", &device_key),
        delete("delete_device_key", &device_key),
        post(
            "create_api_token",
            &format!("{tenant}/api-tokens"),
            json!({"name": "new", "role": "viewer"}),
        ),
        get("list_api_tokens", &format!("{tenant}/api-tokens")),
        get("get_api_token", &api_token),
        delete("delete_api_token", &api_token),
        put(
            "replace_org_directory",
            &format!("{tenant}/org-directory"),
            json!({"nodes": [{"path": ["HM", format!("HM-{number}")]}]}),
        ),
        get("get_org_directory", &format!("{tenant}/org-directory")),
        get("list_org_devices", &format!("{tenant}/org-directory/devices")),
        post(
            "create_app",
            &format!("{tenant}/apps"),
            app_fields(&format!("com.new.{own}")),
        ),
        get("list_apps", &format!("{tenant}/apps")),
        get("get_app", &app),
        patch("update_app", &app, json!({"app_name": "Renamed"})),
        delete(
            "delete_app",
            &format!("{tenant}/apps/{}", of.app_without_releases),
        ),
        get("list_resources", &format!("{app}/resources")),
        get("get_resource", &resource),
        patch("update_resource", &resource, json!({"kind": "miniapp"})),
        post(
            "create_release",
            &format!("{app}/releases"),
            release_fields(&of.identifier, 99),
        ),
        get("list_releases", &format!("{app}/releases")),
        get("get_release", &release(&of.published, "")),
        patch(
            "update_release",
            &release(&of.published, ""),
            json!({"update_desc": "Prints again"}),
        ),
        put(
            "set_rollout",
            &release(&of.published, "/rollout"),
            json!({"percent": 50}),
        ),
        post("publish_release", &release(&of.draft, "/publish"), json!({})),
        post(
            "publish_releases",
            &format!("{app}/publish"),
            json!({"release_ids": [of.draft]}),
        ),
        post("pause_release", &release(&of.published, "/pause"), json!({})),
        post("resume_release", &release(&of.paused, "/resume"), json!({})),
        post(
            "discard_release",
            &release(&of.another_draft, "/discard"),
            json!({}),
        ),
        post(
            "recall_release",
            &release(&of.to_recall, "/recall"),
            json!({"mode": "stop", "reason": "crashes at the till"}),
        ),
        post("explain_check", &format!("{app}/explain"), device),
        post("upload_artifact", &artifacts, json!({"new": own})),
        get("list_artifacts", &artifacts),
        get("get_artifact", &artifact),
        get("get_artifact_content", &format!("{artifact}/content")),
        patch("update_artifact", &artifact, json!({"keep": true})),
        delete(
            "delete_artifact",
            &format!("{artifacts}/{}", of.artifact_to_delete),
        ),
        get("download_artifact", download),
        get("get_download_page", &download_page),
        get("get_download_qr_svg", &format!("{download_page}/qr.svg")),
        get("get_download_qr_png", &format!("{download_page}/qr.png")),
        post(
            "replace_artifact_link",
            &format!("{artifact}/new-link"),
            json!({}),
        ),
        put("put_pin", &pins, pin),
        get("list_pins", &pins),
        get("get_pin", &format!("{pins}/{}", of.pin)),
        delete("delete_pin", &format!("{pins}/{}", of.pin)),
        post(
            "import_devices",
            &devices,
            json!({"devices": [{"device_id": format!("new-{own}"), "project_id": "stores"}]}),
        ),
        get("list_devices", &devices),
        get("get_device", &format!("{devices}/{}", of.device_id)),
        post("create_push", &pushes, push_fields(&[&of.device_id])),
        get("list_pushes", &pushes),
        get("get_push", &format!("{pushes}/{}", of.push)),
        delete("withdraw_push", &format!("{pushes}/{}", of.push)),
        post(
            "create_enrolment_code",
            &format!("{devices}/{}/enrolment-codes", of.device_id),
            json!({}),
        ),
        delete(
            "revoke_device_token",
            &format!("{devices}/{}/token", of.enrolled_device_id),
        ),
        delete("delete_device", &format!("{devices}/{}", of.device_id)),
        get("get_adoption", &format!("{app}/adoption")),
        get("get_adoption_history", &format!("{app}/adoption/history")),
        get("list_audit", &format!("{tenant}/audit")),
        post("logout", "/api/v1/auth/logout", json!({})),
        put(
            "change_password",
            "/api/v1/me/password",
            json!({"current": PASSWORD, "new": PASSWORD}),
        ),
    ]
}

fn id_of(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

fn row(id: &'static str, method: Method, path: &str, body: Option<Value>) -> Operation {
    Operation {
        id,
        method,
        path: path.to_owned(),
        body,
    }
}

fn get(id: &'static str, path: &str) -> Operation {
    row(id, Method::GET, path, None)
}

fn delete(id: &'static str, path: &str) -> Operation {
    row(id, Method::DELETE, path, None)
}

fn post(id: &'static str, path: &str, body: Value) -> Operation {
    row(id, Method::POST, path, Some(body))
}

fn put(id: &'static str, path: &str, body: Value) -> Operation {
    row(id, Method::PUT, path, Some(body))
}

fn patch(id: &'static str, path: &str, body: Value) -> Operation {
    row(id, Method::PATCH, path, Some(body))
}
