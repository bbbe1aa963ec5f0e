//! Pushes: accepted as a whole or not at all, deduplicated, and stored before they are answered.
//!
//! [`super::push_delivery`] delivers them to the devices.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use metrics::counter;
use sha2::{Digest, Sha256};

use super::audit::{self, Actor, AuditedChange, AuditedPush, WithdrawalDetails};
use super::authentication::GatewayKey;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError};
use crate::random;
use crate::storage::push_targets::{self, NewTarget};
use crate::storage::{Authority, Reader, StorageError, Tx, push_recipients, pushes, tenants};
use slipway_domain::access::{Action, TenantScope, authorize_push};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{PushId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::push::{
    Push, PushContent, PushRequest, PushTarget, TargetRecord, TargetState, UrlSchemes,
};
use slipway_domain::catalog::text::{DeviceId, TraceId};

/// Period in which a repeated push is recognized.
const REPEATS_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// Maximum validity of a signature: ten minutes before and after its timestamp. Only a repeated request has the same
/// signature.
const REPLAYS_WITHIN: TimeDelta = TimeDelta::minutes(20);

/// A push with its progress on each device.
#[derive(Debug, Clone)]
pub struct PushWithTargets {
    pub push: Push,
    /// Ordered by device id, bytewise.
    pub targets: Vec<TargetRecord>,
}

/// A push with the number of its targets in each state.
#[derive(Debug, Clone)]
pub struct PushWithCounts {
    pub push: Push,
    /// States without targets are absent.
    pub targets: BTreeMap<TargetState, u64>,
}

/// A push with its progress on one device.
#[derive(Debug, Clone)]
pub struct DevicePush {
    pub push: Push,
    pub target: TargetRecord,
}

/// Result of an accepted or repeated push.
#[derive(Debug, Clone)]
pub struct AcceptedPush {
    pub push: PushWithTargets,
    /// `true` if the push was accepted before, so that nothing was stored now.
    pub is_repeat: bool,
}

/// URL of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlField {
    Package,
    Source,
}

/// Reason that a push was refused. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum PushRefusal {
    /// The tenant does not allow the schemes of these URLs.
    #[error("the tenant does not allow the scheme of a URL")]
    Schemes(Vec<UrlField>),
    /// The tenant has no such devices in these projects.
    #[error("some devices are not known in their projects")]
    UnknownDevices(Vec<PushTarget>),
    #[error(transparent)]
    Failed(#[from] ServiceError),
}

impl From<StorageError> for PushRefusal {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

impl PushWithTargets {
    /// Returns the entity tag of the push in its current state.
    pub fn etag(&self) -> String {
        let mut digest = Sha256::new_with_prefix(self.push.id.uuid().as_bytes());
        for target in &self.targets {
            digest.update(target.key.sequence.to_be_bytes());
            digest.update(target.changed_at.timestamp_micros().to_be_bytes());
            digest.update([target.state as u8]);
        }
        hex::encode(&digest.finalize()[..8])
    }
}

/// Sender of a push and the API it uses.
struct Sender<'a> {
    scope: TenantScope,
    actor: Actor<'a>,
    authority: Authority,
    api: &'static str,
}

/// Accepts a push over the admin API.
pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    request: PushRequest,
    once: IdempotentWrite<'_, AcceptedPush>,
) -> Result<AcceptedPush, PushRefusal> {
    let scope = ctx.authorize(caller, tenant, Action::Push).await?;
    let sender = Sender {
        scope,
        actor: Actor::of(caller),
        authority: caller.authority(),
        api: "admin",
    };
    accept(ctx, &sender, request, Some(once)).await
}

/// Accepts a push over the gateway, for the tenant of the key. The transaction refuses a disabled tenant.
pub async fn create_with_key(
    ctx: &Context,
    key: &GatewayKey,
    request_id: &str,
    request: PushRequest,
) -> Result<AcceptedPush, PushRefusal> {
    let scope = authorize_push(key.role(), key.tenant()).map_err(ServiceError::from)?;
    let sender = Sender {
        scope,
        actor: Actor {
            key: format!("app_key:{}", key.id()),
            name: key.app_key().to_owned(),
            request_id,
        },
        authority: Authority::AppKey {
            tenant: scope,
            key: key.id(),
            role: key.role(),
        },
        api: "gateway",
    };
    accept(ctx, &sender, request, None).await
}

async fn accept(
    ctx: &Context,
    sender: &Sender<'_>,
    request: PushRequest,
    once: Option<IdempotentWrite<'_, AcceptedPush>>,
) -> Result<AcceptedPush, PushRefusal> {
    let schemes = allowed_schemes(ctx, sender).await?;
    let refused = refused_urls(&schemes, &request.content);
    if !refused.is_empty() {
        return Err(PushRefusal::Schemes(refused));
    }
    ctx.device_admission()
        .limits
        .count_push(sender.scope.tenant(), request.targets.as_slice())?;
    let now = ctx.now();
    let push = Push {
        id: random::id::<PushId>(),
        origin: sender.actor.key.clone(),
        sender_name: Some(sender.actor.name.clone()),
        created_at: now,
        expires_at: now + ctx.push_delivery().lifetimes().of(&request.content.action),
        context: request.context.clone(),
        content: request.content.clone(),
    };
    let tx = ctx.db().begin_as(sender.authority.clone()).await?;
    if let Some(earlier) = store_or_find(&tx, sender.scope, &push, &request).await? {
        drop(tx);
        return answer_repeat(ctx, sender, earlier, once).await;
    }
    queue(ctx, &tx, sender.scope, &push, request.targets.as_slice()).await?;
    let accepted = AcceptedPush {
        push: with_targets(&tx, sender.scope, push).await?,
        is_repeat: false,
    };
    let tenant = sender.scope.tenant();
    let audited = AuditedPush {
        push: &accepted.push.push,
        targets: accepted.push.targets.len(),
    };
    let change = AuditedChange::created(AuditAction::PushCreate, &audited);
    audit::record_by(&tx, ctx, sender.actor.clone(), Some(tenant), change);
    if let Some(once) = once {
        once.record(&tx, &accepted);
    }
    tx.commit().await?;
    count(sender.api, accepted.push.targets.len());
    ctx.push_delivery().notify(accepted.push.push.id);
    Ok(accepted)
}

async fn allowed_schemes(ctx: &Context, sender: &Sender<'_>) -> Result<UrlSchemes, ServiceError> {
    let tenant = tenants::find(ctx.db(), sender.scope.tenant()).await?;
    let tenant = tenant.ok_or(ServiceError::NotFound("tenant"))?;
    Ok(tenant.value.push_url_schemes)
}

/// Returns the URLs whose scheme the tenant does not allow.
fn refused_urls(schemes: &UrlSchemes, content: &PushContent) -> Vec<UrlField> {
    let mut refused = Vec::new();
    if !schemes.allow(&content.pack_url) {
        refused.push(UrlField::Package);
    }
    if content.source_url.as_ref().is_some_and(|url| !schemes.allow(url)) {
        refused.push(UrlField::Source);
    }
    refused
}

/// Stores a push, or returns the earlier push that it repeats. In the latter case the transaction must be dropped.
///
/// The repeat record is written before any device is locked, so that identical concurrent calls wait for each other
/// here.
async fn store_or_find(
    tx: &Tx,
    scope: TenantScope,
    push: &Push,
    request: &PushRequest,
) -> Result<Option<PushId>, StorageError> {
    pushes::insert(tx, scope, push).await?;
    let Some(digest) = request.digest() else {
        return Ok(None);
    };
    let within = match push.content.trace_id {
        Some(_) => REPEATS_WITHIN,
        None => REPLAYS_WITHIN,
    };
    pushes::record_repeat(tx, scope, push, &digest, within).await
}

async fn answer_repeat(
    ctx: &Context,
    sender: &Sender<'_>,
    earlier: PushId,
    once: Option<IdempotentWrite<'_, AcceptedPush>>,
) -> Result<AcceptedPush, PushRefusal> {
    let accepted = AcceptedPush {
        push: find(ctx, sender.scope, earlier).await?,
        is_repeat: true,
    };
    if let Some(once) = once {
        let tx = ctx.db().begin_as(sender.authority.clone()).await?;
        once.record(&tx, &accepted);
        tx.commit().await?;
    }
    Ok(accepted)
}

/// Queues a push for its devices. Each device must be known in its project.
async fn queue(
    ctx: &Context,
    tx: &Tx,
    scope: TenantScope,
    push: &Push,
    targets: &[PushTarget],
) -> Result<(), PushRefusal> {
    let mut ids: Vec<_> = targets.iter().map(|target| target.device.as_str()).collect();
    // Targets with the same device and different projects are adjacent.
    ids.dedup();
    let locked = push_recipients::lock(tx, scope, &ids).await?;
    let known: HashMap<_, _> = locked
        .into_iter()
        .map(|device| (device.id.clone(), device))
        .collect();
    let is_known = |target: &PushTarget| {
        let device = known.get(&target.device);
        device.is_some_and(|device| device.project.as_ref() == Some(&target.project))
    };
    let unknown: Vec<_> = targets
        .iter()
        .filter(|target| !is_known(target))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(PushRefusal::UnknownDevices(unknown));
    }
    let new = targets.iter().map(|target| NewTarget {
        device: target.device.clone(),
        project: target.project.clone(),
        sequence: known[&target.device].push_sequence + 1,
    });
    let mqtt_due_at = ctx.push_delivery().has_broker().then_some(push.created_at);
    push_targets::insert(tx, scope, push, new.collect(), mqtt_due_at).await?;
    push_recipients::advance_sequences(tx, scope, &ids).await?;
    Ok(())
}

fn count(api: &'static str, targets: usize) {
    counter!("slipway_pushes_accepted_total", "api" => api).increment(1);
    counter!("slipway_push_targets_accepted_total", "api" => api)
        .increment(u64::try_from(targets).unwrap_or(u64::MAX));
}

/// Lists pushes, newest first; with a trace id only those that have it.
pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    trace_id: Option<&TraceId>,
    page: &PageRequest,
) -> Result<Page<PushWithCounts>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db().begin_read().await?;
    let found = pushes::list(&reader, scope, trace_id, page).await?;
    let ids: Vec<_> = found.items.iter().map(|push| push.id).collect();
    let mut counts = push_targets::count_by_state(&reader, scope, &ids).await?;
    let items = found.items.into_iter().map(|push| PushWithCounts {
        targets: counts.remove(&push.id).unwrap_or_default(),
        push,
    });
    Ok(Page {
        items: items.collect(),
        next: found.next,
    })
}

/// Lists the pushes of a device with its progress, newest first.
pub async fn list_of_device(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    device: &DeviceId,
    page: &PageRequest,
) -> Result<Page<DevicePush>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db().begin_read().await?;
    let found = push_targets::list_of_device(&reader, scope, device, page).await?;
    let items = found.items.into_iter();
    Ok(Page {
        items: items.map(|(target, push)| DevicePush { push, target }).collect(),
        next: found.next,
    })
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: PushId,
) -> Result<PushWithTargets, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    find(ctx, scope, id).await
}

/// Withdraws a push from the devices to which it has not been delivered. Delivered targets stay as they are, so that
/// the call can be repeated.
pub async fn withdraw(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: PushId,
    precondition: &Precondition,
) -> Result<PushWithTargets, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::Push).await?;
    let tx = ctx.begin(caller).await?;
    let push = pushes::find(&tx, scope, id).await?;
    let push = push.ok_or(ServiceError::NotFound("push"))?;
    let targets = push_targets::lock_of_push(&tx, scope, id).await?;
    let before = PushWithTargets { push, targets };
    precondition.check(&before.etag())?;
    let withdrawn = push_targets::withdraw(&tx, scope, id, ctx.now()).await?.len();
    if withdrawn == 0 {
        return Ok(before);
    }
    let change =
        AuditedChange::new(AuditAction::PushWithdraw, id).with_after(&WithdrawalDetails { withdrawn });
    audit::record(&tx, ctx, caller, Some(tenant), change);
    let after = with_targets(&tx, scope, before.push).await?;
    tx.commit().await?;
    ctx.push_delivery().notify(id);
    Ok(after)
}

async fn find(ctx: &Context, scope: TenantScope, id: PushId) -> Result<PushWithTargets, ServiceError> {
    let reader = ctx.db().begin_read().await?;
    let push = pushes::find(&reader, scope, id).await?;
    let push = push.ok_or(ServiceError::NotFound("push"))?;
    Ok(with_targets(&reader, scope, push).await?)
}

async fn with_targets(
    reader: &impl Reader,
    scope: TenantScope,
    push: Push,
) -> Result<PushWithTargets, StorageError> {
    let targets = push_targets::list_of_push(reader, scope, push.id).await?;
    Ok(PushWithTargets { push, targets })
}
