//! A merchant with devices for the browser tests.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::wait::until;

use super::tab::Tab;
use crate::api::harness::{CHUKU, Caller, DEADLINE, Merchant, PACKAGE, TENANT, TestApp, in_tenant, with};

/// Device in a store that the release targets.
pub(super) const FIRST: &str = "PDA001";
/// Device in another store.
pub(super) const SECOND: &str = "PDA002";

pub(super) struct Day {
    pub(super) app: TestApp,
    pub(super) merchant: Merchant,
    /// Paths of the tenant and of its app in the console.
    pub(super) tenant: String,
    pub(super) package: String,
}

impl Day {
    /// Starts a server on which two devices have checked once, each in its own store.
    pub(super) async fn begin(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let merchant = app.merchant().await;
        let tenant = format!("/console/tenants/{TENANT}");
        let day = Self {
            app,
            merchant,
            package: format!("{tenant}/apps/{PACKAGE}"),
            tenant,
        };
        day.check(FIRST, "8007").await;
        day.check(SECOND, "8011").await;
        let is_recorded = async |device: &str| {
            let path = in_tenant(&format!("/devices/{device}"));
            day.merchant.admin.get(&path).await.status == 200
        };
        until("the devices are recorded", DEADLINE, async || {
            is_recorded(FIRST).await && is_recorded(SECOND).await
        })
        .await;
        day
    }

    /// Sends the check of a device in a store, and returns the offered versions.
    pub(super) async fn check(&self, device: &str, store: &str) -> Vec<i64> {
        let check = json!({"package_name": PACKAGE, "version_code": 50, "device_id": device, "device_type": "10013",
            "org_info": {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": store}});
        let answer = self.merchant.device.post("/v1/check", &check).await.expect(200);
        let offers = answer["data"].as_array().unwrap().iter();
        offers
            .map(|offer| offer["version_code"].as_i64().unwrap())
            .collect()
    }

    /// Enrols a device, and returns a caller with its token.
    pub(super) async fn enrol(&self, device: &str) -> Caller {
        let itself = json!({"device_id": device, "project_id": "stores"});
        let enrolled = self
            .merchant
            .device
            .post("/v1/devices", &itself)
            .await
            .expect(201);
        self.app.bearer(enrolled["device_token"].as_str().unwrap())
    }

    /// Pushes a package to a device.
    pub(super) async fn push(&self, device: &str) -> Value {
        let fields = with(
            crate::api::harness::push_fields(&[device]),
            json!({"action": "install", "trace_id": "build-4711"}),
        );
        let made = self.merchant.admin.post(&in_tenant("/pushes"), &fields).await;
        made.expect(201)
    }
}

/// Fills in a new release with an external file.
pub(super) async fn fill_release(tab: &Tab) {
    for (field, value) in [
        ("identifier", CHUKU),
        ("version_code", "240"),
        ("version_name", "2.4.0"),
        ("download_url", "https://files.example/chuku/240.bin"),
        ("size", "100000"),
        ("md5", "0cc175b9c0f1b6a831c399e269772661"),
    ] {
        tab.fill(&format!("#release-{field}"), value).await;
    }
}
