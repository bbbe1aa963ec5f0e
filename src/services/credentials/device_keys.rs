//! Device keys, each shared by all devices of a tenant. Stored as a hash.

use super::{ManagedCredential, NewSecret};
use crate::secrets::{NewToken, TokenKind};
use crate::services::{Context, ServiceError};
use slipway_domain::access::{DeviceKey, KeyFacts};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::text::Name;

impl ManagedCredential for DeviceKey {
    type Owner = TenantId;
    type Role = ();

    const NOUN: &'static str = "device key";
    const CREATE_ACTION: AuditAction = AuditAction::DeviceKeyCreate;
    const DELETE_ACTION: AuditAction = AuditAction::DeviceKeyDelete;

    fn new(id: KeyId, name: Name, (): (), facts: KeyFacts) -> Self {
        Self { id, name, facts }
    }

    fn new_secret(_: &Context, tenant: TenantId, id: KeyId) -> Result<NewSecret<String>, ServiceError> {
        Ok(NewToken::generate(TokenKind::DeviceKey(tenant), id.uuid()).into())
    }
}
