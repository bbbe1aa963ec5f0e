//! Calls that run on the threads for heavy work, and large bodies that are parsed there.

use std::sync::Arc;

use actix_web::web::{self, Bytes};

use super::body::FromBody;
use super::call::Call;
use super::problem::Problem;
use crate::catalog::ids::TenantId;
use crate::services::{Caller, Context, ServiceError};

/// Bodies of more bytes are parsed on the threads for heavy work.
const LARGE_BODY_BYTES: usize = 128 * 1024;

impl<P, B> Call<P, B> {
    /// Does a call's work away from the threads that answer checks. What it returns is bytes: an answer is written there
    /// too.
    pub(super) async fn run_heavy<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(Arc<Context>, Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run_heavy_use_case(async move |ctx, caller| Ok(work(ctx, caller).await))
            .await?
    }

    /// The same for a use case whose answer is rendered later.
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

/// Parses a body: a small one here, a large one where it holds up nobody's check.
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
