//! A release manager of each tenant: one write after the other, each repeated at any node until it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::history::Pair;
use super::installation::{Installation, Tenant};
use super::node::{Answer, NoAnswer};
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
enum Tried {
    /// Acknowledged, with the pair that the answer named.
    Done(Option<Pair>),
    Again,
    Wrong(String),
}

/// Writes until told to stop. Only this task writes to the tenant, so that the tenant's state after one write is what
/// the next is chosen from, and each write advances the revision by exactly one however often it was sent.
/// Returns the last pair, or `None` when something was wrong or given up.
pub(super) async fn keep_writing(
    installation: Arc<Installation>,
    tenant_index: usize,
    orders: Arc<Orders>,
    mut rng: fastrand::Rng,
) -> Option<Pair> {
    let tenant = &installation.tenants[tenant_index];
    let mut at = installation.history.current().await.remove(&tenant.id)?;
    while !orders.stop.load(Ordering::Relaxed) {
        let Some(state) = installation.history.find_surely(tenant.id, &at).await else {
            installation.report(format!("{at:?} of tenant {} is not in the database", tenant.id));
            return None;
        };
        let write = next(state.case(), &mut rng);
        let pair = until_acknowledged(&installation, tenant, &write, &orders, &mut rng).await?;
        orders.acknowledged.fetch_add(1, Ordering::Relaxed);
        if let Some(wrong) = wrong_about(&installation, tenant, &write, &at, &pair).await {
            installation.report(format!("{wrong}; tenant {}: {write:?}", tenant.id));
            return None;
        }
        at = pair;
    }
    Some(at)
}

async fn until_acknowledged(
    installation: &Installation,
    tenant: &Tenant,
    write: &Write,
    orders: &Orders,
    rng: &mut fastrand::Rng,
) -> Option<Pair> {
    for count in 1.. {
        match try_once(installation, tenant, write, orders, count, rng).await {
            Tried::Done(Some(pair)) => return Some(pair),
            // A repeat found it done; since nobody else writes to the tenant, what is there now is what it made.
            Tried::Done(None) => return installation.history.current().await.remove(&tenant.id),
            Tried::Again if orders.give_up.load(Ordering::Relaxed) => return None,
            Tried::Again => tokio::time::sleep(TRY_AGAIN_AFTER).await,
            Tried::Wrong(wrong) => {
                installation.report(format!("{wrong}; tenant {}: {write:?}, try {count}", tenant.id));
                return None;
            }
        }
    }
    None
}

async fn try_once(
    installation: &Installation,
    tenant: &Tenant,
    write: &Write,
    orders: &Orders,
    count: u32,
    rng: &mut fastrand::Rng,
) -> Tried {
    let node = &installation.nodes[rng.usize(..installation.nodes.len())];
    let path = format!("/api/v1/tenants/{}{}", tenant.id, write.path);
    let token = Some(tenant.token.as_str());
    let answer = node.call(write.method.clone(), &path, token, &write.body, ANSWER_WITHIN).await;
    let Answer { status, pair, body, life, took, .. } = match answer {
        Ok(answer) => answer,
        Err(NoAnswer::Failed(why)) => return Tried::Wrong(format!("node {} fails: {why}", node.number)),
        Err(why @ (NoAnswer::Killed | NoAnswer::TooLate)) => {
            if matches!(why, NoAnswer::TooLate) {
                installation.say(&format!("node {} does not answer a write within {ANSWER_WITHIN:?}", node.number));
            }
            orders.unanswered.fetch_add(1, Ordering::Relaxed);
            return Tried::Again;
        }
    };
    match (status, &write.effect) {
        (200 | 201 | 204, _) => {
            if let Some(pair) = pair.as_ref().filter(|_| took < SERVED_WITHIN) {
                node.raise_floor(life, tenant.id, pair);
            }
            Tried::Done(pair)
        }
        (503, _) => {
            orders.refused.fetch_add(1, Ordering::Relaxed);
            Tried::Again
        }
        // The first try did it and could not say so.
        (404, Effect::Gone(_)) | (409, Effect::Holds(..)) if count > 1 => Tried::Done(None),
        _ => Tried::Wrong(format!("node {} answers a write with {status}: {body}", node.number)),
    }
}

/// An acknowledged write is committed, once, and the pair names a state that has it.
async fn wrong_about(
    installation: &Installation,
    tenant: &Tenant,
    write: &Write,
    before: &Pair,
    pair: &Pair,
) -> Option<String> {
    let Some(state) = installation.history.find_surely(tenant.id, pair).await else {
        return Some(format!("acknowledged with {pair:?}, which is not in the database"));
    };
    if let Some(missing) = write.effect.missing_in(state.case()) {
        return Some(format!("acknowledged with {pair:?}, in which {missing}"));
    }
    let count = pair.revision - before.revision;
    (count != 1).then(|| format!("from {before:?} to {pair:?} in {count} commits"))
}
