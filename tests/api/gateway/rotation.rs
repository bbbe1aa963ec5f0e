//! Both secrets are valid after a rotation.

use serde_json::json;

use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture};
use crate::api::harness::{CHECK, TENANT, TopClient};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn both_secrets_are_good_after_a_rotation(database: TestDatabase) {
    let Fixture {
        app: _app,
        admin,
        client,
    } = fixture(database).await;
    let keys = format!("/api/v1/tenants/{TENANT}/app-keys");
    let id = admin.get(&keys).await.expect(200)["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rotate = async || {
        let rotated = admin
            .post(&format!("{keys}/{id}/rotate"), &json!({}))
            .await
            .expect(200);
        TopClient {
            secret: rotated["app_secret"].as_str().unwrap().to_owned(),
            ..client.clone()
        }
    };
    let works = async |client: &TopClient| {
        let answer = client.send(&client.call(CHECK, TIMESTAMP, &DEVICE_CHECK)).await;
        answer.body["error_response"].is_null()
    };
    let second = rotate().await;
    assert!(works(&client).await && works(&second).await);
    let third = rotate().await;
    assert!(!works(&client).await && works(&second).await && works(&third).await);
    admin.delete(&format!("{keys}/{id}")).await.expect(204);
    assert!(!works(&third).await);
}

on_both_databases!(both_secrets_are_good_after_a_rotation);
