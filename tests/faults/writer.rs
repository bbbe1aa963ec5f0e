//! A release manager of each tenant. It makes one write at a time and repeats it at any node until it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::history::{Pair, State};
use super::installation::{Installation, Tenant};
use super::node::{NoAnswer, Node, NodeAnswer, pair_of};
use super::plan::{Effect, Write, next};

/// Time limit for an answer, after which the write is repeated at another node.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
/// A node waits two seconds until it serves a write. A faster answer therefore means that the node serves it.
const SERVED_WITHIN: Duration = Duration::from_millis(1_900);
/// Interval between two attempts of one write.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Commands to the writers of a round, and their figures.
#[derive(Default)]
pub(super) struct Orders {
    /// Finish the current write and stop.
    pub(super) stop: AtomicBool,
    /// Abandon the current write too.
    pub(super) give_up: AtomicBool,
    pub(super) acknowledged: AtomicU64,
    /// Number of temporary refusals, and of missing answers.
    pub(super) refused: AtomicU64,
    pub(super) unanswered: AtomicU64,
}

/// Result of an attempt.
enum WriteOutcome {
    /// Acknowledged, with the pair in the answer.
    Done(Option<Pair>),
    Again,
    Wrong(String),
}

/// The only writer of its tenant. The state after one write therefore determines the next, and each write advances the
/// revision by exactly one, however often it was sent. Only a repeated create of a release may advance it once more
/// without a change, because its answer may have to be kept in that transaction.
pub(super) struct Writer {
    pub(super) installation: Arc<Installation>,
    /// Index of the tenant.
    pub(super) index: usize,
    pub(super) orders: Arc<Orders>,
    pub(super) rng: fastrand::Rng,
}

impl Writer {
    /// Writes until told to stop. Returns the last pair, or `None` after a failure or an abandoned write.
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

    /// Chooses a write and repeats it until it is acknowledged. It must be committed once, and the pair must name a
    /// state that contains it. Returns `None` if it was abandoned.
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

    /// Returns the pair that contains the write, and the number of attempts.
    async fn until_acknowledged(&mut self, write: &Write) -> Result<Option<(Pair, i64)>, String> {
        for count in 1.. {
            match self.try_once(write, count).await {
                WriteOutcome::Done(Some(pair)) => return Ok(Some((pair, count))),
                // A repeated attempt found it done. There is no other writer, so the current state is its result.
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
                self.installation.log(&format!(
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
                    node.raise_floor(answer.run_number, self.tenant().id, pair);
                }
                WriteOutcome::Done(pair)
            }
            (503, _) => {
                self.orders.refused.fetch_add(1, Ordering::Relaxed);
                WriteOutcome::Again
            }
            // The first attempt succeeded, but its answer was lost.
            (404, Effect::Gone(_)) | (409, Effect::Holds(..)) if count > 1 => WriteOutcome::Done(None),
            (status, _) => WriteOutcome::Wrong(format!(
                "node {} answers a write with {status}: {}",
                node.number, answer.body
            )),
        }
    }
}
