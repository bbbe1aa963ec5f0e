//! Event streams.

use super::fixture::{Device, Fixture};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::sse::{SseItem, SseStream};

async fn a_push_reaches_a_device_that_listens(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let named = fixture.device("PDA 1/é").await;
    let device = Device {
        id: "PDA%201%2F%C3%A9".to_owned(),
        ..named.clone()
    };
    let mut events = device.events().await;
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(events.head.contains(header), "{}", events.head);
    }
    let Some(SseItem::Retry(milliseconds)) = events.next().await else {
        panic!("a stream says first when to connect again");
    };
    assert!((1_000..5_000).contains(&milliseconds));
    let push = fixture.push(&[&named]).await;
    let event = events.push().await;
    assert_eq!((event.id, event.push_id()), (1, push.as_str()));
    let keys: Vec<_> = event.data.as_object().unwrap().keys().collect();
    let expected = [
        "push_id",
        "sequence",
        "action",
        "app_id",
        "app_type",
        "pack_url",
        "created_at",
        "expires_at",
    ];
    assert_eq!(keys, expected);
    let target = fixture
        .target_once(&push, &named, |target| target["state"] == "delivered")
        .await;
    assert_eq!(target["channel"], "events");
}

async fn what_waited_comes_first_and_in_order(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let mut pushes = Vec::new();
    for _ in 0..3 {
        pushes.push(fixture.push(&[&device]).await);
    }
    let mut events = device.events().await;
    pushes.push(fixture.push(&[&device]).await);
    for (index, push) in (1..).zip(&pushes) {
        let event = events.push().await;
        assert_eq!((event.id, event.push_id()), (index, push.as_str()));
    }
}

async fn a_stream_resumes_after_the_last_event_and_gives_the_rest_again_later(database: TestDatabase) {
    let fixture = Fixture::set_impatient(database).await;
    let device = fixture.device("A").await;
    let first = fixture.push(&[&device]).await;
    let second = fixture.push(&[&device]).await;
    let mut events = device.resume(Some(1)).await;
    // The first was received but not acknowledged, so it is repeated, but not at once.
    assert_eq!(events.push().await.push_id(), second);
    device.acknowledge(&second, "received").await;
    let mut again = events.push().await;
    while again.push_id() == second {
        again = events.push().await;
    }
    assert_eq!((again.id, again.push_id()), (1, first.as_str()));
}

async fn a_last_event_id_that_is_too_high_does_not_delay_new_pushes(database: TestDatabase) {
    // A push that counts as received would only come after hours.
    let fixture = Fixture::set_with(database, |config| {
        config.delivery.redelivery_ms = 3_600_000;
        config.delivery.redelivery_max_ms = 3_600_000;
    })
    .await;
    let device = fixture.device("A").await;
    let mut events = device.resume(Some(1_000_000)).await;
    assert!(matches!(events.next().await, Some(SseItem::Retry(_))));
    let push = fixture.push(&[&device]).await;
    assert_eq!(events.push().await.push_id(), push);
}

async fn what_is_not_acknowledged_comes_again_with_the_same_id(database: TestDatabase) {
    let fixture = Fixture::set_impatient(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    let mut events = device.events().await;
    let first = events.push().await;
    for _ in 0..3 {
        assert_eq!(events.push().await, first);
    }
    device.acknowledge(&push, "received").await;
    let target = fixture.target(&push, &device).await;
    assert!(target["deliveries"].as_i64().unwrap() >= 2, "{target}");
    // Earlier deliveries arrive before the next push.
    let next = fixture.push(&[&device]).await;
    while events.push().await.push_id() != next {}
    for _ in 0..3 {
        assert_eq!(events.push().await.push_id(), next);
    }
}

async fn every_stream_of_a_device_gets_a_push_and_no_other_devices(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let (device, other) = (fixture.device("A").await, fixture.device("B").await);
    let mut streams = [device.events().await, device.events().await];
    let mut others = other.events().await;
    let push = fixture.push(&[&device]).await;
    for stream in &mut streams {
        assert_eq!(stream.push().await.push_id(), push);
    }
    let for_other = fixture.push(&[&other]).await;
    assert_eq!(others.push().await.push_id(), for_other);
}

async fn a_withdrawn_push_is_not_offered(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    fixture.withdraw(&push).await;
    let next = fixture.push(&[&device]).await;
    let event = device.events().await.push().await;
    assert_eq!((event.id, event.push_id()), (2, next.as_str()));
}

async fn a_silent_stream_sends_comments(database: TestDatabase) {
    let fixture = Fixture::set_with(database, |config| config.delivery.heartbeat_ms = 50).await;
    let mut events = fixture.device("A").await.events().await;
    assert!(matches!(events.next().await, Some(SseItem::Retry(_))));
    for _ in 0..3 {
        assert_eq!(events.next().await, Some(SseItem::Comment));
    }
}

async fn one_stream_too_many_ends_the_oldest(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let mut streams = Vec::new();
    for _ in 0..9 {
        let mut stream = device.events().await;
        assert!(matches!(stream.next().await, Some(SseItem::Retry(_))));
        streams.push(stream);
    }
    streams.remove(0).ended().await;
    let push = fixture.push(&[&device]).await;
    for stream in &mut streams {
        assert_eq!(stream.push().await.push_id(), push);
    }
}

async fn asking_for_the_head_delivers_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    let token = device.caller.token();
    let head = SseStream::open_with_method("HEAD", device.caller.url(), "A", token, None).await;
    assert_eq!(head.status, 200);
    let head = device
        .caller
        .request(reqwest::Method::HEAD, "/v1/devices/A/pushes");
    assert_eq!(device.caller.send(head).await.status, 200);
    assert_eq!(fixture.target(&push, &device).await["state"], "queued");
}

async fn an_invalid_last_event_id_is_named(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    for wrong in ["x", "-1", "1.0", "99999999999999999999"] {
        let request = device
            .caller
            .request(reqwest::Method::GET, "/v1/devices/A/events")
            .header("Last-Event-ID", wrong);
        assert_eq!(
            device.caller.send(request).await.wrong_fields(),
            ["Last-Event-ID"]
        );
    }
    // A browser that has received no event sends no `Last-Event-ID`.
    let mut events = device.events().await;
    let push = fixture.push(&[&device]).await;
    assert_eq!(events.push().await.push_id(), push);
}

on_both_databases!(
    a_push_reaches_a_device_that_listens,
    what_waited_comes_first_and_in_order,
    a_stream_resumes_after_the_last_event_and_gives_the_rest_again_later,
    a_last_event_id_that_is_too_high_does_not_delay_new_pushes,
    what_is_not_acknowledged_comes_again_with_the_same_id,
    every_stream_of_a_device_gets_a_push_and_no_other_devices,
    a_withdrawn_push_is_not_offered,
    a_silent_stream_sends_comments,
    one_stream_too_many_ends_the_oldest,
    asking_for_the_head_delivers_nothing,
    an_invalid_last_event_id_is_named,
);
