//! Form with a file that a person sent. The file is stored while it arrives.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::attempt::Attempt;
use super::fields::Form;
use super::input::{FORM_TOKEN, Input};
use super::page_error::PageError;
use super::session;
use super::visit::{Visit, parsed};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::request::acquire;
use crate::http::upload_form::UploadForm;
use crate::services::artifacts::{self, UploadedArtifact};
use crate::services::{Permit, PermitClass};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::FileName;

pub(super) struct FileSubmission {
    pub(super) visit: Visit,
    /// Fields before the file.
    pub(super) input: Input,
    form: UploadForm,
    _permit: Permit,
}

impl FromRequest for FileSubmission {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            session::require_own_origin(&request)?;
            let visit = Visit::authenticate(request.clone()).await?;
            let form = UploadForm::read(&request, payload).await?;
            let input = Input::of_fields(&form.fields);
            // The token comes before the file, so that the file of another site's page is not read.
            if !session::is_form_token(&request, input.get(FORM_TOKEN)) {
                return Err(session::foreign_form().into());
            }
            let permit = acquire(&visit.ctx, PermitClass::Upload(visit.principal.tenant))?;
            Ok(Self {
                visit,
                input,
                form,
                _permit: permit,
            })
        })
    }
}

impl FileSubmission {
    /// Stores the file as an artifact. The limits are those of the API.
    pub(super) async fn store(&mut self, tenant: TenantId) -> Result<UploadedArtifact, Problem> {
        let (ctx, caller) = (&self.visit.ctx, self.visit.caller(false));
        let begun = artifacts::begin_upload(ctx, &caller, tenant, self.form.known_size()).await?;
        let scope = begun.scope();
        // Judged before the file arrives.
        let name = parsed("file", Some(self.form.filename()?), FileName::parse)?;
        let max_bytes = ctx.artifacts().settings.max_bytes;
        let received = self.form.receive(begun.upload, max_bytes).await?;
        Ok(artifacts::complete_upload(ctx, &caller, scope, received, name, None).await?)
    }

    /// Returns the attempt of a form whose file was not accepted, to show its page again. Other failures have a page of
    /// their own.
    pub(super) fn attempt(&self, form: &Form, problem: Problem) -> Result<Attempt, PageError> {
        use ProblemCode as Code;
        match problem.code() {
            Code::InvalidParameter | Code::TooLarge | Code::InsufficientStorage => Ok(Attempt {
                form: form.key.to_owned(),
                input: self.input.clone(),
                problem,
            }),
            // The session ended while the file arrived.
            Code::Unauthenticated => Err(PageError::sign_in(&self.visit.request)),
            _ => Err(problem.into()),
        }
    }
}
