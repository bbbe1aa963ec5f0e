//! Streams and polls of devices whose tokens have become invalid.

use serde_json::json;

use super::super::harness::{Answer, Caller, in_tenant};
use super::fixture::{Device, Fixture, ids, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::sse::SseStream;

/// Ways to invalidate a device's token.
#[derive(Debug, Clone, Copy)]
enum End {
    Replaced,
    Revoked,
    Deleted,
    TenantDisabled,
}

impl End {
    async fn come_about(self, fixture: &Fixture, device: &Device) {
        let path = in_tenant(&format!("/devices/{}", device.id));
        let admin = &fixture.merchant.admin;
        match self {
            Self::Replaced => {
                let again = json!({"device_id": device.id, "project_id": "stores"});
                device.caller.post("/v1/devices", &again).await.expect(200);
            }
            Self::Revoked => {
                admin.delete(&format!("{path}/token")).await.expect(204);
            }
            Self::Deleted => {
                admin.delete(&path).await.expect(204);
            }
            Self::TenantDisabled => {
                let platform = fixture.app.platform_admin().await;
                let disabled = json!({"enabled": false});
                platform.patch(&in_tenant(""), &disabled).await.expect(200);
            }
        }
    }

    /// Checks the answer to a poll that was waiting.
    fn is_told(self, answer: Answer) {
        let (status, code) = match self {
            Self::TenantDisabled => (403, "permission_denied"),
            Self::Replaced | Self::Revoked | Self::Deleted => (401, "unauthenticated"),
        };
        answer.problem(status, code);
    }
}

/// A device connected to a node by a stream and a poll.
struct Hanging {
    events: SseStream,
    poll: tokio::task::JoinHandle<Answer>,
}

impl Hanging {
    async fn on(caller: &Caller, id: &str) -> Self {
        let events = SseStream::open(caller.url(), id, caller.token(), None).await;
        assert_eq!(events.status, 200, "{}", events.head);
        let (caller, path) = (caller.clone(), format!("/v1/devices/{id}/pushes?wait_s=60"));
        let poll = tokio::spawn(async move { caller.get(&path).await });
        Self { events, poll }
    }
}

async fn a_stream_and_a_poll_end_with_the_token(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let other = fixture.device("other").await;
    let mut others = other.events().await;
    for end in [End::Replaced, End::Revoked, End::Deleted, End::TenantDisabled] {
        let device = fixture.device(&format!("{end:?}")).await;
        let mut hanging = Hanging::on(&device.caller, &device.id).await;
        until(async || fixture.app.running.context.push_delivery().status().polls == 1).await;
        end.come_about(&fixture, &device).await;
        hanging.events.ended().await;
        end.is_told(hanging.poll.await.unwrap());
        if !matches!(end, End::TenantDisabled) {
            let push = fixture.push(&[&other]).await;
            assert_eq!(others.push().await.push_id(), push, "{end:?} concerns one device");
        }
    }
    others.ended().await;
}

async fn streams_and_polls_of_an_ended_credential_end_on_every_node(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    for end in [End::Replaced, End::Revoked, End::Deleted, End::TenantDisabled] {
        let device = fixture.device(&format!("{end:?}")).await;
        let (node, caller) = fixture.app.at_another_node(&device.caller).await;
        let mut hanging = Hanging::on(&caller, &device.id).await;
        until(async || node.context.push_delivery().status().polls == 1).await;
        end.come_about(&fixture, &device).await;
        hanging.events.ended().await;
        end.is_told(hanging.poll.await.unwrap());
        node.stop().await.unwrap();
    }
}

async fn a_device_continues_with_its_new_token(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let mut old = device.events().await;
    let again = json!({"device_id": "A", "project_id": "stores"});
    let enrolled = device.caller.post("/v1/devices", &again).await.expect(200);
    let caller = fixture.app.bearer(enrolled["device_token"].as_str().unwrap());
    let newest = Device { caller, ..device };
    let mut new = newest.events().await;
    old.ended().await;
    let push = fixture.push(&[&newest]).await;
    assert_eq!(new.push().await.push_id(), push);
    assert_eq!(ids(&newest.poll(0).await), [push.as_str()]);
}

on_both_databases!(
    a_stream_and_a_poll_end_with_the_token,
    streams_and_polls_of_an_ended_credential_end_on_every_node,
    a_device_continues_with_its_new_token,
);
