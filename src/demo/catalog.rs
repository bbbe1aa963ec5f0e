//! The sample catalog: a retailer's handheld app with modules, three org levels, a rollout in progress and a recall.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::client::{ApiClient, text};
use super::packages::RELEASED;

pub(super) const TENANT: u32 = 10_000_000;
pub(super) const APP: &str = "com.freshmart.handheld";
/// The device that the printed commands simulate. Its store is in the org directory.
pub(super) const DEVICE: &str = "FM8007PDA001";
/// The project of [`DEVICE`].
pub(super) const PROJECT: &str = "handhelds";

/// Credentials of the sample catalog that the printed commands use.
pub(super) struct DemoCredentials {
    pub(super) device_key: String,
    /// Valid for [`DEVICE`] only.
    pub(super) device_token: String,
    pub(super) api_token: String,
    pub(super) app_key: String,
    pub(super) app_secret: String,
    /// Address of the newest release of the app.
    pub(super) download_url: String,
}

pub(super) async fn fill(url: &str, username: &str, password: &str) -> anyhow::Result<DemoCredentials> {
    let admin = ApiClient::login(url, username, password).await?;
    admin
        .post("/tenants", &json!({"id": TENANT, "name": "Freshmart"}))
        .await?;
    let tenant = format!("/tenants/{TENANT}");
    admin
        .put(&format!("{tenant}/org-directory"), &org_directory())
        .await?;
    let app = json!({
        "package_name": APP,
        "app_name": "Freshmart Handheld",
        "old_package_names": ["com.freshmart.pda"],
        "icon_url": "https://files.freshmart.example/handheld/icon.png",
    });
    admin.post(&format!("{tenant}/apps"), &app).await?;
    for package in &RELEASED {
        let filename = package.filename();
        admin
            .upload(&format!("{tenant}/artifacts?filename={filename}"), package.bytes)
            .await?;
    }
    for release in releases() {
        admin
            .post(&format!("{tenant}/apps/{APP}/releases"), &release)
            .await?;
    }
    let miniapp = json!({"kind": "miniapp", "name": "Stocktaking"});
    admin
        .patch(
            &format!("{tenant}/apps/{APP}/resources/{APP}.stocktaking"),
            &miniapp,
        )
        .await?;
    recall_a_bad_release(&admin, &tenant).await?;
    let newest = admin
        .get(&format!("{tenant}/apps/{APP}/releases?identifier={APP}&limit=1"))
        .await?;
    let download_url = text(&newest["items"][0], "download_url");
    keys(url, &admin, &tenant, download_url).await
}

fn org_directory() -> Value {
    let store = |region: &str, code: &str, name: &str, time_zone: &str| json!({"path": ["FM", region, code], "name": name, "time_zone": time_zone});
    json!({"nodes": [
        {"path": ["FM"], "name": "Freshmart"},
        {"path": ["FM", "FM-EAST"], "name": "East"},
        {"path": ["FM", "FM-NORTH"], "name": "North"},
        store("FM-EAST", "8007", "Shanghai Jinqiao", "Asia/Shanghai"),
        store("FM-EAST", "8011", "Hangzhou Xihu", "Asia/Shanghai"),
        store("FM-NORTH", "9001", "Beijing Shilibao", "Asia/Shanghai"),
    ]})
}

/// Builds a published release from its package or, if it has none, from an external file. `more` adds or overrides
/// fields.
fn release(identifier: &str, version_code: u32, version_name: &str, more: &Value) -> Value {
    let mut release = json!({
        "identifier": identifier,
        "version_code": version_code,
        "version_name": version_name,
        "publish": true,
    });
    let mut packages = RELEASED.iter();
    let package = packages.find(|one| one.identifier == identifier && one.version_code == version_code);
    if let Some(package) = package {
        release["artifact"] = json!(hex::encode(Sha256::digest(package.bytes)));
    } else {
        let url = format!("https://files.freshmart.example/{identifier}/{version_code}.bin");
        let md5 = u128::from(version_code) * 0x9e37_79b9_7f4a_7c15;
        release["download_url"] = json!(url);
        release["size"] = json!(1_000_000 + u64::from(version_code) * 1_000);
        release["md5"] = json!(format!("{md5:032x}"));
    }
    for (field, value) in more.as_object().into_iter().flatten() {
        release[field] = value.clone();
    }
    release
}

fn releases() -> Vec<Value> {
    let module = |name: &str| format!("{APP}.{name}");
    vec![
        release(APP, 120, "3.1.0", &json!({})),
        release(
            APP,
            121,
            "3.2.0",
            &json!({"update_desc": "Faster scanner start", "device_types": ["10013", "10021"]}),
        ),
        release(&module("receiving"), 41, "1.4.0", &json!({})),
        release(
            &module("receiving"),
            42,
            "1.5.0",
            &json!({"update_desc": "Receiving by pallet", "rollout": {"percent": 25, "key": "receiving-1.5", "unit": "l3"}}),
        ),
        release(&module("stocktaking"), 30, "2.0.0", &json!({"mandatory": true})),
        release(&module("stocktaking"), 31, "2.1.0", &json!({})),
        release(
            &module("labels"),
            7,
            "7",
            &json!({"config_json": {"printer": "zebra", "width_mm": 50}, "org_scopes": [{"l1Code": "FM", "l2Code": "FM-EAST"}]}),
        ),
    ]
}

async fn recall_a_bad_release(admin: &ApiClient, tenant: &str) -> anyhow::Result<()> {
    let bad = release(&format!("{APP}.stocktaking"), 31, "2.1.0", &json!({}));
    // Posting the same version again returns the stored release with its id.
    let stored = admin.post(&format!("{tenant}/apps/{APP}/releases"), &bad).await?;
    let path = format!("{tenant}/apps/{APP}/releases/{}/recall", text(&stored, "id"));
    let recall = json!({"mode": "rollback", "reason": "Counts are doubled after a reconnect"});
    admin.post(&path, &recall).await?;
    Ok(())
}

async fn keys(
    url: &str,
    admin: &ApiClient,
    tenant: &str,
    download_url: String,
) -> anyhow::Result<DemoCredentials> {
    let device_key = admin
        .post(&format!("{tenant}/device-keys"), &json!({"name": "handhelds"}))
        .await?;
    let pipeline = json!({"name": "ci", "role": "publisher"});
    let api_token = admin.post(&format!("{tenant}/api-tokens"), &pipeline).await?;
    let sdk = json!({"name": "handheld SDK", "role": "device"});
    let app_key = admin.post(&format!("{tenant}/app-keys"), &sdk).await?;
    let device_key = text(&device_key, "device_key");
    Ok(DemoCredentials {
        device_token: enrol(url, &device_key).await?,
        device_key,
        api_token: text(&api_token, "token"),
        app_key: text(&app_key, "app_key"),
        app_secret: text(&app_key, "app_secret"),
        download_url,
    })
}

/// Enrols the device over the device API, and returns its token.
async fn enrol(url: &str, device_key: &str) -> anyhow::Result<String> {
    let device = ApiClient::new(format!("{url}/v1"), device_key.to_owned())?;
    let itself = json!({"device_id": DEVICE, "project_id": PROJECT, "device_type": "10013", "org_info": {"l3Code": "8007"}});
    let enrolled = device.post("/devices", &itself).await?;
    Ok(text(&enrolled, "device_token"))
}
