//! One-time enrolment codes.
//!
//! A user of the tenant creates one for a device that has lost its token, or that must not enrol with the device key
//! alone.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::random;
use crate::secrets::NewEnrolmentCode;
use crate::services::audit::{self, AuditedChange, EnrolmentCodeDetails};
use crate::services::{Caller, Context, IdempotentWrite, ServiceError, WriteResult};
use crate::storage::devices;
use crate::storage::enrolment_codes::{self, CodeRecord};
use slipway_domain::access::Action;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

const CODE_LIFETIME: TimeDelta = TimeDelta::hours(24);

/// A new enrolment code.
pub struct IssuedEnrolmentCode {
    pub id: Uuid,
    /// Shown once.
    pub enrolment_code: String,
    pub expires_at: DateTime<Utc>,
}

/// Creates a code for a known device. The previous code becomes invalid.
pub async fn create_code(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    device: &DeviceId,
    once: IdempotentWrite<'_, IssuedEnrolmentCode>,
) -> Result<WriteResult<IssuedEnrolmentCode>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteDevices).await?;
    let now = ctx.now();
    let code = NewEnrolmentCode::generate();
    let issued = IssuedEnrolmentCode {
        id: random::id::<Uuid>(),
        enrolment_code: code.text,
        expires_at: now + CODE_LIFETIME,
    };
    let stored = CodeRecord {
        id: issued.id,
        device: device.clone(),
        code_hash: code.hash,
        created_at: now,
        expires_at: issued.expires_at,
    };
    let tx = ctx.begin(caller).await?;
    devices::lock(&tx, scope, device)
        .await?
        .ok_or(ServiceError::NotFound("device"))?;
    enrolment_codes::delete_of_device(&tx, scope, device).await?;
    enrolment_codes::insert(&tx, scope, stored).await?;
    let details = EnrolmentCodeDetails {
        id: issued.id,
        device_id: device,
        expires_at: issued.expires_at,
    };
    let change = AuditedChange::new(AuditAction::EnrolmentCodeCreate, device).with_after(&details);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    once.record(&tx, &issued);
    tx.commit().await?;
    Ok(WriteResult {
        value: issued,
        revision: None,
    })
}
