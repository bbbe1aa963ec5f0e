//! Calls on the threads for heavy work, and parsing of large bodies on those threads.

use std::sync::Arc;

use actix_web::web::{self, Bytes};

use super::body::FromBody;
use super::call::Call;
use super::problem::Problem;
use crate::catalog::ids::TenantId;
use crate::services::{Caller, Context, ServiceError};

/// Size in bytes above which a body is parsed on the threads for heavy work.
const LARGE_BODY_BYTES: usize = 128 * 1024;

impl<P, B> Call<P, B> {
    /// Runs a call on the threads for heavy work, so that it does not delay checks. `work` returns bytes, because the
    /// response is serialized on those threads too.
    pub(super) async fn run_heavy<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(Arc<Context>, Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run_heavy_use_case(async move |ctx, caller| Ok(work(ctx, caller).await))
            .await?
    }

    /// Runs a use case on the threads for heavy work; its response is rendered later.
    pub(super) async fn run_heavy_use_case<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(Arc<Context>, Caller) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (ctx, caller) = (self.ctx.clone().into_inner(), self.caller.clone());
        let owner = caller.principal.tenant;
        let work = async move || work(ctx, caller).await;
        self.ctx.heavy_calls.run(owner, work).await?
    }
}

/// Parses a body. A large one is parsed on the threads for heavy work, so that it does not delay checks.
pub(super) async fn parse<B: FromBody + Send + 'static>(
    ctx: &web::Data<Context>,
    owner: Option<TenantId>,
    bytes: Bytes,
) -> Result<B, Problem> {
    if bytes.len() <= LARGE_BODY_BYTES {
        return B::from_bytes(&bytes);
    }
    let parse = async move || B::from_bytes(&bytes);
    ctx.heavy_calls.run(owner, parse).await?
}
