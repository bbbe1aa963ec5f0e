//! A sender of pushes. It repeats an unanswered push with the same trace id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::fixture::{Fixture, NODES, PROJECT, Phase, text};

/// Interval between two attempts of one push.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);
const MOST_DEVICES: usize = 4;

/// A push that was sent, possibly several times.
pub(super) struct Sent {
    pub(super) body: Value,
    /// Recipients of the push.
    pub(super) devices: BTreeSet<usize>,
    /// Ids in the answers: one, if any call was answered.
    pub(super) answered: BTreeSet<String>,
    /// Number of calls for it, and of calls without an answer.
    pub(super) calls: u64,
    pub(super) unanswered: u64,
}

pub(super) struct Sender {
    fixture: Arc<Fixture>,
    number: usize,
    rng: fastrand::Rng,
}

impl Sent {
    pub(super) fn trace_id(&self) -> &str {
        text(&self.body, "trace_id")
    }

    pub(super) fn is_preview(&self) -> bool {
        self.body["action"] == "preview"
    }
}

impl Sender {
    pub(super) fn new(fixture: Arc<Fixture>, number: usize, rng: fastrand::Rng) -> Self {
        Self { fixture, number, rng }
    }

    /// Pushes until the calm phase.
    pub(super) async fn work(mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while self.fixture.phase() == Phase::Chaos {
            let mut sent = self.draw(all.len());
            if self.rng.u8(..8) == 0 {
                self.send_twice_at_once(&mut sent).await;
            }
            self.send_until_answered(&mut sent).await;
            if sent.answered.len() > 1 {
                self.fixture.event_log.report(format!(
                    "{} is two pushes: {:?}",
                    sent.trace_id(),
                    sent.answered
                ));
            }
            all.push(sent);
            sleep(Duration::from_millis(self.rng.u64(20..200))).await;
        }
        all
    }

    fn draw(&mut self, count: usize) -> Sent {
        let wanted = self.rng.usize(1..=MOST_DEVICES);
        let devices: BTreeSet<_> = (0..wanted)
            .map(|_| self.rng.usize(..self.fixture.devices.len()))
            .collect();
        let targets = devices
            .iter()
            .map(|device| json!({"hardware_id": self.fixture.devices[*device].id, "project_id": PROJECT}));
        let trace_id = format!("sender-{}-{count}", self.number);
        let body = json!({
            "target_info": targets.collect::<Vec<_>>(),
            "package_push_info": {
                "app_id": format!("app-{}", self.rng.u8(..5)),
                "app_type": "tinyApp",
                "pack_url": format!("https://files.example/{trace_id}.amr"),
            },
            "action": if self.rng.u8(..3) == 0 { "preview" } else { "install" },
            "trace_id": trace_id,
        });
        Sent {
            body,
            devices,
            answered: BTreeSet::new(),
            calls: 0,
            unanswered: 0,
        }
    }

    /// Sends a push until it is answered. Sometimes gives up, so that its outcome is unknown.
    async fn send_until_answered(&mut self, sent: &mut Sent) {
        loop {
            let node = self.rng.usize(..NODES);
            let answer = self.send(node, &sent.body).await;
            note(sent, answer);
            let gives_up = self.rng.u8(..8) == 0;
            if !sent.answered.is_empty() || gives_up {
                return;
            }
            sleep(TRY_AGAIN_AFTER).await;
        }
    }

    /// Sends a push twice at once, like an impatient client behind a load balancer.
    async fn send_twice_at_once(&self, sent: &mut Sent) {
        let (one, two) = tokio::join!(self.send(0, &sent.body), self.send(1, &sent.body));
        note(sent, one);
        note(sent, two);
    }

    async fn send(&self, node: usize, body: &Value) -> Option<String> {
        let (_, answer) = self.fixture.send(node, Method::POST, "/pushes", body).await?;
        Some(text(&answer, "id").to_owned())
    }
}

fn note(sent: &mut Sent, answer: Option<String>) {
    sent.calls += 1;
    sent.unanswered += u64::from(answer.is_none());
    sent.answered.extend(answer);
}
