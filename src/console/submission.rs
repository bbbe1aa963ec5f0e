//! Form that a person sent.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::attempt::Attempt;
use super::fields::Form;
use super::input::{ETAG, FORM_TOKEN, Input};
use super::kept_form::KeptForm;
use super::page_error::PageError;
use super::sent_form::SentForm;
use super::session;
use super::visit::Visit;
use crate::http::body::{MAX_BODY_BYTES, MAX_BULK_BODY_BYTES, read_form_body};
use crate::http::body_memory::{Owner, Reservation};
use crate::http::client_address::client_address;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::request::{acquire, context};
use crate::secrets::verify_form_token;
use crate::services::{Caller, Permit, PermitClass, Precondition, network_of};

/// Ends of the paths whose forms may be large: org directories and imports of devices.
const BULK: [&str; 2] = ["/org", "/devices"];

pub(super) struct Submission {
    pub(super) visit: Visit,
    pub(super) input: Input,
    /// Memory of a body that arrived slowly.
    _memory: Option<Reservation>,
}

impl FromRequest for Submission {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            session::require_own_origin(&request)?;
            let mut visit = match Visit::authenticate(request.clone()).await {
                Ok(visit) => visit,
                Err(error) => {
                    KeptForm::keep_unread(&request, &mut payload).await;
                    return Err(error);
                }
            };
            let owner = Owner::of(visit.principal.tenant);
            let is_bulk = BULK.iter().any(|end| request.path().ends_with(end));
            let max_bytes = if is_bulk {
                MAX_BULK_BODY_BYTES
            } else {
                MAX_BODY_BYTES
            };
            let body = read_form_body(&request, &mut payload, owner, max_bytes).await?;
            let input = Input::read(&request, &body.bytes)?;
            if !session::is_form_token(&request, input.get(FORM_TOKEN)) {
                // The page may have been opened before the session that the browser has now.
                if session::names_own_origin(&request) {
                    KeptForm::keep(&request, &input);
                }
                return Err(session::foreign_form().into());
            }
            KeptForm::keep(&request, &input);
            if body.arrived_late {
                visit = Visit::authenticate(request).await?;
            }
            SentForm::keep(&visit, &input);
            Ok(Self {
                visit,
                input,
                _memory: body.memory,
            })
        })
    }
}

impl Submission {
    /// Acquires the permit of the write.
    pub(super) fn begin(&self, is_urgent: bool) -> Result<(Caller, Permit), Problem> {
        let tenant = self.visit.principal.tenant;
        let class = if is_urgent {
            PermitClass::Urgent(tenant)
        } else {
            PermitClass::Person(tenant)
        };
        Ok((self.visit.caller(is_urgent), acquire(&self.visit.ctx, class)?))
    }

    /// Returns the attempt of a form that was not accepted, to show its page again with the input. Other failures have a
    /// page of their own.
    pub(super) fn attempt(&self, form: &Form, problem: Problem) -> Result<Attempt, PageError> {
        self.attempt_on(form, "", problem)
    }

    /// Returns the attempt of a form on one of several objects.
    pub(super) fn attempt_on(
        &self,
        form: &Form,
        object: &str,
        problem: Problem,
    ) -> Result<Attempt, PageError> {
        use ProblemCode as Code;
        let is_about_the_input = matches!(
            problem.code(),
            Code::InvalidParameter
                | Code::AlreadyExists
                | Code::WrongState
                | Code::VersionConflict
                | Code::SignerChanged
                | Code::UnsafePackage
                | Code::InUse
                | Code::Stale
                | Code::IdempotencyKeyReused
                | Code::RateLimited
        );
        if !is_about_the_input {
            return Err(problem.into());
        }
        let key = form.key;
        Ok(Attempt {
            form: if object.is_empty() {
                key.to_owned()
            } else {
                format!("{key}-{object}")
            },
            input: self.input.clone(),
            problem,
        })
    }

    /// Returns the condition that the object has not changed since the form was shown.
    pub(super) fn precondition(&self) -> Precondition {
        match self.input.get(ETAG) {
            "" => Precondition::None,
            etag => Precondition::OneOf(vec![etag.to_owned()]),
        }
    }
}

/// Reads a form of somebody who may not be signed in.
pub(super) async fn read_public(request: &HttpRequest, payload: web::Payload) -> Result<Input, PageError> {
    session::require_own_origin(request)?;
    let owner = Owner::Source(client_address(request).map(network_of));
    let body = read_form_body(request, &mut payload.into_inner(), owner, MAX_BODY_BYTES).await?;
    let input = Input::read(request, &body.bytes)?;
    if session::is_form_token(request, input.get(FORM_TOKEN)) || is_visitor_token(request, &input) {
        Ok(input)
    } else {
        Err(session::foreign_form().into())
    }
}

/// A page that was opened before the browser signed in elsewhere still has the visitor's token.
fn is_visitor_token(request: &HttpRequest, input: &Input) -> bool {
    let ctx = context(request);
    session::visitor_of(request)
        .is_some_and(|cookie| verify_form_token(ctx.keyring(), &cookie, input.get(FORM_TOKEN)))
}
