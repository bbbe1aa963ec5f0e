//! A simulated device. It receives pushes, acknowledges them by its own rules, disconnects and returns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, Receipt};
use super::fixture::{Channel, Fixture, NODES, Phase, text};

/// Interval between two attempts of one acknowledgement.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Sequences of states that devices acknowledge.
const STORIES: [&[&str]; 6] = [
    &["received"],
    &["applied"],
    &["failed"],
    &["received", "opened"],
    &["received", "opened", "applied"],
    &["opened", "failed"],
];

/// Pushes received and acknowledgements sent by a device, kept outside of its simulated memory.
pub(super) struct Record {
    pub(super) device: usize,
    /// Received pushes in order, including repeated deliveries.
    pub(super) received: Vec<Receipt>,
    /// Acknowledgements by push id.
    pub(super) said: BTreeMap<String, DeviceAcknowledgement>,
    /// Number of times that it disconnected without a crash.
    pub(super) absences: u64,
    pub(super) crashes: u64,
}

/// Acknowledgements of one push.
#[derive(Default)]
pub(super) struct DeviceAcknowledgement {
    /// States that it sent at least once.
    pub(super) tried: Vec<&'static str>,
    /// States that were confirmed.
    pub(super) confirmed: Vec<String>,
}

pub(super) struct Device {
    fixture: Arc<Fixture>,
    rng: fastrand::Rng,
    record: Record,
    /// Behaviour for each push. It belongs to the run, so a crash does not change it.
    habits: HashMap<String, Habit>,
    /// Pending acknowledgements, lost in a crash.
    to_say: Vec<ToSay>,
    /// The highest sequence in its memory.
    has_up_to: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Habit {
    /// Number of deliveries that it ignores.
    ignores: u32,
    /// Number of crashes before it acknowledges.
    crashes: u32,
    says: &'static [&'static str],
    /// Pause before each acknowledgement.
    pause: Duration,
}

struct ToSay {
    at: Instant,
    push: String,
    says: &'static [&'static str],
    pause: Duration,
}

/// Reason for a disconnect.
enum Left {
    LineIsDown,
    Offline,
    Crashed,
}

impl Device {
    pub(super) fn new(fixture: Arc<Fixture>, index: usize, rng: fastrand::Rng) -> Self {
        Self {
            fixture,
            rng,
            record: Record {
                device: index,
                received: Vec::new(),
                said: BTreeMap::new(),
                absences: 0,
                crashes: 0,
            },
            habits: HashMap::new(),
            to_say: Vec::new(),
            has_up_to: None,
        }
    }

    /// Runs until the end of the run.
    pub(super) async fn live(mut self) -> Record {
        let fixture = self.fixture.clone();
        tokio::select! {
            () = fixture.comes(Phase::Over) => {}
            () = self.keep_connecting() => {}
        }
        self.record
    }

    async fn keep_connecting(&mut self) {
        loop {
            let node = self.rng.usize(..NODES);
            let resumes = self.rng.bool();
            let has_up_to = self.has_up_to.filter(|_| resumes);
            let line = Connection::open(self.fixture.clone(), self.record.device, node, has_up_to);
            let pause = match self.stay(line).await {
                Left::LineIsDown => self.rng.u64(50..500),
                Left::Offline => {
                    self.record.absences += 1;
                    self.rng.u64(200..4_500)
                }
                Left::Crashed => {
                    self.record.crashes += 1;
                    self.to_say.clear();
                    self.has_up_to = None;
                    self.rng.u64(100..1_500)
                }
            };
            let fixture = self.fixture.clone();
            tokio::select! {
                () = sleep(Duration::from_millis(pause)) => {}
                // A disconnected device returns when calm begins.
                () = fixture.comes(Phase::Calm), if fixture.phase() == Phase::Chaos => {}
            }
        }
    }

    async fn stay(&mut self, mut line: Connection) -> Left {
        let leaves_at = Instant::now() + Duration::from_millis(self.rng.u64(500..8_000));
        loop {
            let is_chaos = self.fixture.phase() == Phase::Chaos;
            if is_chaos && Instant::now() >= leaves_at {
                return Left::Offline;
            }
            let says_at = self.to_say.iter().map(|to_say| to_say.at).min();
            tokio::select! {
                receipt = line.next() => match receipt {
                    None => return Left::LineIsDown,
                    Some(receipt) => if self.take(receipt) {
                        return Left::Crashed;
                    }
                },
                () = sleep_until(leaves_at), if is_chaos => {}
                () = sleep_until(says_at.unwrap_or(leaves_at)), if says_at.is_some() => self.say_what_is_due(&line).await,
            }
        }
    }

    /// Receives a push. Returns true if the device crashes.
    fn take(&mut self, receipt: Receipt) -> bool {
        let push = &receipt.push;
        let id = text(push, "push_id").to_owned();
        let sequence = push["sequence"].as_i64();
        let is_preview = push["action"] == "preview";
        self.record.received.push(receipt);
        let habit = self
            .habits
            .entry(id.clone())
            .or_insert_with(|| Habit::draw(&mut self.rng, is_preview));
        if habit.crashes > 0 {
            habit.crashes -= 1;
            return true;
        }
        self.has_up_to = self.has_up_to.max(sequence);
        if habit.ignores > 0 {
            habit.ignores -= 1;
        } else if self.to_say.iter().all(|to_say| to_say.push != id) {
            self.to_say.push(ToSay {
                at: Instant::now() + habit.pause,
                push: id,
                says: habit.says,
                pause: habit.pause,
            });
        }
        false
    }

    async fn say_what_is_due(&mut self, line: &Connection) {
        let now = Instant::now();
        let Some(index) = self.to_say.iter().position(|to_say| to_say.at <= now) else {
            return;
        };
        let mut to_say = self.to_say.swap_remove(index);
        if let Some((state, rest)) = to_say.says.split_first() {
            if self.say(line, &to_say.push, state).await {
                to_say.says = rest;
                to_say.at = Instant::now() + to_say.pause;
            } else {
                to_say.at = Instant::now() + TRY_AGAIN_AFTER;
            }
            if !to_say.says.is_empty() {
                self.to_say.push(to_say);
            }
        }
    }

    /// Sends an acknowledgement. Returns true if it was confirmed, or sent over a channel without confirmations.
    async fn say(&mut self, line: &Connection, push: &str, state: &'static str) -> bool {
        let device = &self.fixture.devices[self.record.device];
        let said = self.record.said.entry(push.to_owned()).or_default();
        said.tried.push(state);
        let mut body = json!({"state": state, "detail": format!("said by {}", device.id)});
        if device.channels.contains(&Channel::Mqtt) && self.rng.bool() {
            body["push_id"] = json!(push);
            line.say(body.to_string());
            return true;
        }
        let path = format!("/v1/devices/{}/pushes/{push}/ack", device.id);
        let node = self.rng.usize(..NODES);
        let answer = self
            .fixture
            .call(node, Method::POST, &path, &device.token, &body)
            .await;
        let Some((_, answer)) = answer else {
            return false;
        };
        let counts = text(&answer, "state");
        if answer["push_id"] != push || rank(counts) < rank(state) {
            self.fixture
                .event_log
                .report(format!("{} said {state} of {push} and hears {answer}", device.id));
        }
        said.confirmed.push(counts.to_owned());
        true
    }
}

impl Habit {
    fn draw(rng: &mut fastrand::Rng, is_preview: bool) -> Self {
        let often = |rng: &mut fastrand::Rng, one_in: u8, count: std::ops::RangeInclusive<u32>| {
            if rng.u8(..one_in) == 0 { rng.u32(count) } else { 0 }
        };
        // A preview may be left unacknowledged until it expires.
        let never = is_preview && rng.u8(..6) == 0;
        Self {
            ignores: if never { u32::MAX } else { often(rng, 4, 1..=3) },
            crashes: often(rng, 12, 1..=2),
            says: STORIES[rng.usize(..STORIES.len())],
            pause: Duration::from_millis(if rng.u8(..4) == 0 {
                rng.u64(300..4_000)
            } else {
                rng.u64(..30)
            }),
        }
    }
}

/// Returns the rank of a state. A later acknowledgement never lowers the state of a push.
pub(super) fn rank(state: &str) -> u8 {
    match state {
        "received" => 1,
        "opened" => 2,
        "applied" | "failed" => 3,
        _ => 0,
    }
}
