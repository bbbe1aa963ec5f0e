//! Devices with their own tokens: enrolment, and protection against take-over.

mod codes;
mod followed;
mod limits;
mod own_token;
mod registry;
mod take_over;

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Answer, Caller, Merchant, TestApp, check_fields, in_tenant, with};

/// Project of the enrolling devices.
const PROJECT: &str = "stores";

/// Creates a merchant whose administrator's credential stays valid when the clock is set.
async fn merchant(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    Merchant {
        admin: app.pipeline(&merchant.admin, "publisher").await,
        ..merchant
    }
}

/// Requests the enrolment of a device, with additional members.
async fn enrol_with(caller: &Caller, device: &str, own: Value) -> Answer {
    let body = with(json!({"device_id": device, "project_id": PROJECT}), own);
    caller.post("/v1/devices", &body).await
}

async fn enrol(caller: &Caller, device: &str) -> Answer {
    enrol_with(caller, device, json!({})).await
}

/// Returns the device with the token from its enrolment.
fn enrolled(app: &TestApp, answer: Answer, status: u16) -> Caller {
    app.bearer(answer.expect(status)["device_token"].as_str().unwrap())
}

/// Enrols a new device with the device key, and returns it.
async fn first(app: &TestApp, merchant: &Merchant, device: &str) -> Caller {
    enrolled(app, enrol(&merchant.device, device).await, 201)
}

/// Makes a check in the name of this device.
async fn check(caller: &Caller, device: &str) -> Answer {
    let body = with(check_fields(), json!({"device_id": device}));
    caller.post("/v1/check", &body).await
}

/// Creates a code for a device, and returns it as shown.
async fn code(admin: &Caller, device: &str) -> String {
    let path = in_tenant(&format!("/devices/{device}/enrolment-codes"));
    let made = admin.post(&path, &json!({})).await.expect(201);
    made["enrolment_code"].as_str().unwrap().to_owned()
}

async fn import(admin: &Caller, device: &str, project: &str) {
    let body = json!({"devices": [{"device_id": device, "project_id": project}]});
    admin.post(&in_tenant("/devices"), &body).await.expect(200);
}

/// Returns the device in the registry.
async fn registered(merchant: &Merchant, device: &str) -> Value {
    merchant.admin.get(&path(device)).await.expect(200)
}

fn path(device: &str) -> String {
    in_tenant(&format!("/devices/{device}"))
}

/// Returns the audit's entries about devices, newest first.
async fn audited(merchant: &Merchant) -> Vec<Value> {
    let mut audit = merchant.audit().await;
    audit.retain(|event| event["object_type"] == "device" && event["action"] != "device.import");
    audit
}

async fn set_enrolment(app: &TestApp, enrolment: &str) {
    let platform = app.platform_admin().await;
    let body = json!({"enrolment": enrolment});
    let tenant = platform.patch(&in_tenant(""), &body).await.expect(200);
    assert_eq!(tenant["enrolment"], enrolment);
    let read = platform.get(&in_tenant("")).await.expect(200);
    assert_eq!(read["enrolment"], enrolment);
}

/// Makes a GET check in the name of this device.
async fn check_again(caller: &Caller, device: &str) -> Answer {
    let path = format!("/v1/check?package_name=com.hema.wms&version_code=50&device_id={device}");
    caller.send(caller.request(Method::GET, &path)).await
}
