//! A release manager of each tenant: one write after the other, each repeated at any node until it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::history::{Pair, State};
use super::installation::{Installation, Tenant};
use super::node::{NoAnswer, Node, NodeAnswer, pair_of};
use super::plan::{Effect, Write, next};

/// A write that is not answered by then is sent again, elsewhere.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
/// A node that answers a write in less has not given up waiting until it serves it (at two seconds), so it does.
const SERVED_WITHIN: Duration = Duration::from_millis(1_900);
/// Between two tries of one write.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What the runner tells the writers of a round, and hears of them.
#[derive(Default)]
pub(super) struct Orders {
    /// No more writes: finish the one at hand.
    pub(super) stop: AtomicBool,
    /// Not even that.
    pub(super) give_up: AtomicBool,
    pub(super) acknowledged: AtomicU64,
    /// Answers that said no for now, and none at all.
    pub(super) refused: AtomicU64,
    pub(super) unanswered: AtomicU64,
}

/// What a try came to.
enum WriteOutcome {
    /// Acknowledged, with the pair that the answer named.
    Done(Option<Pair>),
    Again,
    Wrong(String),
}

/// The only one who writes to its tenant, so that the tenant's state after one write is what the next is chosen from,
/// and each write advances the revision by exactly one however often it was sent. Only a repeated create of a release
/// may advance it once more, changing nothing: the answer to it may have to be kept in that transaction.
pub(super) struct Writer {
    pub(super) installation: Arc<Installation>,
    /// Which of the tenants.
    pub(super) index: usize,
    pub(super) orders: Arc<Orders>,
    pub(super) rng: fastrand::Rng,
}

impl Writer {
    /// Writes until told to stop. Returns the last pair, or `None` when something was wrong or given up.
    pub(super) async fn work(mut self) -> Option<Pair> {
        let history = &self.installation.history;
        let mut at = history.current().await.remove(&self.tenant().id)?;
        while !self.orders.stop.load(Ordering::Relaxed) {
            match self.write_once(&at).await {
                Ok(pair) => at = pair?,
                Err(wrong) => {
                    self.installation
                        .report(format!("tenant {}: {wrong}", self.tenant().id));
                    return None;
                }
            }
        }
        Some(at)
    }

    fn tenant(&self) -> &Tenant {
        &self.installation.tenants[self.index]
    }

    async fn state(&self, pair: &Pair) -> Result<Arc<State>, String> {
        let found = self
            .installation
            .history
            .find_surely(self.tenant().id, pair)
            .await;
        found.ok_or_else(|| format!("{pair:?} was acknowledged and is not in the database"))
    }

    /// Chooses a write, has it acknowledged, and demands that it is committed, once, and that the pair names a state
    /// that has it. `None`: given up.
    async fn write_once(&mut self, at: &Pair) -> Result<Option<Pair>, String> {
        let write = next(self.state(at).await?.case(), &mut self.rng);
        let Some((pair, tries)) = self.until_acknowledged(&write).await? else {
            return Ok(None);
        };
        self.orders.acknowledged.fetch_add(1, Ordering::Relaxed);
        if let Some(missing) = write.effect.missing_in(self.state(&pair).await?.case()) {
            return Err(format!(
                "acknowledged with {pair:?}, in which {missing}: {write:?}"
            ));
        }
        let count = pair.revision - at.revision;
        if count == 1 || (write.creates_a_release() && (1..=tries).contains(&count)) {
            Ok(Some(pair))
        } else {
            Err(format!(
                "{count} commits in {tries} tries from {at:?} to {pair:?}: {write:?}"
            ))
        }
    }

    /// The pair that has the write, and how often it was sent.
    async fn until_acknowledged(&mut self, write: &Write) -> Result<Option<(Pair, i64)>, String> {
        for count in 1.. {
            match self.try_once(write, count).await {
                WriteOutcome::Done(Some(pair)) => return Ok(Some((pair, count))),
                // A repeat found it done; since nobody else writes to the tenant, what is there now is what it made.
                WriteOutcome::Done(None) => {
                    let mut current = self.installation.history.current().await;
                    let pair = current.remove(&self.tenant().id);
                    return Ok(pair.map(|pair| (pair, count)));
                }
                WriteOutcome::Again if self.orders.give_up.load(Ordering::Relaxed) => break,
                WriteOutcome::Again => tokio::time::sleep(TRY_AGAIN_AFTER).await,
                WriteOutcome::Wrong(wrong) => return Err(format!("{wrong}: {write:?}, try {count}")),
            }
        }
        Ok(None)
    }

    async fn try_once(&mut self, write: &Write, count: i64) -> WriteOutcome {
        let node = self.rng.usize(..self.installation.nodes.len());
        let node = &self.installation.nodes[node];
        let path = format!("/api/v1/tenants/{}{}", self.tenant().id, write.path);
        let token = Some(self.tenant().token.as_str());
        let answer = node
            .call(write.method.clone(), &path, token, &write.body, ANSWER_WITHIN)
            .await;
        match answer {
            Ok(answer) => self.judge(node, write, count, &answer),
            Err(NoAnswer::Failed(why)) => WriteOutcome::Wrong(format!("node {} fails: {why}", node.number)),
            Err(NoAnswer::Killed) => WriteOutcome::Again,
            Err(NoAnswer::TooLate) => {
                self.orders.unanswered.fetch_add(1, Ordering::Relaxed);
                let number = node.number;
                self.installation.say(&format!(
                    "node {number} does not answer a write within {ANSWER_WITHIN:?}"
                ));
                WriteOutcome::Again
            }
        }
    }

    fn judge(&self, node: &Node, write: &Write, count: i64, answer: &NodeAnswer) -> WriteOutcome {
        match (answer.status, &write.effect) {
            (200 | 201 | 204, _) => {
                let pair = pair_of(answer);
                if let Some(pair) = pair.as_ref().filter(|_| answer.took < SERVED_WITHIN) {
                    node.raise_floor(answer.life, self.tenant().id, pair);
                }
                WriteOutcome::Done(pair)
            }
            (503, _) => {
                self.orders.refused.fetch_add(1, Ordering::Relaxed);
                WriteOutcome::Again
            }
            // The first try did it and could not say so.
            (404, Effect::Gone(_)) | (409, Effect::Holds(..)) if count > 1 => WriteOutcome::Done(None),
            (status, _) => WriteOutcome::Wrong(format!(
                "node {} answers a write with {status}: {}",
                node.number, answer.body
            )),
        }
    }
}
