//! Authentication of pipelines by their API tokens.

use std::net::IpAddr;

use super::WRONG_CREDENTIAL;
use crate::secrets::PresentedToken;
use crate::services::token_lookups::LookupDecision;
use crate::services::{Context, ServiceError};
use crate::storage::Db;
use crate::storage::callers::{self, TokenCaller};
use crate::storage::credentials::last_use::KeyRef;
use slipway_domain::access::{Credential, Principal, has_expired};
use slipway_domain::catalog::ids::KeyId;

const EXPIRED_TOKEN: ServiceError =
    ServiceError::Unauthenticated("this API token has expired; ask an administrator for a new one");

/// Authenticates a tenant's or the platform's API token by the hash of its secret.
pub(super) async fn authenticate_api_token(
    ctx: &Context,
    db: &Db,
    presented: &PresentedToken,
    address: Option<IpAddr>,
) -> Result<Principal, ServiceError> {
    let hash = presented.secret_hash();
    if ctx.authentication().token_lookups.admit(hash.as_str(), address)? == LookupDecision::KnownInvalid {
        return Err(WRONG_CREDENTIAL);
    }
    let found = callers::find_by_token_hash(db, &hash).await?;
    let found = found.filter(|caller| caller.token.id == KeyId::from_uuid(presented.id));
    let Some(caller) = found else {
        ctx.authentication()
            .token_lookups
            .record_invalid(hash.as_str(), address);
        return Err(WRONG_CREDENTIAL);
    };
    let TokenCaller {
        tenant,
        token,
        has_enabled_tenant,
    } = caller;
    let now = ctx.now();
    if has_expired(token.facts.expires_at, now) {
        ctx.authentication().token_lookups.record_expired(hash.as_str());
        return Err(EXPIRED_TOKEN);
    }
    ctx.authentication().token_lookups.record_valid(hash.as_str());
    let id = token.id;
    let key = tenant.map_or(KeyRef::PlatformToken(id), |tenant| KeyRef::ApiToken(tenant, id));
    ctx.authentication().key_uses.record(key, now);
    if !has_enabled_tenant {
        return Err(ServiceError::tenant_disabled());
    }
    Ok(Principal {
        credential: Credential::ApiToken(token.id),
        name: token.name.into_string(),
        role: token.role,
        tenant,
    })
}
