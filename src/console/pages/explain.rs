//! Explanation of a check: its fields in a form, a pasted request of a device, or a pasted request to the gateway.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Map, Value, json};

use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::FormView;
use crate::console::format::{Moment, segment};
use crate::console::input::Input;
use crate::console::page_error::PageError;
use crate::console::response::html;
use crate::console::shell::Shell;
use crate::console::steps::{DecidingStep, steps_in_order};
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::{AppPath, TenantPath};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::requests;
use crate::services::authentication::find_app_key;
use crate::services::explain::{CatalogSource, Explanation};
use slipway_domain::access::Action;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::PackageName;
use slipway_domain::catalog::version::VersionCode;
use slipway_gateway::params::{BodyKind, Params};
use slipway_gateway::sign::canonical_text;
use slipway_gateway::signed_request::SignedRequest;
use slipway_resolver::{ExplainedRelease, ExplainedResource};

/// Largest number of releases of a resource on the page.
const MAX_RELEASES: usize = 50;

/// Fields of a check that are JSON.
const JSON_FIELDS: [&str; 3] = ["old_versions", "org_info", "attributes"];

/// Fields of a check, as the device sends them.
pub(in crate::console) const CHECK: Form = Form {
    key: "check",
    submit: |t| t.why,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("package_name", Kind::Text, |t| t.package_name).required(),
        Field::new("version_code", Kind::Text, |t| t.host_version)
            .required()
            .initial("0"),
        Field::new("device_id", Kind::Text, |t| t.device).required(),
        Field::new("device_type", Kind::Text, |t| t.device_type),
        Field::new("old_versions", Kind::Json, |t| t.old_versions).hint(|t| t.old_versions_hint),
        Field::new("org_info", Kind::Json, |t| t.org_info).hint(|t| t.org_info_hint),
        Field::new("attributes", Kind::Json, |t| t.attributes),
        Field::new("at", Kind::Instant, |t| t.explain_at).hint(|t| t.explain_at_hint),
    ],
};

const REQUEST: Form = Form {
    key: "request",
    submit: |t| t.explain_request,
    explanation: None,
    style: Style::Primary,
    fields: &[Field::new("request", Kind::LongText, |t| t.pasted_request)
        .required()
        .hint(|t| t.pasted_request_hint)],
};

/// Explanation as a page shows it.
pub(super) struct ExplanationView {
    pub(super) revision: String,
    pub(super) at: Moment,
    /// Each with what it examines.
    pub(super) steps: Vec<String>,
    pub(super) resources: Vec<ResourceView>,
    /// The explanation is of the memory of this node.
    pub(super) is_from_memory: bool,
}

pub(super) struct ResourceView {
    pub(super) identifier: String,
    pub(super) installed: i64,
    pub(super) offer: Option<i64>,
    pub(super) releases: Vec<ReleaseView>,
    pub(super) left_out: usize,
}

pub(super) struct ReleaseView {
    pub(super) href: String,
    pub(super) version_code: i64,
    pub(super) verdict: &'static str,
    pub(super) verdict_label: &'static str,
    pub(super) step: DecidingStep,
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

impl ExplanationView {
    fn of(visit: &Visit, tenant: TenantId, explanation: Explanation) -> Self {
        let name = segment(explanation.package_name.as_str());
        let app = format!("/console/tenants/{tenant}/apps/{name}");
        let resources = explanation.resources.into_iter();
        Self {
            revision: explanation.revision.to_string(),
            at: Moment(explanation.at),
            steps: steps_in_order(visit.texts()),
            is_from_memory: explanation.source == CatalogSource::Memory,
            resources: resources
                .map(|resource| ResourceView::of(visit, &app, resource))
                .collect(),
        }
    }
}

impl ResourceView {
    fn of(visit: &Visit, app: &str, resource: ExplainedResource) -> Self {
        let shown = resource.releases.len().min(MAX_RELEASES);
        Self {
            identifier: resource.identifier,
            installed: resource.installed.get(),
            offer: resource.offer.map(VersionCode::get),
            left_out: resource.left_out + resource.releases.len() - shown,
            releases: resource
                .releases
                .into_iter()
                .take(MAX_RELEASES)
                .map(|release| ReleaseView::of(visit, app, release))
                .collect(),
        }
    }
}

impl ReleaseView {
    fn of(visit: &Visit, app: &str, release: ExplainedRelease) -> Self {
        Self {
            href: format!("{app}/releases/{}", release.release_id),
            version_code: release.version_code.get(),
            verdict: release.verdict.as_str(),
            verdict_label: visit.texts().verdict(release.verdict),
            step: DecidingStep::of(visit.texts(), release.rule),
            rule: release.rule.as_str(),
            detail: release.detail,
        }
    }
}

/// String that a gateway request signs, and the result of its verification.
struct SignatureView {
    text: String,
    result: &'static str,
    is_valid: bool,
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage<'a> {
    s: &'a Shell,
    request: FormView,
    check: FormView,
    signature: Option<SignatureView>,
    explanation: Option<ExplanationView>,
    /// The database does not answer.
    is_from_memory: bool,
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    visit.require_tenant(tenant_id)?;
    render(&visit, tenant_id, None, None, None)
}

fn render(
    visit: &Visit,
    tenant: TenantId,
    attempt: Option<&Attempt>,
    signature: Option<SignatureView>,
    explanation: Option<ExplanationView>,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(visit, visit.texts().explain);
    let base = format!("/console/tenants/{tenant}/explain");
    let forms = shell.forms(attempt);
    let is_done = explanation.is_some();
    let forms = if is_done { forms.without_problem() } else { forms };
    let status = attempt
        .filter(|_| !is_done)
        .map_or(StatusCode::OK, Attempt::status);
    let page = ExplainPage {
        request: forms.form(&REQUEST, format!("{base}/request#explanation")),
        check: forms.form(&CHECK, &base),
        signature,
        explanation,
        is_from_memory: visit.source == CatalogSource::Memory,
        s: &shell,
    };
    html(status, &page)
}

/// Explains the check in a form.
pub(in crate::console) async fn explain_fields(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    form.visit.require_tenant(tenant_id)?;
    let explained = explain_form(&form, tenant_id).await;
    finish(&form, &CHECK, tenant_id, None, explained)
}

fn finish(
    form: &Submission,
    of: &Form,
    tenant: TenantId,
    signature: Option<SignatureView>,
    explained: Result<ExplanationView, Problem>,
) -> Result<HttpResponse, PageError> {
    let (explanation, problem) = match explained {
        Ok(explanation) => (Some(explanation), Problem::invalid(Vec::new())),
        Err(problem) => (None, problem),
    };
    let attempt = form.attempt(of, problem)?;
    render(&form.visit, tenant, Some(&attempt), signature, explanation)
}

/// Explains the check in a form of this page, or of a device's page.
pub(super) async fn explain_form(form: &Submission, tenant: TenantId) -> Result<ExplanationView, Problem> {
    let (_, _permit) = form.begin(false)?;
    let path = app_path(tenant, form.input.get("package_name"))?;
    explain(&form.visit, path, CHECK.body(&form.input)).await
}

async fn explain(visit: &Visit, path: AppPath, body: Value) -> Result<ExplanationView, Problem> {
    let (tenant, text, source) = (path.tenant_id, body.to_string(), visit.source);
    let language = visit.language;
    let no_app = visit.texts().no_such_app;
    let explanation = visit
        .run_heavy(async move |ctx, caller| {
            let explained = requests::explain(&ctx, &caller, &path, &text, source, language).await;
            explained.map_err(|problem| at_package_name(problem, no_app, &path))
        })
        .await?;
    Ok(ExplanationView::of(visit, tenant, explanation))
}

/// Puts the error of an unknown app on its field. The path of the page is valid: the tenant exists.
fn at_package_name(problem: Problem, no_app: &str, path: &AppPath) -> Problem {
    if problem.code() != ProblemCode::NotFound {
        return problem;
    }
    let message = format!("{no_app} {}", path.package_name);
    Problem::invalid(vec![FieldError::invalid("package_name", message)])
}

/// Explains a pasted request: JSON as a device sends it, or the URL or the body of a request to the gateway.
pub(in crate::console) async fn explain_request(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    form.visit.require_tenant(tenant_id)?;
    let text = pasted(&form.input);
    let (signature, body) = if text.starts_with('{') {
        (None, native_body(text))
    } else {
        gateway_body(&form.visit, tenant_id, text)
    };
    let explained = async {
        let mut body = body?;
        let (_, _permit) = form.begin(false)?;
        let name = body
            .get("package_name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let path = app_path(tenant_id, &name)?;
        body.remove("package_name");
        explain(&form.visit, path, Value::Object(body)).await
    };
    let explained = explained.await.map_err(on_request);
    finish(&form, &REQUEST, tenant_id, signature, explained)
}

/// Puts all errors on the one field of the form.
fn on_request(problem: Problem) -> Problem {
    let errors: Vec<_> = problem
        .field_errors()
        .iter()
        .map(|error| FieldError::invalid("request", format!("{}: {}", error.field, error.message)))
        .collect();
    if errors.is_empty() {
        problem
    } else {
        Problem::invalid(errors)
    }
}

fn pasted(input: &Input) -> &str {
    let text = input.get("request").trim();
    // A pasted URL is a request by GET; its query has the parameters.
    match text.split_once('?') {
        Some((before, query)) if before.starts_with("http") || before.starts_with('/') => query,
        _ => text,
    }
}

fn native_body(text: &str) -> Result<Map<String, Value>, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let error = FieldError::invalid("request", format!("is not valid JSON: {error}"));
        Problem::invalid(vec![error])
    })
}

/// Reads a request to the gateway: the string that it signs, and its fields as the body of a check.
fn gateway_body(
    visit: &Visit,
    tenant: TenantId,
    text: &str,
) -> (Option<SignatureView>, Result<Map<String, Value>, Problem>) {
    let params = match Params::read("", text.as_bytes(), &BodyKind::Form) {
        Ok(params) => params,
        Err(error) => {
            return (
                None,
                Err(Problem::invalid(vec![FieldError::invalid(
                    "request",
                    error.message,
                )])),
            );
        }
    };
    let mut body = Map::new();
    let fields = [
        "package_name",
        "version_code",
        "device_id",
        "device_type",
        "tenant_id",
    ];
    for name in fields.into_iter().chain(JSON_FIELDS) {
        if let Some(value) = params.given(name) {
            body.insert(name.to_owned(), json!(value));
        }
    }
    (signature_of(visit, tenant, &params), Ok(body))
}

/// Verifies the signature with a key of the tenant. Whoever may not manage keys sees the string alone.
fn signature_of(visit: &Visit, tenant: TenantId, params: &Params<'_>) -> Option<SignatureView> {
    let t = visit.texts();
    let text = canonical_text(&params.as_one_set()?);
    if !visit.may(Action::ManageKeys) {
        return Some(SignatureView {
            text,
            result: t.signature_not_verified,
            is_valid: true,
        });
    }
    let key = find_app_key(visit.ctx.checks(), params.get("app_key").unwrap_or_default());
    let key = key.ok().flatten().filter(|key| key.tenant() == tenant);
    let Some(key) = key else {
        return Some(SignatureView {
            text,
            result: t.signature_unknown_key,
            is_valid: false,
        });
    };
    Some(match SignedRequest::verify(params, "", key.secrets()) {
        Ok(signed) => SignatureView {
            text: signed.text,
            result: t.signature_valid,
            is_valid: true,
        },
        Err(_) => SignatureView {
            text,
            result: t.signature_invalid,
            is_valid: false,
        },
    })
}

/// Returns the path of an app for a check.
fn app_path(tenant_id: TenantId, package_name: &str) -> Result<AppPath, Problem> {
    let package_name = package_name.trim();
    if package_name.is_empty() {
        return Err(Problem::invalid(vec![FieldError::required("package_name")]));
    }
    let package_name =
        PackageName::parse(package_name).map_err(|why| Problem::invalid(vec![why.at("package_name")]))?;
    Ok(AppPath {
        tenant_id,
        package_name,
    })
}
