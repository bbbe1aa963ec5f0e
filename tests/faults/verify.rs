//! Compares each answer with the reference resolver on the state that the answer names.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use slipway::clock::{Clock, SystemClock};
use tokio::sync::mpsc::UnboundedReceiver;

use super::device::Observation;
use super::history::Found;
use super::installation::Installation;
use crate::resolve::reference;

/// Verifies the answers of devices until the devices stop. If the database is unavailable, an answer waits until its
/// state can be read.
pub(super) async fn keep_verifying(
    installation: Arc<Installation>,
    mut observed: UnboundedReceiver<Observation>,
) {
    let mut waiting: Vec<Observation> = Vec::new();
    loop {
        // The time limit lets waiting answers be retried.
        let next = tokio::time::timeout(Duration::from_millis(100), observed.recv()).await;
        match next {
            Ok(Some(observation)) => waiting.push(observation),
            Ok(None) if waiting.is_empty() => return,
            Ok(None) | Err(_) => {}
        }
        while let Ok(observation) = observed.try_recv() {
            waiting.push(observation);
        }
        let mut again = Vec::new();
        for observation in waiting {
            match verify(&installation, &observation).await {
                Some(Ok(())) => drop(installation.verified.fetch_add(1, Ordering::Relaxed)),
                Some(Err(wrong)) => installation.report(wrong),
                None => again.push(observation),
            }
        }
        waiting = again;
        installation.unverified.store(waiting.len(), Ordering::Relaxed);
    }
}

/// Verifies one answer. Returns `None` if the state cannot be read now.
async fn verify(installation: &Installation, observation: &Observation) -> Option<Result<(), String>> {
    let Observation {
        node, tenant, pair, ..
    } = observation;
    if let Some(floor) = &observation.floor
        && (floor.revision > pair.revision || (floor.revision == pair.revision && floor != pair))
    {
        match installation.history.find(*tenant, floor).await {
            // A failover lost the state, and the node follows the database back.
            Found::State(state) if state.is_lost() => {}
            Found::NotNow => return None,
            Found::State(_) | Found::Never => {
                return Some(Err(format!(
                    "node {node} went back from {floor:?} to {pair:?} of tenant {tenant}"
                )));
            }
        }
    }
    let state = match installation.history.find(*tenant, pair).await {
        Found::State(state) => state,
        Found::NotNow => return None,
        Found::Never => {
            return Some(Err(format!(
                "node {node} names {pair:?} of tenant {tenant}, which never was"
            )));
        }
    };
    // No release of the runner has a time window, so any instant will do.
    let now = SystemClock.now();
    let expected = reference::check(state.case(), &observation.request, now, observation.stale);
    let answered = json!({"offers": of_reference(&observation.offers), "msg_code": observation.msg_code});
    Some(if expected == answered {
        Ok(())
    } else {
        Err(format!(
            "node {node} answers {} of tenant {tenant} at {pair:?} (stale: {}) with {answered}; the reference: {expected}",
            observation.request, observation.stale
        ))
    })
}

/// Returns offers with the members of the specification. The device API has one more, which no release of the runner
/// sets.
fn of_reference(offers: &Value) -> Value {
    let mut offers = offers.clone();
    for offer in offers.as_array_mut().into_iter().flatten() {
        let members = offer.as_object_mut().unwrap();
        assert!(members.shift_remove("sha256").is_none_or(|sha256| sha256 == ""));
    }
    offers
}
