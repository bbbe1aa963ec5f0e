//! Devices that check at every node continuously.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::interval;

use super::history::Pair;
use super::installation::{Installation, Tenant};
use super::node::{NoAnswer, Node, NodeAnswer, pair_of};
use super::plan::{APPS, DEVICE_TYPES, STORES, device_id, identifiers, old_name};

/// Interval between two checks of a device task.
const PACE: Duration = Duration::from_millis(50);
/// Time limit for an answer. A node answers from memory; only a stopped node takes longer.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// An answered check.
pub(super) struct Observation {
    pub(super) node: usize,
    pub(super) tenant: i64,
    pub(super) request: Value,
    pub(super) pair: Pair,
    pub(super) stale: bool,
    pub(super) offers: Value,
    pub(super) msg_code: Value,
    /// The newest pair that the node had named before the check was sent.
    pub(super) floor: Option<Pair>,
}

/// Checks at one node repeatedly until the run ends.
pub(super) async fn keep_asking(
    installation: Arc<Installation>,
    node: Arc<Node>,
    mut rng: fastrand::Rng,
    observed: UnboundedSender<Observation>,
) {
    let mut ticks = interval(PACE);
    while !installation.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        if node.is_up() {
            let tenant = &installation.tenants[rng.usize(..installation.tenants.len())];
            let request = any_request(&mut rng);
            match ask(&node, tenant, request).await {
                Ok(Some(observation)) => drop(observed.send(observation)),
                Ok(None) => {}
                Err(wrong) => installation.report(wrong),
            }
        }
    }
}

/// Makes one check. Returns `None` if the node was killed meanwhile.
pub(super) async fn ask(node: &Node, tenant: &Tenant, request: Value) -> Result<Option<Observation>, String> {
    let floor = node.floor(tenant.id);
    let key = Some(tenant.device_key.as_str());
    let answer = match node
        .call(Method::POST, "/v1/check", key, &request, ANSWER_WITHIN)
        .await
    {
        Ok(answer) => answer,
        Err(NoAnswer::Killed) => return Ok(None),
        Err(why) => return Err(format!("node {} does not answer a check: {why:?}", node.number)),
    };
    let pair = pair_of(&answer);
    let NodeAnswer {
        status,
        body,
        run_number,
        ..
    } = answer;
    let Some(pair) = pair.filter(|_| status == 200) else {
        return Err(format!(
            "node {} answers a check with {status}: {body}",
            node.number
        ));
    };
    node.raise_floor(run_number, tenant.id, &pair);
    Ok(Some(Observation {
        node: node.number,
        tenant: tenant.id,
        request,
        pair,
        stale: answer.stale,
        offers: body["data"].clone(),
        msg_code: body["msg_code"].clone(),
        floor: floor
            .filter(|(floor_run, _)| *floor_run == run_number)
            .map(|(_, pair)| pair),
    }))
}

/// Returns a random check of one of a few devices.
fn any_request(rng: &mut fastrand::Rng) -> Value {
    let app = APPS[rng.usize(..APPS.len())];
    let mut request = json!({
        "package_name": if rng.u8(..4) == 0 { old_name(app) } else { app.to_owned() },
        "version_code": rng.i64(0..30),
        "device_id": device_id(rng),
        "attributes": {"abi": if rng.bool() { "arm64-v8a" } else { "x86_64" }, "ram": rng.i64(1..9)},
    });
    for part in identifiers(app).iter().skip(1) {
        if rng.bool() {
            request["old_versions"][part] = json!(rng.i64(0..30));
        }
    }
    if rng.u8(..5) > 0 {
        request["device_type"] = json!(DEVICE_TYPES[rng.usize(..DEVICE_TYPES.len())]);
    }
    let store = STORES[rng.usize(..STORES.len())];
    match rng.u8(..5) {
        0 => {}
        1 => request["org_info"] = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": store}),
        // The tenant's directory may hold the other levels.
        _ => request["org_info"] = json!({"l3Code": store}),
    }
    request
}
