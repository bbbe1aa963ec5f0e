//! Parsing of large bodies on the threads for heavy work.

use actix_web::web::{self, Bytes};

use super::body::FromBody;
use super::problem::Problem;
use crate::services::Context;
use slipway_domain::catalog::ids::TenantId;

/// Size in bytes above which a body is parsed on the threads for heavy work.
const LARGE_BODY_BYTES: usize = 128 * 1024;

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
    ctx.workload().heavy_calls.run(owner, parse).await?
}
