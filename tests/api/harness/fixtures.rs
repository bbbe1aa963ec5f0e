use serde_json::{Value, json};

use super::{Caller, TestApp};

/// Number of the tenant in most tests.
pub(crate) const TENANT: i64 = 10_000_000;

impl TestApp {
    /// Creates a tenant, and signs in as its administrator.
    pub(crate) async fn tenant_admin(&self, tenant: i64) -> Caller {
        let platform = self.platform_admin().await;
        platform
            .post(
                "/api/v1/tenants",
                &json!({"id": tenant, "name": format!("Tenant {tenant}")}),
            )
            .await
            .expect(201);
        self.user(&platform, tenant, "admin").await
    }

    /// Creates a person of a tenant with this role as `maker`, and signs in.
    pub(crate) async fn user(&self, maker: &Caller, tenant: i64, role: &str) -> Caller {
        let username = format!("{role}-{tenant}");
        let password = "a password of a tenant";
        let body = json!({"username": username, "password": password, "role": role});
        maker
            .post(&format!("/api/v1/tenants/{tenant}/users"), &body)
            .await
            .expect(201);
        self.login(&username, password).await
    }

    /// Creates a device key as `admin`, and returns a device of the tenant.
    pub(crate) async fn device(&self, admin: &Caller, tenant: i64) -> Caller {
        let path = format!("/api/v1/tenants/{tenant}/device-keys");
        let made = admin.post(&path, &json!({"name": "devices"})).await.expect(201);
        self.bearer(made["device_key"].as_str().unwrap())
    }
}

/// Returns a valid app.
pub(crate) fn app_fields(package_name: &str) -> Value {
    json!({"package_name": package_name, "app_name": "An app"})
}

/// Returns a valid release with only the required fields.
pub(crate) fn release_fields(identifier: &str, version_code: i64) -> Value {
    json!({
        "identifier": identifier,
        "version_code": version_code,
        "version_name": format!("1.0.{version_code}"),
        "download_url": format!("https://files.example/{identifier}/{version_code}.bin"),
        "size": 1_000,
        "md5": format!("{version_code:032x}"),
    })
}

/// Returns a valid push to these devices, which belong to the project `stores`.
pub(crate) fn push_fields(device_ids: &[&str]) -> Value {
    let targets = device_ids
        .iter()
        .map(|id| json!({"hardware_id": id, "project_id": "stores"}));
    json!({
        "target_info": targets.collect::<Vec<_>>(),
        "package_push_info": {"app_id": "111", "app_type": "tinyApp", "pack_url": "https://files.example/demo.amr"},
        "action": "preview",
    })
}
