//! API tokens of a tenant's pipelines, and of the platform. Stored as a hash.

use super::{ManagedCredential, NewSecret};
use crate::secrets::{NewToken, TokenKind};
use crate::services::{Context, ServiceError};
use slipway_domain::access::{ApiToken, KeyFacts, Platform, PlatformToken, Role};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::text::Name;

const NOUN: &str = "API token";

impl ManagedCredential for ApiToken {
    type Owner = TenantId;
    type Role = Role;

    const NOUN: &'static str = NOUN;
    const CREATE_ACTION: AuditAction = AuditAction::ApiTokenCreate;
    const DELETE_ACTION: AuditAction = AuditAction::ApiTokenDelete;

    fn new(id: KeyId, name: Name, role: Role, facts: KeyFacts) -> Self {
        Self {
            id,
            name,
            role,
            facts,
        }
    }

    fn new_secret(_: &Context, _: TenantId, id: KeyId) -> Result<NewSecret<String>, ServiceError> {
        Ok(NewToken::generate(TokenKind::Api, id.uuid()).into())
    }

    fn on_created(ctx: &Context, secret_hash: &String) {
        ctx.authentication()
            .token_lookups
            .record_valid(secret_hash.as_str());
    }
}

impl ManagedCredential for PlatformToken {
    type Owner = Platform;
    type Role = ();

    const NOUN: &'static str = NOUN;
    const CREATE_ACTION: AuditAction = AuditAction::ApiTokenCreate;
    const DELETE_ACTION: AuditAction = AuditAction::ApiTokenDelete;

    fn new(id: KeyId, name: Name, (): (), facts: KeyFacts) -> Self {
        Self { id, name, facts }
    }

    fn new_secret(_: &Context, _: Platform, id: KeyId) -> Result<NewSecret<String>, ServiceError> {
        Ok(NewToken::generate(TokenKind::Api, id.uuid()).into())
    }

    fn on_created(ctx: &Context, secret_hash: &String) {
        ctx.authentication()
            .token_lookups
            .record_valid(secret_hash.as_str());
    }
}
