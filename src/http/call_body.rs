//! Bodies of calls: how each kind is read once the caller is authenticated.

use super::authenticated_request::AuthenticatedRequest;
use super::body::{Body, FromBody};
use super::body_memory::Reservation;
use super::heavy;
use super::problem::Problem;
use crate::services::Permit;

/// Body of a call.
///
/// A kind that is parsed as a whole is complete before the call acquires its permit, so that a slow sender holds none.
/// A kind that is streamed reads nothing in [`CallBody::read`] and acquires the permit before the first byte.
pub(super) trait CallBody: Sized + 'static {
    /// Body before it is parsed.
    type Raw;

    /// Reads the body as far as the call needs it.
    async fn read(request: &mut AuthenticatedRequest) -> Result<Self::Raw, Problem>;

    /// Parses the body and acquires the permit of the call.
    async fn accept(raw: Self::Raw, request: &AuthenticatedRequest) -> Result<AcceptedBody<Self>, Problem>;
}

/// Body with what the call holds while it runs.
pub(super) struct AcceptedBody<B> {
    pub(super) body: B,
    pub(super) is_urgent: bool,
    pub(super) permit: Option<Permit>,
    pub(super) memory: Option<Reservation>,
}

impl<B: FromBody + Send + 'static> CallBody for B {
    type Raw = Body;

    async fn read(request: &mut AuthenticatedRequest) -> Result<Body, Problem> {
        request.read_body(B::MAX_BYTES).await
    }

    async fn accept(raw: Body, request: &AuthenticatedRequest) -> Result<AcceptedBody<B>, Problem> {
        let body: B = heavy::parse(&request.ctx, request.principal.tenant, raw.bytes).await?;
        let is_urgent = request.is_write() && body.is_urgent();
        Ok(AcceptedBody {
            permit: request.acquire_permit(is_urgent)?,
            body,
            is_urgent,
            memory: raw.memory,
        })
    }
}
