//! Request of a person who is signed in.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::page_error::PageError;
use super::session;
use super::texts::Texts;
use crate::http::access_log::record_principal;
use crate::http::client_address::client_address;
use crate::http::pagination::page_request;
use crate::http::path::FromPath;
use crate::http::problem::Problem;
use crate::http::request::{context, request_id};
use crate::secrets::form_token;
use crate::services::authentication::{ConsolePrincipal, authenticate_cookie};
use crate::services::explain::CatalogSource;
use crate::services::{Caller, Context, ServiceError};
use slipway_domain::access::{Action, Principal, Refusal, authorize_tenant, is_permitted};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::page::PageRequest;
use slipway_gateway::form::read_form;

/// Number of rows in a list.
const ROWS: u32 = 50;

pub(super) struct Visit {
    pub(super) ctx: web::Data<Context>,
    pub(super) request: HttpRequest,
    pub(super) principal: Principal,
    pub(super) language: Language,
    /// Token for the forms of the page.
    pub(super) form_token: String,
    address: Option<IpAddr>,
    /// Source of what the page may read.
    pub(super) source: CatalogSource,
}

/// Person and token of a request, for the page of an error.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub(super) principal: Principal,
    pub(super) form_token: String,
}

impl FromRequest for Visit {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(Self::authenticate(request))
    }
}

impl Visit {
    pub(super) async fn authenticate(request: HttpRequest) -> Result<Self, PageError> {
        let ctx = context(&request);
        let cookie = session::session_of(&request).ok_or_else(|| PageError::sign_in(&request))?;
        let is_write = !request.method().is_safe();
        let ConsolePrincipal {
            principal,
            database_failure,
        } = match authenticate_cookie(&ctx, is_write, &cookie).await {
            Err(ServiceError::Unauthenticated(_)) => return Err(PageError::sign_in(&request)),
            other => other?,
        };
        record_principal(&request, &principal);
        let form_token = form_token(ctx.keyring(), &cookie);
        request.extensions_mut().insert(SignedIn {
            principal: principal.clone(),
            form_token: form_token.clone(),
        });
        let source = match database_failure {
            None => CatalogSource::Database,
            Some(_) if needs_no_database(&request) => CatalogSource::Memory,
            // The page of the error shows what memory has.
            Some(failure) => return Err(failure.into()),
        };
        Ok(Self {
            source,
            language: language_of(&request),
            address: client_address(&request),
            ctx,
            principal,
            form_token,
            request,
        })
    }

    pub(super) fn texts(&self) -> &'static Texts {
        Texts::of(self.language)
    }

    pub(super) fn caller(&self, is_urgent: bool) -> Caller {
        Caller {
            principal: self.principal.clone(),
            request_id: request_id(&self.request),
            address: self.address,
            is_urgent,
        }
    }

    pub(super) fn path<P: FromPath>(&self) -> Result<P, PageError> {
        Ok(P::from_path(&self.request)?)
    }

    /// Returns `true` if the role permits an action, so that its form is shown.
    pub(super) fn may(&self, action: Action) -> bool {
        is_permitted(self.principal.role, action)
    }

    /// Refuses those whose role does not permit the form of a page.
    pub(super) fn require(&self, action: Action) -> Result<(), PageError> {
        if self.may(action) {
            Ok(())
        } else {
            Err(ServiceError::from(Refusal::ForbiddenByRole(action)).into())
        }
    }

    /// Refuses a tenant that is not the person's, like one that does not exist. For pages that read nothing of it.
    pub(super) fn require_tenant(&self, tenant: TenantId) -> Result<(), PageError> {
        authorize_tenant(&self.principal, tenant, Action::ReadCatalog)
            .map(|_| ())
            .map_err(|refusal| ServiceError::from(refusal).into())
    }

    /// Returns a query parameter; `None` if it is absent or blank.
    pub(super) fn param(&self, name: &str) -> Option<String> {
        query_param(&self.request, name)
    }

    /// Parses the position in a list.
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        self.page_at("cursor", ROWS)
    }

    /// Parses the position in a list that has its own parameter for the cursor, and its own number of rows.
    pub(super) fn page_at(&self, cursor: &str, rows: u32) -> Result<PageRequest, Problem> {
        page_request(Some(&rows.to_string()), self.param(cursor).as_deref())
    }

    /// Returns the address of the next page of the list with this path, with the filters of this one.
    pub(super) fn next_page(&self, list: &str, next: Option<String>) -> Option<String> {
        self.next_page_at(list, "cursor", next)
    }

    /// Returns the address of the next page of a list that has its own parameter for the cursor.
    pub(super) fn next_page_at(&self, list: &str, parameter: &str, next: Option<String>) -> Option<String> {
        let cursor = crate::http::pagination::cursor_of(next?);
        let query = self.query_with(parameter, &cursor);
        Some(format!("{list}?{query}"))
    }

    /// Returns the query of this page with another value of one parameter, and without its notice.
    pub(super) fn query_with(&self, parameter: &str, value: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in read_form(self.request.query_string().as_bytes()).unwrap_or_default() {
            if name != parameter && name != "done" {
                query.append_pair(&name, &value);
            }
        }
        query.append_pair(parameter, value);
        query.finish()
    }

    /// Runs a use case on the threads for heavy work, so that it does not delay checks.
    pub(super) async fn run_heavy<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(Arc<Context>, Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (ctx, caller) = (self.ctx.clone().into_inner(), self.caller(false));
        let owner = caller.principal.tenant;
        let work = async move || work(ctx, caller).await;
        self.ctx.workload().heavy_calls.run(owner, work).await?
    }
}

/// Routes that a remembered session may use while the database is unavailable, because they read memory alone. Signing
/// out ends the session in the memory of this node before it fails.
const WITHOUT_DATABASE: [&str; 4] = [
    "/console/help",
    "/console/sign-out",
    "/console/tenants/{tenant_id}/explain",
    "/console/tenants/{tenant_id}/explain/request",
];

fn needs_no_database(request: &HttpRequest) -> bool {
    let route = request.match_pattern();
    route.is_some_and(|route| WITHOUT_DATABASE.contains(&route.as_str()))
}

pub(super) fn tenant_of(request: &HttpRequest, principal: &Principal) -> Option<TenantId> {
    let in_path = request.match_info().get("tenant_id");
    let in_path = in_path.and_then(|text| text.parse().ok().and_then(|id| TenantId::parse(id).ok()));
    principal.tenant.or(in_path)
}

pub(super) fn query_param(request: &HttpRequest, name: &str) -> Option<String> {
    let query = read_form(request.query_string().as_bytes()).ok()?;
    let (_, value) = query.into_iter().find(|(own, _)| own == name)?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Returns the chosen language, or that of the browser.
pub(super) fn language_of(request: &HttpRequest) -> Language {
    let chosen = session::language_of(request).and_then(|tag| Language::of_tag(&tag));
    let header = request.headers().get(actix_web::http::header::ACCEPT_LANGUAGE);
    let preferred = || header.and_then(|header| Language::preferred(header.to_str().ok()?));
    chosen.or_else(preferred).unwrap_or_default()
}

/// Parses a filter; the error names its parameter.
pub(super) fn parsed<T>(
    field: &str,
    given: Option<String>,
    parse: impl FnOnce(String) -> Result<T, Invalid>,
) -> Result<Option<T>, Problem> {
    let invalid = |why: Invalid| Problem::invalid(vec![why.at(field)]);
    given.map(parse).transpose().map_err(invalid)
}
