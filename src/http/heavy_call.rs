//! Calls on the threads for heavy work.

use std::sync::Arc;

use super::call::Call;
use super::problem::Problem;
use crate::services::{Caller, Context, ServiceError};

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
        self.ctx.workload().heavy_calls.run(owner, work).await?
    }
}
