//! Pushes and their targets: queued, followed, delivered, acknowledged and ended.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait as _;
use slipway::storage::push_targets::{self, NewTarget};
use slipway::storage::{Db, devices, push_recipients, pushes};
use slipway_domain::catalog::device::Device;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::push::{
    Acknowledgement, Channel, Push, PushContent, TargetKey, TargetRecord, TargetState,
};
use slipway_domain::catalog::text::{
    DeviceId, MiniAppId, MiniAppType, ProjectId, PushAction, PushDetail, PushUrl, TraceId,
};

use super::values::{now, prepare_tenant, scope};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    a_push_is_read_back_as_it_was_written,
    a_repeat_is_told_until_its_time_is_over,
    two_calls_that_race_are_one_push,
    sequences_are_in_the_order_of_commits,
    open_targets_are_offered_in_their_order,
    deliveries_are_noted_and_move_nothing_back,
    acknowledgements_move_forward,
    what_runs_out_expires_once,
    only_what_was_not_delivered_is_withdrawn,
    a_due_target_is_claimed_by_one_node,
    each_target_is_due_for_the_broker_again_in_its_own_time,
    a_target_that_cannot_be_read_holds_up_no_other,
    what_was_acknowledged_was_delivered_by_then,
    an_acknowledgement_older_than_its_delivery_moves_the_delivery_back,
    followers_see_what_changed_and_what_is_open,
    old_pushes_are_removed_unless_they_are_open,
);

fn at(minutes: i64) -> DateTime<Utc> {
    in_micros(now()) + TimeDelta::minutes(minutes)
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn project() -> ProjectId {
    ProjectId::parse("stores").unwrap()
}

fn push(trace_id: Option<&str>, minutes: i64) -> Push {
    Push {
        id: slipway::random::id::<PushId>(),
        origin: "token:1".to_owned(),
        sender_name: Some("ci".to_owned()),
        content: PushContent {
            action: PushAction::parse("preview").unwrap(),
            app_id: MiniAppId::parse("111").unwrap(),
            app_type: MiniAppType::parse("tinyApp").unwrap(),
            pack_url: PushUrl::parse("scheme://pkg").unwrap(),
            source_url: None,
            trace_id: trace_id.map(|text| TraceId::parse(text).unwrap()),
        },
        context: Some("{}".to_owned()),
        created_at: at(minutes),
        expires_at: at(minutes + 10),
    }
}

async fn prepare(db: &Db, device_ids: &[&str]) {
    prepare_tenant(db, 1).await;
    let tx = db.begin().await.unwrap();
    let known = device_ids.iter().map(|text| Device {
        id: id(text),
        project: Some(project()),
        device_type: None,
        org_info: None,
    });
    devices::upsert_imported(&tx, scope(1), known.collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Queues a push like the service.
async fn queue(db: &Db, push: &Push, device_ids: &[&str]) {
    let tx = db.begin().await.unwrap();
    pushes::insert(&tx, scope(1), push).await.unwrap();
    let locked = push_recipients::lock(&tx, scope(1), device_ids).await.unwrap();
    assert_eq!(locked.len(), device_ids.len());
    let targets = locked.into_iter().map(|device| NewTarget {
        device: device.id,
        project: project(),
        sequence: device.push_sequence + 1,
    });
    push_targets::insert(&tx, scope(1), push, targets.collect(), Some(push.created_at))
        .await
        .unwrap();
    push_recipients::advance_sequences(&tx, scope(1), device_ids)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn targets(db: &Db, push: &Push) -> Vec<TargetRecord> {
    push_targets::list_of_push(db, scope(1), push.id).await.unwrap()
}

async fn states(db: &Db, push: &Push) -> Vec<TargetState> {
    targets(db, push)
        .await
        .iter()
        .map(|target| target.state)
        .collect()
}

async fn deliver(db: &Db, keys: &[TargetKey], channel: Channel, at: DateTime<Utc>) {
    let tx = db.begin().await.unwrap();
    push_targets::mark_delivered(&tx, &[(channel, keys.to_vec())], at)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn acknowledge(
    db: &Db,
    device: &str,
    push: &Push,
    said: Acknowledgement,
) -> Option<(TargetState, TargetState)> {
    let tx = db.begin().await.unwrap();
    let detail = Some(PushDetail::parse(said.as_str()).unwrap());
    let done = push_targets::acknowledge(&tx, scope(1), &id(device), push.id, said, detail, at(5))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    done.map(|done| (done.before, done.target.state))
}

async fn withdraw(db: &Db, push: &Push) -> usize {
    let tx = db.begin().await.unwrap();
    let keys = push_targets::withdraw(&tx, scope(1), push.id, at(1))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    keys.len()
}

fn keys(targets: &[TargetRecord]) -> Vec<TargetKey> {
    targets.iter().map(|target| target.key.clone()).collect()
}

async fn a_push_is_read_back_as_it_was_written(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B"]).await;
    let pushes = [push(Some("t"), 0), push(None, 1), push(Some("t"), 2)];
    for push in &pushes {
        queue(db, push, &["A", "B"]).await;
    }
    let found = pushes::find(db, scope(1), pushes[0].id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&pushes[0]));
    assert_eq!(pushes::find(db, scope(2), pushes[0].id).await.unwrap(), None);
    let list = async |trace_id: Option<&str>, page: &PageRequest| {
        let trace_id = trace_id.map(|text| TraceId::parse(text).unwrap());
        pushes::list(db, scope(1), trace_id.as_ref(), page).await.unwrap()
    };
    let first = list(None, &PageRequest::first(2)).await;
    assert_eq!(first.items, [pushes[2].clone(), pushes[1].clone()]);
    let rest = PageRequest {
        limit: 2,
        after: first.next,
    };
    assert_eq!(list(None, &rest).await.items, [pushes[0].clone()]);
    let traced = list(Some("t"), &PageRequest::first(9)).await;
    assert_eq!(traced.items, [pushes[2].clone(), pushes[0].clone()]);
    let counts = push_targets::count_by_state(db, scope(1), &[pushes[0].id, pushes[1].id])
        .await
        .unwrap();
    assert_eq!(counts.len(), 2);
    assert_eq!(counts[&pushes[0].id][&TargetState::Queued], 2);
    let expected: Vec<_> = targets(db, &pushes[1]).await;
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[0].open_until, Some(at(11)));
    assert_eq!((expected[0].key.sequence, &expected[1].key.device), (2, &id("B")));
}

async fn note(db: &Db, push: &Push, digest: &str) -> Option<PushId> {
    let tx = db.begin().await.unwrap();
    pushes::insert(&tx, scope(1), push).await.unwrap();
    let repeated = pushes::record_repeat(&tx, scope(1), push, digest, TimeDelta::minutes(10))
        .await
        .unwrap();
    if repeated.is_none() {
        tx.commit().await.unwrap();
    }
    repeated
}

async fn a_repeat_is_told_until_its_time_is_over(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A"]).await;
    let first = push(None, 0);
    assert_eq!(note(db, &first, "x").await, None);
    assert_eq!(note(db, &push(None, 9), "x").await, Some(first.id));
    assert_eq!(note(db, &push(None, 9), "y").await, None);
    let of_another = Push {
        origin: "token:2".to_owned(),
        ..push(None, 9)
    };
    assert_eq!(note(db, &of_another, "x").await, None);
    let later = push(None, 10);
    assert_eq!(note(db, &later, "x").await, None);
    assert_eq!(note(db, &push(None, 19), "x").await, Some(later.id));
    assert_eq!(pushes::delete_repeats_before(db, at(10)).await.unwrap(), 2);
    assert_eq!(note(db, &push(None, 19), "x").await, Some(later.id));
}

async fn two_calls_that_race_are_one_push(database: TestDatabase) {
    prepare(&database.db, &["A"]).await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let db = database.another_node().await;
        nodes.spawn(async move {
            let mut outcomes = Vec::new();
            for round in 0..20 {
                let push = push(None, 0);
                let repeated = note(&db, &push, &round.to_string()).await;
                outcomes.push(repeated.unwrap_or(push.id));
            }
            outcomes
        });
    }
    let outcomes = nodes.join_all().await;
    assert_eq!(outcomes[0], outcomes[1]);
}

async fn sequences_are_in_the_order_of_commits(database: TestDatabase) {
    let ids = ["A", "B", "C"];
    prepare(&database.db, &ids).await;
    let mut nodes = tokio::task::JoinSet::new();
    for reversed in [false, true] {
        let db = database.another_node().await;
        nodes.spawn(async move {
            let mut ids = ids;
            if reversed {
                ids.reverse();
            }
            for _ in 0..15 {
                queue(&db, &push(None, 0), &ids).await;
            }
        });
    }
    nodes.join_all().await;
    let offered = push_targets::list_open_of_device(&database.db, scope(1), &id("B"), 0, 100, at(0)).await;
    let sequences: Vec<_> = offered
        .unwrap()
        .iter()
        .map(|(target, _)| target.key.sequence)
        .collect();
    assert_eq!(sequences, (1..=30).collect::<Vec<_>>());
}

async fn open_targets_are_offered_in_their_order(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B"]).await;
    let pushes = [push(None, 0), push(None, 1), push(None, 2), push(None, 3)];
    for push in &pushes {
        queue(db, push, &["A"]).await;
    }
    acknowledge(db, "A", &pushes[1], Acknowledgement::Received).await;
    let offered = async |device: &str, after: i64, limit: u64, minutes: i64| {
        let device = id(device);
        let offered =
            push_targets::list_open_of_device(db, scope(1), &device, after, limit, at(minutes)).await;
        let offered = offered.unwrap();
        offered
            .into_iter()
            .map(|(target, push)| (target.key.sequence, push.id))
            .collect::<Vec<_>>()
    };
    let by_sequence = |sequence: usize| (i64::try_from(sequence).unwrap(), pushes[sequence - 1].id);
    assert_eq!(offered("A", 0, 9, 0).await, [1, 3, 4].map(by_sequence));
    assert_eq!(offered("A", 1, 1, 0).await, [3].map(by_sequence));
    assert_eq!(offered("A", 0, 9, 10).await, [3, 4].map(by_sequence));
    assert_eq!(offered("B", 0, 9, 0).await, []);
}

async fn deliveries_are_noted_and_move_nothing_back(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B", "C"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A", "B", "C"]).await;
    let queued = targets(db, &push).await;
    acknowledge(db, "B", &push, Acknowledgement::Opened).await;
    deliver(db, &keys(&queued), Channel::Events, at(1)).await;
    deliver(db, &keys(&queued[..2]), Channel::Mqtt, at(2)).await;
    let then = targets(db, &push).await;
    assert_eq!(then[0].state, TargetState::Delivered);
    assert_eq!((then[0].channel, then[0].deliveries), (Some(Channel::Mqtt), 2));
    assert_eq!((then[0].delivered_at, then[0].changed_at), (Some(at(2)), at(2)));
    assert_eq!(then[1].state, TargetState::Opened);
    assert_eq!((then[1].open_until, then[1].deliveries), (None, 2));
    assert_eq!((then[2].channel, then[2].deliveries), (Some(Channel::Events), 1));
    deliver(db, &[], Channel::Events, at(1)).await;
}

async fn acknowledgements_move_forward(database: TestDatabase) {
    use Acknowledgement as Said;
    use TargetState as State;
    let db = &database.db;
    prepare(db, &["A", "B"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A"]).await;
    for (said, before, then) in [
        (Said::Opened, State::Queued, State::Opened),
        (Said::Received, State::Opened, State::Opened),
        (Said::Failed, State::Opened, State::Failed),
        (Said::Applied, State::Failed, State::Failed),
    ] {
        assert_eq!(acknowledge(db, "A", &push, said).await, Some((before, then)));
    }
    let target = targets(db, &push).await.remove(0);
    assert_eq!(
        (target.received_at, target.opened_at, target.ended_at),
        (Some(at(5)), Some(at(5)), Some(at(5)))
    );
    assert_eq!(
        target.detail.map(PushDetail::into_string).as_deref(),
        Some("failed")
    );
    assert_eq!(target.open_until, None);
    assert_eq!(acknowledge(db, "B", &push, Said::Received).await, None);
    let tx = db.begin().await.unwrap();
    let device = id("A");
    let of_another =
        push_targets::acknowledge(&tx, scope(2), &device, push.id, Said::Received, None, at(5)).await;
    assert_eq!(of_another.unwrap(), None);
}

async fn what_runs_out_expires_once(database: TestDatabase) {
    use TargetState::{Expired, Received};
    let db = &database.db;
    prepare(db, &["A", "B", "C"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A", "B", "C"]).await;
    let queued = keys(&targets(db, &push).await);
    deliver(db, &queued[..1], Channel::Poll, at(1)).await;
    acknowledge(db, "B", &push, Acknowledgement::Received).await;
    assert_eq!(push_targets::expire_due(db, at(9), 10).await.unwrap(), []);
    assert_eq!(push_targets::expire_due(db, at(10), 1).await.unwrap().len(), 1);
    assert_eq!(push_targets::expire_due(db, at(10), 10).await.unwrap().len(), 1);
    assert_eq!(push_targets::expire_due(db, at(11), 10).await.unwrap(), []);
    assert_eq!(states(db, &push).await, [Expired, Received, Expired]);
    assert_eq!(targets(db, &push).await[0].ended_at, Some(at(10)));
    // It has arrived nevertheless.
    assert_eq!(
        acknowledge(db, "A", &push, Acknowledgement::Received).await,
        Some((Expired, Received))
    );
    assert_eq!(targets(db, &push).await[0].ended_at, None);
}

async fn only_what_was_not_delivered_is_withdrawn(database: TestDatabase) {
    use TargetState::{Applied, Delivered, Received, Withdrawn};
    let db = &database.db;
    prepare(db, &["A", "B", "C"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A", "B", "C"]).await;
    let queued = keys(&targets(db, &push).await);
    deliver(db, &queued[..1], Channel::Poll, at(1)).await;
    acknowledge(db, "B", &push, Acknowledgement::Applied).await;
    assert_eq!(withdraw(db, &push).await, 1);
    assert_eq!(withdraw(db, &push).await, 0);
    assert_eq!(states(db, &push).await, [Delivered, Applied, Withdrawn]);
    let open = push_targets::list_open_of_device(db, scope(1), &id("C"), 0, 9, at(1))
        .await
        .unwrap();
    assert!(open.is_empty());
    // Its delivery had begun and is recorded late.
    assert_eq!(
        acknowledge(db, "C", &push, Acknowledgement::Received).await,
        Some((Withdrawn, Received))
    );
    deliver(db, &queued[2..], Channel::Poll, at(2)).await;
    let target = targets(db, &push).await.remove(2);
    assert_eq!((target.state, target.ended_at), (Received, None));
    assert_eq!((target.open_until, target.channel), (None, Some(Channel::Poll)));
    assert_eq!(withdraw(db, &push).await, 0);
}

async fn a_due_target_is_claimed_by_one_node(database: TestDatabase) {
    let ids: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    prepare(&database.db, &ids).await;
    let push = push(None, 0);
    queue(&database.db, &push, &ids).await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let db = database.another_node().await;
        nodes.spawn(async move {
            let mut claimed = Vec::new();
            for _ in 0..10 {
                let some = push_targets::claim_due_for_mqtt(&db, at(0), |_, _| at(1), 9)
                    .await
                    .unwrap();
                claimed.extend(some.claimed.into_iter().map(|claimed| claimed.target.key));
            }
            claimed
        });
    }
    let mut claimed: Vec<_> = nodes.join_all().await.concat();
    claimed.sort();
    assert_eq!(claimed, keys(&targets(&database.db, &push).await));
    let again = push_targets::claim_due_for_mqtt(&database.db, at(1), |_, _| at(2), 200)
        .await
        .unwrap();
    assert_eq!(again.claimed.len(), 100);
}

/// Claims the devices that are due at second `now`. Each is due again after as many seconds as its sequence.
async fn claim(db: &Db, now: i64) -> Vec<String> {
    let next_due_at = |target: &TargetRecord, _: &Push| at(now + target.key.sequence);
    let claim = push_targets::claim_due_for_mqtt(db, at(now), next_due_at, 10).await;
    let devices = claim.unwrap().claimed.into_iter();
    devices
        .map(|claimed| claimed.target.key.device.into_string())
        .collect()
}

async fn each_target_is_due_for_the_broker_again_in_its_own_time(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B", "C"]).await;
    let earlier = push(None, 0);
    queue(db, &earlier, &["B"]).await;
    acknowledge(db, "B", &earlier, Acknowledgement::Received).await;
    let push = push(None, 0);
    queue(db, &push, &["A", "B", "C"]).await;
    acknowledge(db, "C", &push, Acknowledgement::Opened).await;
    assert_eq!(claim(db, 0).await, ["A", "B"]);
    assert_eq!(claim(db, 0).await, [""; 0]);
    assert_eq!(claim(db, 1).await, ["A"]);
    assert_eq!(claim(db, 2).await, ["A", "B"]);
    // A push that could not be published is due at once, unless it is no longer needed.
    let all = keys(&targets(db, &push).await);
    push_targets::release_for_mqtt(db, &all, at(2)).await.unwrap();
    assert_eq!(claim(db, 2).await, ["A", "B"]);
}

async fn a_target_that_cannot_be_read_holds_up_no_other(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A", "B"]).await;
    let damage = "UPDATE push_targets SET detail = '' WHERE device_id = 'A'";
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    connection.execute_unprepared(damage).await.unwrap();
    let claim = async || {
        let claim = push_targets::claim_due_for_mqtt(db, at(0), |_, _| at(1), 10).await;
        let claim = claim.unwrap();
        let devices = claim.claimed.into_iter().map(|claimed| claimed.target.key.device);
        (devices.collect::<Vec<_>>(), claim.set_aside)
    };
    assert_eq!(claim().await, (vec![id("B")], 1));
    assert_eq!(claim().await, (Vec::new(), 0));
}

async fn what_was_acknowledged_was_delivered_by_then(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A"]).await;
    acknowledge(db, "A", &push, Acknowledgement::Received).await;
    deliver(db, &keys(&targets(db, &push).await), Channel::Mqtt, at(6)).await;
    let target = targets(db, &push).await.remove(0);
    assert_eq!(
        (target.delivered_at, target.received_at),
        (Some(at(5)), Some(at(5)))
    );
    assert_eq!(target.channel, Some(Channel::Mqtt));
}

/// The acknowledgement's time is before the delivery, but it is written after it.
async fn an_acknowledgement_older_than_its_delivery_moves_the_delivery_back(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A"]).await;
    let push = push(None, 0);
    queue(db, &push, &["A"]).await;
    deliver(db, &keys(&targets(db, &push).await), Channel::Mqtt, at(6)).await;
    acknowledge(db, "A", &push, Acknowledgement::Received).await;
    let target = targets(db, &push).await.remove(0);
    assert_eq!(
        (target.delivered_at, target.received_at),
        (Some(at(5)), Some(at(5)))
    );
}

async fn followers_see_what_changed_and_what_is_open(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B", "C"]).await;
    let (first, second) = (push(None, 0), push(None, 1));
    queue(db, &first, &["A", "B"]).await;
    queue(db, &second, &["B", "C"]).await;
    acknowledge(db, "A", &first, Acknowledgement::Received).await;
    let mut of_pushes = push_targets::list_of_pushes(db, &[first.id, slipway::random::id::<PushId>()])
        .await
        .unwrap();
    of_pushes.sort_by(|one, other| one.key.cmp(&other.key));
    let open: Vec<_> = of_pushes.iter().map(|target| target.open_until).collect();
    assert_eq!(open, [None, Some(at(10))]);
    assert_eq!(of_pushes[0].push, first.id);
    let changed = push_targets::list_changed_since(db, at(1)).await.unwrap();
    assert_eq!(changed.len(), 3);
    assert_eq!(
        push_targets::list_changed_since(db, at(5)).await.unwrap().len(),
        1
    );
    let mut open = Vec::new();
    while let Some(target) = push_targets::list_open(db, open.last(), 1).await.unwrap().pop() {
        open.push(target.key);
    }
    let expected: Vec<_> = [("B", 1), ("B", 2), ("C", 1)]
        .map(|(device, sequence)| (id(device), sequence))
        .into();
    let found: Vec<_> = open.into_iter().map(|key| (key.device, key.sequence)).collect();
    assert_eq!(found, expected);
    assert_eq!(push_targets::list_open(db, None, 9).await.unwrap().len(), 3);
}

async fn old_pushes_are_removed_unless_they_are_open(database: TestDatabase) {
    let db = &database.db;
    prepare(db, &["A", "B"]).await;
    // They expire at minutes 10, 11, 12 and 20.
    let all = [push(None, 0), push(None, 1), push(None, 2), push(None, 10)];
    let [received, open, withdrawn, young] = &all;
    for push in &all {
        queue(db, push, &["A", "B"]).await;
    }
    withdraw(db, withdrawn).await;
    withdraw(db, young).await;
    for device in ["A", "B"] {
        acknowledge(db, device, received, Acknowledgement::Received)
            .await
            .unwrap();
    }
    acknowledge(db, "A", open, Acknowledgement::Applied)
        .await
        .unwrap();

    let remove = async |before, limit| pushes::delete_expired_before(db, before, limit).await.unwrap();
    assert_eq!(remove(at(10), 10).await, 0);
    assert_eq!(remove(at(20), 1).await, 1);
    assert!(pushes::find(db, scope(1), received.id).await.unwrap().is_none());
    assert!(targets(db, received).await.is_empty());
    assert_eq!(remove(at(20), 10).await, 1);
    assert!(pushes::find(db, scope(1), withdrawn.id).await.unwrap().is_none());
    for kept in [open, young] {
        assert_eq!(targets(db, kept).await.len(), 2);
    }
    push_targets::expire_due(db, at(11), 10).await.unwrap();
    assert_eq!(remove(at(20), 10).await, 1);
    assert!(targets(db, open).await.is_empty());
}
