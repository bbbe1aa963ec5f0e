//! Gateway keys. The secret is stored encrypted, because it must be readable to verify signatures.

use super::{IssuedCredential, ManagedCredential, NewSecret, find};
use crate::secrets::{new_app_key, new_app_secret, sealed_for_app_key};
use crate::services::audit::{self, AuditedChange};
use crate::services::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult};
use crate::storage::credentials::app_keys::{self, SealedSecret};
use slipway_domain::access::{Action, AppKey, AppKeyRole, KeyFacts};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

impl ManagedCredential for AppKey {
    type Owner = TenantId;
    type Role = AppKeyRole;

    const NOUN: &'static str = "app key";
    const CREATE_ACTION: AuditAction = AuditAction::AppKeyCreate;
    const DELETE_ACTION: AuditAction = AuditAction::AppKeyDelete;

    fn new(id: KeyId, name: Name, role: AppKeyRole, facts: KeyFacts) -> Self {
        Self {
            id,
            name,
            role,
            app_key: new_app_key(),
            facts,
        }
    }

    fn new_secret(ctx: &Context, _: TenantId, id: KeyId) -> Result<NewSecret<SealedSecret>, ServiceError> {
        let text = new_app_secret();
        let sealed = ctx
            .keyring()
            .seal(&text, &sealed_for_app_key(id))
            .map_err(ServiceError::internal)?;
        let stored = SealedSecret {
            text: sealed.sealed,
            sealing_key_id: sealed.key_id,
        };
        Ok(NewSecret { text, stored })
    }
}

/// Rotates the secret of a key. The previous secret remains valid until the next rotation.
pub async fn rotate(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
    precondition: &Precondition,
    once: IdempotentWrite<'_, IssuedCredential<AppKey>>,
) -> Result<WriteResult<IssuedCredential<AppKey>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let secret = AppKey::new_secret(ctx, tenant, id)?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before: Versioned<AppKey> = find(&tx, scope, id).await?;
    precondition.check(&before.etag)?;
    let stored = app_keys::rotate(&tx, &before, secret.stored)
        .await?
        .ok_or(ServiceError::NotFound(AppKey::NOUN))?;
    let change = AuditedChange::changed(AuditAction::AppKeyRotate, &before.value, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change);
    let issued = IssuedCredential {
        stored,
        secret: secret.text,
    };
    once.record(&tx, &issued);
    Ok(WriteResult::changed(issued, ctx.commit(tx).await?))
}
