//! Authentication of pipelines by their API tokens.

use std::net::IpAddr;

use super::WRONG_CREDENTIAL;
use crate::secrets::PresentedToken;
use crate::services::token_lookups::LookupDecision;
use crate::services::{Context, ServiceError};
use crate::storage::Db;
use crate::storage::credentials::api_tokens::find_anywhere_by_secret_hash;
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
    let found = find_anywhere_by_secret_hash(db, &hash).await?;
    let found = found.filter(|(_, token)| token.id == KeyId::from_uuid(presented.id));
    let Some((tenant, token)) = found else {
        ctx.authentication()
            .token_lookups
            .record_invalid(hash.as_str(), address);
        return Err(WRONG_CREDENTIAL);
    };
    let now = ctx.now();
    if has_expired(token.facts.expires_at, now) {
        ctx.authentication().token_lookups.record_expired(hash.as_str());
        return Err(EXPIRED_TOKEN);
    }
    ctx.authentication().token_lookups.record_valid(hash.as_str());
    let id = token.id;
    let key = tenant.map_or(KeyRef::PlatformToken(id), |tenant| KeyRef::ApiToken(tenant, id));
    ctx.authentication().key_uses.record(key, now);
    Ok(Principal {
        credential: Credential::ApiToken(token.id),
        name: token.name.into_string(),
        role: token.role,
        tenant,
    })
}
