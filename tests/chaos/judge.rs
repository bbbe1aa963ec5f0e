//! Verdict on every push, from the records of senders and devices.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::device::{Record, rank};
use super::fixture::{Fixture, NODES, text};
use super::sender::Sent;

/// Time limit for the end of all pushes after everything works again.
const ALL_END_WITHIN: Duration = Duration::from_mins(2);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

pub(super) struct Judge<'a> {
    fixture: &'a Fixture,
    sent: Vec<Sent>,
}

/// A push in the admin API at the end of the run, and the sent push that it belongs to.
pub(super) struct FinalPush {
    pub(super) sent: usize,
    pub(super) push: Value,
}

impl<'a> Judge<'a> {
    pub(super) fn new(fixture: &'a Fixture, sent: Vec<Sent>) -> Self {
        Self { fixture, sent }
    }

    pub(super) fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Returns all pushes after each has ended on every device. Reports those that do not end.
    pub(super) async fn wait_for_the_end(&self) -> Vec<FinalPush> {
        let deadline = Instant::now() + ALL_END_WITHIN;
        let mut all = Vec::new();
        for (index, sent) in self.sent.iter().enumerate() {
            for id in self.ids_of(sent, deadline).await {
                let push = self.ended(&id, deadline).await;
                all.push(FinalPush { sent: index, push });
            }
        }
        all
    }

    pub(super) async fn read_again(&self, all: &mut [FinalPush]) {
        let deadline = Instant::now() + ALL_END_WITHIN;
        for ended in all {
            let path = format!("/pushes/{}", text(&ended.push, "id"));
            ended.push = self.get(&path, deadline).await;
        }
    }

    /// Returns the ids of the pushes with a trace id. They must be the ids that the sender received, or a single id if
    /// it received none.
    async fn ids_of(&self, sent: &Sent, deadline: Instant) -> BTreeSet<String> {
        let path = format!("/pushes?trace_id={}", sent.trace_id());
        let list = self.get(&path, deadline).await;
        let items = list["items"].as_array().into_iter().flatten();
        let ids: BTreeSet<_> = items.map(|push| text(push, "id").to_owned()).collect();
        if ids.len() > 1 || !sent.answered.is_subset(&ids) {
            self.wrong(format!(
                "{} was answered with {:?}; there are {ids:?}",
                sent.trace_id(),
                sent.answered
            ));
        }
        ids
    }

    async fn ended(&self, id: &str, deadline: Instant) -> Value {
        loop {
            let push = self.get(&format!("/pushes/{id}"), deadline).await;
            let is_open = |target: &Value| matches!(text(target, "state"), "queued" | "delivered");
            let open = targets(&push).filter(|target| is_open(target)).count();
            if open == 0 || Instant::now() >= deadline {
                if open > 0 {
                    self.wrong(format!("{id} does not end: {push}"));
                }
                return push;
            }
            sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    async fn get(&self, path: &str, deadline: Instant) -> Value {
        for count in 0.. {
            let answer = self.fixture.send(count % NODES, Method::GET, path, &Value::Null);
            if let Some((_, answer)) = answer.await {
                return answer;
            }
            assert!(Instant::now() < deadline, "nobody answers {path}");
            sleep(LOOK_AGAIN_AFTER).await;
        }
        unreachable!("the loop ends by an answer or the deadline")
    }

    pub(super) fn judge(&self, ended: &[FinalPush], records: &[Record]) {
        let by_device: HashMap<_, _> = records.iter().map(|record| (record.device, record)).collect();
        for ended in ended {
            self.judge_push(ended, &by_device);
        }
        self.judge_sequences(ended);
        let by_id: HashMap<_, _> = ended
            .iter()
            .map(|ended| (text(&ended.push, "id"), ended))
            .collect();
        for record in records {
            self.judge_receipts(record, &by_id);
        }
    }

    /// Checks that the push has the content and the devices that were sent.
    fn judge_push(&self, ended: &FinalPush, records: &HashMap<usize, &Record>) {
        let (sent, push) = (&self.sent[ended.sent], &ended.push);
        for member in ["trace_id", "action"] {
            if push[member] != sent.body[member] {
                self.wrong(format!("{} became {push}", sent.body));
            }
        }
        let wanted: BTreeSet<_> = sent.devices.iter().map(|device| self.id_of(*device)).collect();
        let found: BTreeSet<_> = targets(push).map(|target| text(target, "device_id")).collect();
        if wanted != found {
            self.wrong(format!("{} is for {found:?}, not {wanted:?}", sent.trace_id()));
        }
        for device in &sent.devices {
            let target = targets(push).find(|target| text(target, "device_id") == self.id_of(*device));
            if let Some(target) = target {
                self.judge_target(sent, push, target, records[device]);
            }
        }
    }

    /// Checks that a push ended on a device as the device acknowledged it, or else expired.
    fn judge_target(&self, sent: &Sent, push: &Value, target: &Value, record: &Record) {
        let (id, state) = (text(push, "id"), text(target, "state"));
        let said = record.said.get(id);
        let tried = said.map_or(&[][..], |said| &said.tried);
        let confirmed: Vec<_> = said
            .into_iter()
            .flat_map(|said| said.confirmed.iter().map(String::as_str))
            .collect();
        let least = confirmed.iter().map(|said| rank(said)).max().unwrap_or_default();
        let has_come = record
            .received
            .iter()
            .any(|receipt| receipt.push["push_id"] == id);
        let is_so = match state {
            "expired" => {
                // It may expire only without an acknowledgement, after its deadline, and with a time.
                sent.is_preview()
                    && confirmed.is_empty()
                    && instant(target, "ended_at") >= instant(push, "expires_at")
            }
            "received" | "opened" | "applied" | "failed" => {
                let is_end = matches!(state, "applied" | "failed");
                tried.contains(&state)
                    && rank(state) >= least
                    && has_come
                    && target["received_at"].is_string()
                    && target["ended_at"].is_string() == is_end
                    && (!confirmed.contains(&"opened") || target["opened_at"].is_string())
                    && target["detail"] == format!("said by {}", self.id_of(record.device))
            }
            _ => false,
        };
        let channel = &target["channel"];
        let channels = self.fixture.devices[record.device].channels;
        let is_known = channels.iter().any(|known| channel == known.as_str());
        if !is_so || !(channel.is_null() || is_known) {
            self.wrong(format!(
                "{id} ({}) ended as {target}; it has come: {has_come}, tried: {tried:?}, confirmed: {confirmed:?}",
                push["expires_at"]
            ));
        }
    }

    /// Checks that each sequence of a device names one push.
    fn judge_sequences(&self, ended: &[FinalPush]) {
        let mut named: BTreeMap<(&str, i64), &str> = BTreeMap::new();
        for ended in ended {
            for target in targets(&ended.push) {
                let key = (
                    text(target, "device_id"),
                    target["sequence"].as_i64().unwrap_or_default(),
                );
                let id = text(&ended.push, "id");
                if let Some(other) = named.insert(key, id) {
                    self.wrong(format!("{key:?} names {other} and {id}"));
                }
            }
        }
    }

    /// Checks that every received push was sent to the device, each time with the same sequence and content.
    fn judge_receipts(&self, record: &Record, by_id: &HashMap<&str, &FinalPush>) {
        let device = self.id_of(record.device);
        for receipt in &record.received {
            let received = &receipt.push;
            let expected = by_id
                .get(text(received, "push_id"))
                .and_then(|ended| self.as_delivered(ended, device));
            if expected.as_ref() != Some(received) {
                self.wrong(format!("{device} got {received}, not {expected:?}"));
            }
        }
    }

    /// Returns a push as the device must receive it, or `None` if it is not for the device.
    fn as_delivered(&self, ended: &FinalPush, device: &str) -> Option<Value> {
        let (push, sent) = (&ended.push, &self.sent[ended.sent].body);
        let target = targets(push).find(|target| text(target, "device_id") == device)?;
        let mut delivered = sent["package_push_info"].clone();
        delivered["push_id"] = push["id"].clone();
        delivered["sequence"] = target["sequence"].clone();
        for member in ["trace_id", "action"] {
            delivered[member] = sent[member].clone();
        }
        for member in ["created_at", "expires_at"] {
            delivered[member] = push[member].clone();
        }
        Some(delivered)
    }

    fn id_of(&self, device: usize) -> &str {
        &self.fixture.devices[device].id
    }

    fn wrong(&self, wrong: String) {
        self.fixture.event_log.report(wrong);
    }
}

pub(super) fn targets(push: &Value) -> impl Iterator<Item = &Value> {
    push["targets"].as_array().into_iter().flatten()
}

/// Returns a member that is an instant, as microseconds since the epoch.
fn instant(object: &Value, member: &str) -> Option<i64> {
    let instant = chrono::DateTime::parse_from_rfc3339(object[member].as_str()?).ok()?;
    Some(instant.timestamp_micros())
}
