//! Apps of a tenant.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::attempt::Attempt;
use crate::console::created::{Created, Creation as _, Secrecy, create};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::FormView;
use crate::console::format::segment;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::RequiredPermission;
use crate::services::apps;
use slipway_domain::access::Action;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::versioned::Versioned;

const APP: Form = Form {
    key: "app",
    submit: |t| t.create,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("package_name", Kind::Text, |t| t.package_name)
            .required()
            .hint(|t| t.package_name_hint),
        Field::new("app_name", Kind::Text, |t| t.name).required(),
        Field::new("icon_url", Kind::Text, |t| t.icon_url),
        Field::new("old_package_names", Kind::Lines, |t| t.old_package_names)
            .hint(|t| t.old_package_names_hint),
    ],
};

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage<'a> {
    s: &'a Shell,
    apps: Vec<AppRow>,
    next: Option<String>,
    form: Option<FormView>,
}

struct AppRow {
    href: String,
    name: String,
    package_name: String,
    enabled: bool,
}

pub(in crate::console) async fn list(visit: Visit) -> Result<HttpResponse, PageError> {
    render_list(&visit, None).await
}

async fn render_list(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let found = apps::list(&visit.ctx, &visit.caller(false), tenant_id, &visit.page()?).await?;
    let shell = Shell::of(visit, visit.texts().apps);
    let base = format!("/console/tenants/{tenant_id}/apps");
    let row = |stored: &Versioned<App>| AppRow {
        href: format!("{base}/{}", segment(stored.value.package_name.as_str())),
        name: stored.value.app_name.to_string(),
        package_name: stored.value.package_name.to_string(),
        enabled: stored.value.enabled,
    };
    let form = shell.forms(attempt).form(&APP, &base).behind(shell.t.new_app);
    let page = AppsPage {
        apps: found.items.iter().map(row).collect(),
        next: visit.next_page(&base, found.next),
        form: visit.may(Action::WriteApps).then_some(form),
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

pub(in crate::console) async fn create_app(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_create(&form, tenant_id).await {
        Ok(name) => {
            let name = segment(&name);
            Ok(see_other(&format!(
                "/console/tenants/{tenant_id}/apps/{name}?done=created"
            )))
        }
        Err(problem) => render_list(&form.visit, Some(&form.attempt(&APP, problem)?)).await,
    }
}

async fn try_create(form: &Submission, tenant: TenantId) -> Result<String, Problem> {
    let new = requests::app(&APP.body(&form.input))?;
    let ctx = &form.visit.ctx;
    let permission = RequiredPermission::in_tenant(tenant, Action::WriteApps);
    let made = create(
        form,
        permission,
        Secrecy::Open,
        async |caller, reservation, once| {
            Ok(apps::create(ctx, &caller, tenant, new, once(reservation))
                .await?
                .value)
        },
    );
    Ok(match made.await? {
        Created::New(stored) => stored.name(),
        Created::Earlier(name) => name,
    })
}
