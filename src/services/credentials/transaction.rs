//! Transactions that create and revoke credentials.

use crate::services::{Caller, Context, ServiceError};
use crate::storage::{CatalogTx, Tx, Writer};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::revision::CatalogRevision;

/// Transaction that writes credentials of an owner.
pub trait ManagedTx<Scope>: Writer + Sized {
    fn begin(
        ctx: &Context,
        caller: &Caller,
        scope: Scope,
    ) -> impl Future<Output = Result<Self, ServiceError>>;

    /// Begins a write that may revoke the caller's own credential.
    fn begin_revocation(
        ctx: &Context,
        caller: &Caller,
        scope: Scope,
    ) -> impl Future<Output = Result<Self, ServiceError>>;

    /// Commits. Returns the catalog revision that contains the write, if checks depend on it.
    fn finish(self, ctx: &Context) -> impl Future<Output = Result<Option<CatalogRevision>, ServiceError>>;
}

/// For keys, which checks depend on. Keys are no credentials of the admin API.
impl ManagedTx<TenantScope> for CatalogTx {
    async fn begin(ctx: &Context, caller: &Caller, scope: TenantScope) -> Result<Self, ServiceError> {
        ctx.begin_catalog(caller, scope).await
    }

    async fn begin_revocation(
        ctx: &Context,
        caller: &Caller,
        scope: TenantScope,
    ) -> Result<Self, ServiceError> {
        ctx.begin_catalog(caller, scope).await
    }

    async fn finish(self, ctx: &Context) -> Result<Option<CatalogRevision>, ServiceError> {
        ctx.commit(self).await.map(Some)
    }
}

/// For tokens.
impl<Scope> ManagedTx<Scope> for Tx {
    async fn begin(ctx: &Context, caller: &Caller, _: Scope) -> Result<Self, ServiceError> {
        ctx.begin(caller).await
    }

    async fn begin_revocation(ctx: &Context, caller: &Caller, _: Scope) -> Result<Self, ServiceError> {
        ctx.begin_on_credentials(caller, None).await
    }

    async fn finish(self, _: &Context) -> Result<Option<CatalogRevision>, ServiceError> {
        self.commit().await?;
        Ok(None)
    }
}
