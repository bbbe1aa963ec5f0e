//! Tenants of the platform, and the settings of one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::alarms::{self, Alarm, digest_of};
use crate::console::attempt::Attempt;
use crate::console::created::{Created, Creation as _, Secrecy, create};
use crate::console::fields::{Blank, Field, Form, Kind, Style};
use crate::console::form_view::{FormView, Values};
use crate::console::format::Moment;
use crate::console::live::stream_url;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::texts::Texts;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::RequiredPermission;
use crate::services::tenants;
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::push::UrlScheme;
use slipway_domain::catalog::tenant::Tenant;

const TENANT: Form = Form {
    key: "tenant",
    submit: |t| t.create,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("id", Kind::Integer, |t| t.tenant_id)
            .required()
            .hint(|t| t.tenant_id_hint),
        Field::new("name", Kind::Text, |t| t.name).required(),
    ],
};

const SETTINGS: Form = Form {
    key: "settings",
    submit: |t| t.save,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("name", Kind::Text, |t| t.name).required(),
        Field::new(
            "enrolment",
            Kind::Choice(&[("key", |t| t.enrolment_key), ("code", |t| t.enrolment_code)]),
            |t| t.enrolment,
        ),
        Field::new("push_url_schemes", Kind::Lines, |t| t.push_url_schemes)
            .blank(Blank::Null)
            .hint(|t| t.push_url_schemes_hint),
    ],
};

/// The off switches, apart from the other settings: saving a name must not stop all updates of the tenant.
const SWITCHES: Form = Form {
    key: "switches",
    submit: |t| t.save,
    explanation: Some(|t| t.switches_explanation),
    style: Style::Danger,
    fields: &[
        Field::new("enabled", Kind::Flag, |t| t.tenant_enabled).hint(|t| t.tenant_enabled_hint),
        Field::new("offers_enabled", Kind::Flag, |t| t.offers_enabled).hint(|t| t.offers_enabled_hint),
    ],
};

pub(in crate::console) struct TenantRow {
    pub(in crate::console) href: String,
    pub(in crate::console) id: i64,
    pub(in crate::console) name: String,
    pub(in crate::console) status: &'static str,
    pub(in crate::console) is_on: bool,
}

impl TenantRow {
    pub(in crate::console) fn of(tenant: &Tenant, t: &Texts) -> Self {
        Self {
            href: format!("/console/tenants/{}", tenant.id),
            id: tenant.id.get(),
            name: tenant.name.to_string(),
            status: match (tenant.enabled, tenant.offers_enabled) {
                (false, _) => t.disabled,
                (true, false) => t.offers_off,
                (true, true) => t.active,
            },
            is_on: tenant.enabled && tenant.offers_enabled,
        }
    }
}

#[derive(Template)]
#[template(path = "platform.html")]
struct PlatformPage<'a> {
    s: &'a Shell,
    /// Address of the stream of the alarms.
    events: String,
    alarms: Vec<Alarm>,
    tenants: Vec<TenantRow>,
    next: Option<String>,
    form: FormView,
}

pub(super) async fn platform(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let found = tenants::list(&visit.ctx, &visit.caller(false), &visit.page()?).await?;
    let shell = Shell::of(visit, visit.texts().tenants);
    let t = shell.t;
    let alarms = alarms::of_platform(visit)?;
    let page = PlatformPage {
        events: stream_url("/console", &digest_of(&alarms)),
        alarms,
        tenants: found
            .items
            .iter()
            .map(|stored| TenantRow::of(&stored.value, t))
            .collect(),
        next: visit.next_page("/console", found.next),
        form: shell
            .forms(attempt)
            .form(&TENANT, "/console/tenants")
            .behind(t.new_tenant),
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

pub(in crate::console) async fn create_tenant(form: Submission) -> Result<HttpResponse, PageError> {
    match try_create(&form).await {
        Ok(id) => Ok(see_other(&format!("/console/tenants/{id}?done=created"))),
        Err(problem) => platform(&form.visit, Some(&form.attempt(&TENANT, problem)?)).await,
    }
}

async fn try_create(form: &Submission) -> Result<String, Problem> {
    let (id, name) = requests::tenant(&TENANT.body(&form.input))?;
    let ctx = &form.visit.ctx;
    let permission = RequiredPermission::on_platform(Action::ManageTenants);
    let made = create(
        form,
        permission,
        Secrecy::Open,
        async |caller, reservation, once| {
            Ok(tenants::create(ctx, &caller, id, name, once(reservation))
                .await?
                .value)
        },
    );
    Ok(match made.await? {
        Created::New(stored) => stored.name(),
        Created::Earlier(name) => name,
    })
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage<'a> {
    s: &'a Shell,
    id: TenantId,
    name: String,
    status: &'static str,
    created_at: Moment,
    updated_at: Moment,
    form: FormView,
    switches: FormView,
}

pub(in crate::console) async fn show_settings(visit: Visit) -> Result<HttpResponse, PageError> {
    settings(&visit, None).await
}

async fn settings(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let stored = tenants::get(&visit.ctx, &visit.caller(false), tenant_id).await?;
    let shell = Shell::of(visit, visit.texts().settings);
    let action = format!("/console/tenants/{tenant_id}/settings");
    let (forms, tenant) = (shell.forms(attempt), &stored.value);
    let switches = forms.form_of(&SWITCHES, "", format!("{action}/switches"), switch_values(tenant));
    let form = forms.form_of(&SETTINGS, "", action, values(tenant));
    let page = SettingsPage {
        id: tenant_id,
        name: stored.value.name.to_string(),
        status: TenantRow::of(&stored.value, shell.t).status,
        created_at: Moment(stored.created_at),
        updated_at: Moment(stored.updated_at),
        form: form.etag(&stored.etag),
        switches: switches.etag(&stored.etag).behind(shell.t.change_switches),
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

fn values(tenant: &Tenant) -> Values {
    let schemes = tenant.push_url_schemes.listed().unwrap_or_default();
    let schemes: Vec<_> = schemes.iter().map(UrlScheme::as_str).collect();
    vec![
        ("name", tenant.name.to_string()),
        ("enrolment", tenant.enrolment.as_str().to_owned()),
        ("push_url_schemes", schemes.join("\n")),
    ]
}

fn switch_values(tenant: &Tenant) -> Values {
    vec![
        ("enabled", tenant.enabled.to_string()),
        ("offers_enabled", tenant.offers_enabled.to_string()),
    ]
}

pub(in crate::console) async fn update_settings(form: Submission) -> Result<HttpResponse, PageError> {
    update(form, &SETTINGS).await
}

pub(in crate::console) async fn update_switches(form: Submission) -> Result<HttpResponse, PageError> {
    update(form, &SWITCHES).await
}

async fn update(form: Submission, of: &Form) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_update(&form, of, tenant_id).await {
        Ok(()) => Ok(see_other(&format!(
            "/console/tenants/{tenant_id}/settings?done=saved"
        ))),
        Err(problem) => settings(&form.visit, Some(&form.attempt(of, problem)?)).await,
    }
}

async fn try_update(form: &Submission, of: &Form, tenant: TenantId) -> Result<(), Problem> {
    let (changes, is_urgent) = requests::tenant_changes(&of.body(&form.input))?;
    let (caller, _permit) = form.begin(is_urgent)?;
    tenants::update(&form.visit.ctx, &caller, tenant, changes, &form.precondition()).await?;
    Ok(())
}
