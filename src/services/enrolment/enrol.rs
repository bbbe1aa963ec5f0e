//! Enrolment: issues a device its first token, or the next one.

use std::net::IpAddr;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use metrics::counter;

use crate::live::DeviceRef;
use crate::secrets::{NewDeviceToken, PresentedEnrolmentCode};
use crate::services::audit::{
    self, Actor, AuditedChange, DeviceProject, EnrolmentDetails, EnrolmentRefusalDetails,
};
use crate::services::authentication::{
    DeviceCaller, DeviceCredential, INVALID_TOKEN, WRONG_TOKEN, is_newest,
};
use crate::services::devices::complete_org_info;
use crate::services::network::network_of;
use crate::services::{Context, ServiceError};
use crate::storage::device_tokens::{self, DeviceToken, TokenEnd, TokenState};
use crate::storage::devices::{self, DeviceRecord};
use crate::storage::{Authority, StorageError, Tx, Writer, credentials, enrolment_codes, tenants};
use slipway_domain::access::{DeviceKey, TenantScope, key_scope};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::device::DeviceEnrolment;
use slipway_domain::catalog::enrolment::{EnrolmentProof, EnrolmentRefusal, EnrolmentSubject};
use slipway_domain::catalog::field::FieldError;

/// Enrolment request of a device.
pub struct EnrolmentRequest {
    pub device: DeviceEnrolment,
    pub code: Option<PresentedEnrolmentCode>,
    pub request_id: String,
    pub address: Option<IpAddr>,
}

/// Result of an enrolment: the new token.
pub struct EnrolmentResult {
    /// Shown once.
    pub device_token: String,
    /// `true` if the device had no valid token before.
    pub is_first: bool,
}

/// An authenticated enrolment attempt.
struct Attempt<'a> {
    ctx: &'a Context,
    caller: &'a DeviceCaller,
    request: &'a EnrolmentRequest,
    scope: TenantScope,
    now: DateTime<Utc>,
}

/// Issues a token to a device. It replaces the current one, if any.
pub async fn enrol(
    ctx: &Context,
    caller: &DeviceCaller,
    mut request: EnrolmentRequest,
) -> Result<EnrolmentResult, ServiceError> {
    let tenant = caller.tenant_id();
    let id = request.device.id.clone();
    if let DeviceCredential::Token(token) = &caller.credential
        && !token.is_valid_for(ctx.keyring(), id.as_str())
    {
        return Err(WRONG_TOKEN);
    }
    if request.code.is_some() {
        ctx.device_admission()
            .enrolment_limits
            .count_code(tenant, &id, request.address)?;
    }
    complete_org_info(ctx, tenant, [&mut request.device.org_info]);
    let attempt = Attempt {
        ctx,
        caller,
        request: &request,
        scope: key_scope(tenant),
        now: ctx.now(),
    };
    let outcome = attempt.execute().await;
    count(&outcome);
    outcome
}

impl Attempt<'_> {
    /// Returns the authority for the transaction. A device's own token is verified and replaced inside it, under the
    /// device's lock.
    fn authority(&self) -> Authority {
        match &self.caller.credential {
            DeviceCredential::Key(key) => Authority::DeviceKey {
                tenant: self.scope,
                key: *key,
            },
            DeviceCredential::Token(_) => Authority::Tenant(self.scope),
        }
    }

    async fn execute(&self) -> Result<EnrolmentResult, ServiceError> {
        let (ctx, scope, id) = (self.ctx, self.scope, &self.request.device.id);
        let tx = ctx.db().begin_as(self.authority()).await?;
        let tenant = tenants::find(&tx, scope.tenant()).await?;
        let tenant = tenant.filter(|stored| stored.value.enabled);
        let enrolment = tenant.ok_or_else(ServiceError::no_tenant_access)?.value.enrolment;
        let network = self.request.address.map(network_of);
        // Read before the device is inserted, because the insert would count.
        let allowance = ctx
            .device_admission()
            .new_devices
            .allowance(&tx, scope, self.now.date_naive())
            .await?;
        // Concurrent enrolments of the same id wait here: only one of them inserts or locks the row.
        let is_new = devices::insert_if_absent(&tx, scope, id, self.now).await?;
        let known = devices::lock(&tx, scope, id)
            .await?
            .ok_or(StorageError::Changed)?;
        let token = device_tokens::find(&tx, scope, id).await?;
        let proof = self.prove(&tx, token.as_ref()).await?;
        let subject = EnrolmentSubject {
            project: known.device.project.as_ref(),
            has_had_token: token
                .as_ref()
                .is_some_and(|token| token.state != TokenState::Ended(TokenEnd::Forgotten)),
        };
        if let Err(refusal) = enrolment.admits(proof, subject, &self.request.device.project) {
            drop(tx);
            return Err(self.refuse(refusal).await?);
        }
        if is_new && !allowance.admits(0, network) {
            return Err(too_many_new(self.now));
        }
        let (enrolled, generation) = self.write(&tx, proof, known, token).await?;
        tx.commit().await?;
        let device = DeviceRef::of(scope.tenant(), id);
        ctx.device_admission()
            .revoked_tokens
            .record_generation(device, generation);
        if is_new {
            ctx.device_admission()
                .new_devices
                .add(scope.tenant(), self.now.date_naive(), &[network]);
        }
        Ok(enrolled)
    }

    /// Determines the proof of the device. A code must be valid if it is given, even with another valid proof.
    async fn prove(&self, tx: &Tx, stored: Option<&DeviceToken>) -> Result<EnrolmentProof, ServiceError> {
        let floor = device_tokens::find_floor(tx).await?;
        let proof = match &self.caller.credential {
            DeviceCredential::Key(_) => EnrolmentProof::DeviceKey,
            DeviceCredential::Token(token) if token.generation > floor && is_newest(token, stored) => {
                EnrolmentProof::OwnToken
            }
            DeviceCredential::Token(_) => return Err(INVALID_TOKEN),
        };
        let Some(code) = &self.request.code else {
            return Ok(proof);
        };
        let device = &self.request.device.id;
        let hashes = enrolment_codes::list_hashes(tx, self.scope, device, self.now).await?;
        if hashes.iter().any(|hash| code.matches(hash)) {
            return Ok(EnrolmentProof::Code);
        }
        Err(ServiceError::invalid(
            "enrolment_code",
            "enrolment_code must be an unused code that was created for this device in the last 24 hours",
        ))
    }

    /// Writes the device and its new token. Returns the token and its generation.
    async fn write(
        &self,
        tx: &Tx,
        proof: EnrolmentProof,
        known: DeviceRecord,
        before: Option<DeviceToken>,
    ) -> Result<(EnrolmentResult, i64), ServiceError> {
        let (scope, device) = (self.scope, &self.request.device);
        let floor = device_tokens::find_floor(tx).await?;
        let generation = before.as_ref().map_or(floor, |token| token.generation.max(floor)) + 1;
        let made = NewDeviceToken::make(self.ctx.keyring(), scope.tenant(), &device.id, generation);
        let token = DeviceToken {
            generation,
            state: TokenState::Valid {
                hash: made.hash,
                key_id: Some(made.key_id),
            },
        };
        devices::update_enrolled(tx, scope, &known, device.clone(), self.now).await?;
        device_tokens::upsert(tx, scope, &device.id, &token, self.now).await?;
        if proof == EnrolmentProof::Code {
            enrolment_codes::delete_of_device(tx, scope, &device.id).await?;
        }
        // A device may renew its own token any number of times, so a renewal within its project is not audited.
        if proof != EnrolmentProof::OwnToken || known.device.project.as_ref() != Some(&device.project) {
            self.audit_enrolment(tx, proof, &known).await?;
        }
        let enrolled = EnrolmentResult {
            device_token: made.text,
            is_first: !before.is_some_and(|token| matches!(token.state, TokenState::Valid { .. })),
        };
        Ok((enrolled, generation))
    }

    async fn audit_enrolment(
        &self,
        tx: &Tx,
        proof: EnrolmentProof,
        known: &DeviceRecord,
    ) -> Result<(), ServiceError> {
        let by = match proof {
            EnrolmentProof::DeviceKey => "device_key",
            EnrolmentProof::OwnToken => "device_token",
            EnrolmentProof::Code => "enrolment_code",
        };
        let before = DeviceProject {
            project_id: known.device.project.as_ref(),
        };
        let details = EnrolmentDetails {
            project_id: &self.request.device.project,
            by,
            address: self.request.address,
        };
        let change = AuditedChange::new(AuditAction::DeviceEnrol, &self.request.device.id)
            .with_before(&before)
            .with_after(&details);
        self.audit(tx, change).await
    }

    /// Audits a refusal and returns its error.
    async fn refuse(&self, refusal: EnrolmentRefusal) -> Result<ServiceError, ServiceError> {
        let (reason, error) = explain(refusal);
        let device = &self.request.device;
        let (limits, source) = (
            &self.ctx.device_admission().enrolment_limits,
            self.request.address,
        );
        if limits.audits(self.scope.tenant(), &device.id, source) {
            let details = EnrolmentRefusalDetails {
                reason,
                project_id: &device.project,
                address: self.request.address,
            };
            let change =
                AuditedChange::new(AuditAction::DeviceRefuseEnrolment, &device.id).with_after(&details);
            let tx = self.ctx.db().begin_as(self.authority()).await?;
            self.audit(&tx, change).await?;
            tx.commit().await?;
        }
        Ok(error)
    }

    async fn audit(&self, writer: &impl Writer, change: AuditedChange) -> Result<(), ServiceError> {
        let (key, name) = match &self.caller.credential {
            DeviceCredential::Key(id) => {
                let stored = credentials::find::<DeviceKey>(writer, self.scope, *id).await?;
                let name = stored.map_or_else(|| id.to_string(), |stored| stored.value.name.to_string());
                (format!("device_key:{id}"), name)
            }
            DeviceCredential::Token(_) => {
                let id = &self.request.device.id;
                (format!("device:{id}"), id.to_string())
            }
        };
        let actor = Actor {
            key,
            name,
            request_id: &self.request.request_id,
        };
        audit::record_by(writer, self.ctx, actor, Some(self.scope.tenant()), change);
        Ok(())
    }
}

/// Returns the audited reason and the error for the device.
fn explain(refusal: EnrolmentRefusal) -> (&'static str, ServiceError) {
    match refusal {
        EnrolmentRefusal::AlreadyEnrolled => (
            "already_enrolled",
            ServiceError::AlreadyEnrolled(
                "this device_id is enrolled, or its token was revoked; enrol it again with its own token as bearer, \
                 or with a one-time enrolment_code from the tenant's people",
            ),
        ),
        EnrolmentRefusal::OtherProject => (
            "other_project",
            ServiceError::wrong_state(
                "this device_id belongs to another project; enrol it for that one, or with a one-time enrolment_code",
            ),
        ),
        EnrolmentRefusal::CodeNeeded => {
            let message = "enrolment_code is required: this tenant's devices enrol with a one-time code";
            let error = FieldError {
                message: message.to_owned(),
                ..FieldError::required("enrolment_code")
            };
            ("code_needed", ServiceError::Invalid(vec![error]))
        }
    }
}

fn too_many_new(now: DateTime<Utc>) -> ServiceError {
    let next_day = now.date_naive() + TimeDelta::days(1);
    let wait = next_day.and_time(NaiveTime::MIN).and_utc() - now;
    ServiceError::RateLimited {
        what: "this tenant has reached its daily limit of new devices",
        retry_after_s: u64::try_from(wait.num_seconds()).unwrap_or(0) + 1,
    }
}

fn count(outcome: &Result<EnrolmentResult, ServiceError>) {
    let outcome = match outcome {
        Ok(EnrolmentResult { is_first: true, .. }) => "first",
        Ok(_) => "again",
        Err(ServiceError::AlreadyEnrolled(_) | ServiceError::WrongState { .. }) => "refused",
        Err(ServiceError::Invalid(_)) => "wrong_code",
        Err(ServiceError::RateLimited { .. }) => "over_limit",
        Err(_) => "failed",
    };
    counter!("slipway_enrolments_total", "outcome" => outcome).increment(1);
}
