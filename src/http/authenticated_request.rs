//! Request of an authenticated person or API token, whose body has not been read yet.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{HttpRequest, web};

use super::access_log::record_principal;
use super::body::{Body, read_body};
use super::body_memory::Owner;
use super::client_address::client_address;
use super::problem::Problem;
use super::request::{acquire, bearer, context, request_id};
use crate::services::authentication::authenticate_principal;
use crate::services::{Caller, Context, Permit, PermitClass};
use slipway_domain::access::Principal;

pub(super) struct AuthenticatedRequest {
    pub(super) ctx: web::Data<Context>,
    pub(super) request: HttpRequest,
    pub(super) principal: Principal,
    payload: Payload,
    address: Option<IpAddr>,
}

impl AuthenticatedRequest {
    pub(super) async fn authenticate(request: HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let ctx = context(&request);
        let address = client_address(&request);
        let principal = authenticate(&ctx, &request, address).await?;
        Ok(Self {
            ctx,
            request,
            principal,
            payload,
            address,
        })
    }

    pub(super) fn is_write(&self) -> bool {
        !self.request.method().is_safe()
    }

    /// Reads a complete body. If it arrives late, authenticates the caller again, because the credential may have
    /// changed in the meantime.
    pub(super) async fn read_body(&mut self, max_bytes: usize) -> Result<Body, Problem> {
        let owner = Owner::of(self.principal.tenant);
        let body = read_body(&self.request, &mut self.payload, owner, max_bytes).await?;
        if body.arrived_late {
            self.principal = authenticate(&self.ctx, &self.request, self.address).await?;
        }
        Ok(body)
    }

    /// Returns the body of a call that reads it while it arrives.
    pub(super) fn take_payload(&mut self) -> Payload {
        self.payload.take()
    }

    /// Acquires the permit of an upload, which is held until its body has arrived.
    pub(super) fn acquire_upload_permit(&self) -> Result<Permit, Problem> {
        acquire(&self.ctx, PermitClass::Upload(self.principal.tenant))
    }

    /// Acquires the permit of a write. Reads need none.
    pub(super) fn acquire_permit(&self, is_urgent: bool) -> Result<Option<Permit>, Problem> {
        let tenant = self.principal.tenant;
        let class = match (self.is_write(), is_urgent) {
            (false, _) => return Ok(None),
            (true, true) => PermitClass::Urgent(tenant),
            (true, false) => PermitClass::Person(tenant),
        };
        acquire(&self.ctx, class).map(Some)
    }

    /// Records the caller for the log of requests.
    pub(super) fn record_caller(&self) {
        record_principal(&self.request, &self.principal);
    }

    pub(super) fn caller(&self, is_urgent: bool) -> Caller {
        Caller {
            principal: self.principal.clone(),
            request_id: request_id(&self.request),
            address: self.address,
            is_urgent,
        }
    }
}

async fn authenticate(
    ctx: &Context,
    request: &HttpRequest,
    address: Option<IpAddr>,
) -> Result<Principal, Problem> {
    let is_write = !request.method().is_safe();
    Ok(authenticate_principal(ctx, is_write, bearer(request.headers()), address).await?)
}
