//! Management of credentials: app keys, device keys, API tokens and platform tokens.
//!
//! The use cases here serve every kind of credential; the other files contain the differences. Secrets are shown once.
//! [`super::authentication`] verifies them.

mod api_tokens;
pub mod app_keys;
mod device_keys;
mod transaction;

use chrono::{DateTime, Utc};

pub use self::transaction::ManagedTx;
use super::audit::{self, Audited, AuditedChange};
use super::owner::Owner;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult};
use crate::random;
use crate::secrets::NewToken;
use crate::storage::Reader;
use crate::storage::credentials::{self, StoredCredential};
use slipway_domain::access::{Action, KeyFacts};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// Kind of credential that is managed over the API.
pub trait ManagedCredential: Audited + StoredCredential<Tx: ManagedTx<Self::Scope>, Secret: Clone> {
    type Owner: Owner<Scope = Self::Scope>;
    /// Role of a credential; `()` if all credentials of the kind have the same.
    type Role;

    /// Noun in error messages.
    const NOUN: &'static str;
    const CREATE_ACTION: AuditAction;
    const DELETE_ACTION: AuditAction;

    fn new(id: KeyId, name: Name, role: Self::Role, facts: KeyFacts) -> Self;

    fn new_secret(
        ctx: &Context,
        owner: Self::Owner,
        id: KeyId,
    ) -> Result<NewSecret<Self::Secret>, ServiceError>;

    /// Runs after the commit of a new credential.
    fn on_created(_ctx: &Context, _secret: &Self::Secret) {}
}

/// Input for a new credential.
pub struct NewCredential<Role> {
    pub name: Name,
    pub role: Role,
    pub expires_at: Option<DateTime<Utc>>,
}

/// New secret: the text for its recipient, and what is stored to verify it.
pub struct NewSecret<Stored> {
    pub text: String,
    pub stored: Stored,
}

impl From<NewToken> for NewSecret<String> {
    fn from(token: NewToken) -> Self {
        Self {
            text: token.text,
            stored: token.secret_hash,
        }
    }
}

/// Credential with a new secret, which is shown once.
pub struct IssuedCredential<K> {
    pub stored: Versioned<K>,
    pub secret: String,
}

pub async fn create<K: ManagedCredential>(
    ctx: &Context,
    caller: &Caller,
    owner: K::Owner,
    new: NewCredential<K::Role>,
    once: IdempotentWrite<'_, IssuedCredential<K>>,
) -> Result<WriteResult<IssuedCredential<K>>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageKeys).await?;
    let id = random::id::<KeyId>();
    let facts = KeyFacts::new(&caller.principal, new.expires_at);
    let credential = K::new(id, new.name, new.role, facts);
    let secret = K::new_secret(ctx, owner, id)?;
    let tx = K::Tx::begin(ctx, caller, scope).await?;
    let stored = credentials::insert(&tx, scope, credential, secret.stored.clone(), ctx.now()).await?;
    let change = AuditedChange::created(K::CREATE_ACTION, &stored.value);
    audit::record(&tx, ctx, caller, owner.tenant(), change);
    let issued = IssuedCredential {
        stored,
        secret: secret.text,
    };
    once.record(&tx, &issued);
    let revision = tx.finish(ctx).await?;
    K::on_created(ctx, &secret.stored);
    Ok(WriteResult {
        value: issued,
        revision,
    })
}

pub async fn list<K: ManagedCredential>(
    ctx: &Context,
    caller: &Caller,
    owner: K::Owner,
    page: &PageRequest,
) -> Result<Page<Versioned<K>>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageKeys).await?;
    Ok(credentials::list(ctx.db(), scope, page).await?)
}

pub async fn get<K: ManagedCredential>(
    ctx: &Context,
    caller: &Caller,
    owner: K::Owner,
    id: KeyId,
) -> Result<Versioned<K>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageKeys).await?;
    find(ctx.db(), scope, id).await
}

pub async fn delete<K: ManagedCredential>(
    ctx: &Context,
    caller: &Caller,
    owner: K::Owner,
    id: KeyId,
    precondition: &Precondition,
) -> Result<WriteResult<()>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageKeys).await?;
    let tx = K::Tx::begin_revocation(ctx, caller, scope).await?;
    let before: Versioned<K> = find(&tx, scope, id).await?;
    precondition.check(&before.etag)?;
    if !credentials::delete::<K>(&tx, scope, id).await? {
        return Err(ServiceError::NotFound(K::NOUN));
    }
    let change = AuditedChange::deleted(K::DELETE_ACTION, &before.value);
    audit::record(&tx, ctx, caller, owner.tenant(), change);
    Ok(WriteResult {
        value: (),
        revision: tx.finish(ctx).await?,
    })
}

async fn find<K: ManagedCredential>(
    reader: &impl Reader,
    scope: K::Scope,
    id: KeyId,
) -> Result<Versioned<K>, ServiceError> {
    let found = credentials::find(reader, scope, id).await?;
    found.ok_or(ServiceError::NotFound(K::NOUN))
}
