//! Devices that hold a token of their own: enrolment, and that nobody takes one over.

mod codes;
mod followed;
mod limits;
mod own_token;
mod registry;
mod take_over;

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Answer, Caller, Merchant, TestApp, check_fields, in_tenant, with};

/// The project that devices enrol for here.
const PROJECT: &str = "stores";

/// A merchant whose administrator's credential outlasts a set clock.
async fn merchant(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    Merchant {
        admin: app.pipeline(&merchant.admin, "publisher").await,
        ..merchant
    }
}

/// Asks to enrol a device, with further members.
async fn enrol_with(caller: &Caller, device: &str, own: Value) -> Answer {
    let body = with(json!({"device_id": device, "project_id": PROJECT}), own);
    caller.post("/v1/devices", &body).await
}

async fn enrol(caller: &Caller, device: &str) -> Answer {
    enrol_with(caller, device, json!({})).await
}

/// The device with the token that it got by enrolling.
fn enrolled(app: &TestApp, answer: Answer, status: u16) -> Caller {
    app.bearer(answer.expect(status)["device_token"].as_str().unwrap())
}

/// The device after its first enrolment with the device key.
async fn first(app: &TestApp, merchant: &Merchant, device: &str) -> Caller {
    enrolled(app, enrol(&merchant.device, device).await, 201)
}

/// A check that says to be of this device.
async fn check(caller: &Caller, device: &str) -> Answer {
    let body = with(check_fields(), json!({"device_id": device}));
    caller.post("/v1/check", &body).await
}

/// A new code for a device, as it is shown.
async fn code(admin: &Caller, device: &str) -> String {
    let path = in_tenant(&format!("/devices/{device}/enrolment-codes"));
    let made = admin.post(&path, &json!({})).await.expect(201);
    made["enrolment_code"].as_str().unwrap().to_owned()
}

async fn import(admin: &Caller, device: &str, project: &str) {
    let body = json!({"devices": [{"device_id": device, "project_id": project}]});
    admin.post(&in_tenant("/devices"), &body).await.expect(200);
}

/// The device in the registry.
async fn registered(merchant: &Merchant, device: &str) -> Value {
    merchant.admin.get(&path(device)).await.expect(200)
}

fn path(device: &str) -> String {
    in_tenant(&format!("/devices/{device}"))
}

/// What the audit says of devices, the newest first.
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

/// A GET that says to be of this device.
async fn check_again(caller: &Caller, device: &str) -> Answer {
    let path = format!("/v1/check?package_name=com.hema.wms&version_code=50&device_id={device}");
    caller.send(caller.request(Method::GET, &path)).await
}
