//! One device: its facts, what the role allows, and why it gets what it gets.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Value, json};

use super::device_pins::DevicePins;
use super::device_pushes::DevicePushes;
use super::devices::DeviceRow;
use super::explain::{CHECK, ExplanationView, explain_form};
use crate::console::attempt::Attempt;
use crate::console::created::{Created, Secrecy, create};
use crate::console::fields::{Form, Style};
use crate::console::form_view::{FormContext, FormView, Values};
use crate::console::format::{Moment, segment};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::{Link, Shell};
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::DevicePath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::RequiredPermission;
use crate::services::devices::{self, DeviceWithInstalls};
use crate::services::{ServiceError, enrolment};
use slipway_domain::access::Action;
use slipway_domain::catalog::install::Install;
use slipway_domain::catalog::text::PackageName;

const DELETE: Form = Form {
    key: "delete",
    submit: |t| t.delete_device,
    explanation: Some(|t| t.delete_device_explanation),
    style: Style::Danger,
    fields: &[],
};

const REVOKE: Form = Form {
    key: "revoke",
    submit: |t| t.revoke_token,
    explanation: Some(|t| t.revoke_token_explanation),
    style: Style::Danger,
    fields: &[],
};

const CODE: Form = Form {
    key: "code",
    submit: |t| t.new_code,
    explanation: Some(|t| t.new_code_explanation),
    style: Style::Primary,
    fields: &[],
};

/// Number of forms that explain a check. Each has the fields of a check.
const MAX_WHY_FORMS: usize = 2;
/// Number of links to the forms of other apps.
const MAX_OTHER_APPS: usize = 30;
/// Number of installs on the page.
const MAX_INSTALLS: usize = 50;

/// Forms that explain the checks of a device, and links to those of its other apps.
struct WhyView {
    forms: Vec<FormView>,
    others: Vec<Link>,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    s: &'a Shell,
    row: DeviceRow,
    first_seen_at: Option<Moment>,
    attributes: Vec<(String, String)>,
    installs: Vec<InstallRow>,
    /// Number of installs that the page leaves out.
    left_out: usize,
    new_push: Option<String>,
    new_pin: Option<String>,
    pins: DevicePins,
    pushes: DevicePushes,
    forms: Vec<FormView>,
    why: WhyView,
    explanation: Option<ExplanationView>,
}

struct InstallRow {
    package_name: String,
    identifier: String,
    version_code: i64,
    seen_at: Moment,
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None, None).await
}

/// Explains the check that the device would send now, or an edited one.
pub(in crate::console) async fn why(form: Submission) -> Result<HttpResponse, PageError> {
    let DevicePath { tenant_id, .. } = form.visit.path()?;
    let (explanation, problem) = match explain_form(&form, tenant_id).await {
        Ok(explanation) => (Some(explanation), Problem::invalid(Vec::new())),
        Err(problem) => (None, problem),
    };
    let app = form.visit.param("app").unwrap_or_default();
    let attempt = form.attempt_on(&CHECK, &app, problem)?;
    render(&form.visit, Some(&attempt), explanation).await
}

async fn render(
    visit: &Visit,
    attempt: Option<&Attempt>,
    explanation: Option<ExplanationView>,
) -> Result<HttpResponse, PageError> {
    let path: DevicePath = visit.path()?;
    let found = devices::get(&visit.ctx, &visit.caller(false), path.tenant_id, &path.device_id).await?;
    let tenant = format!("/console/tenants/{}", path.tenant_id);
    let list = format!("{tenant}/devices");
    let shell = Shell::of(visit, path.device_id.to_string()).below(&list, visit.texts().devices);
    let base = format!("{list}/{}", segment(path.device_id.as_str()));
    let status = match attempt {
        Some(attempt) if explanation.is_none() => attempt.status(),
        _ => StatusCode::OK,
    };
    // An explained check keeps its input, and has no problem to show.
    let shown = explanation.is_none().then_some(attempt).flatten();
    let context = shell.forms(attempt);
    let context = if explanation.is_some() {
        context.without_problem()
    } else {
        context
    };
    let page = DevicePage {
        row: DeviceRow::of(&list, &found.device),
        first_seen_at: found.device.stored.first_seen_at.map(Moment),
        attributes: found
            .device
            .stored
            .attributes
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        installs: found
            .installs
            .iter()
            .take(MAX_INSTALLS)
            .map(install_row)
            .collect(),
        left_out: found.installs.len().saturating_sub(MAX_INSTALLS),
        new_push: visit.may(Action::Push).then(|| push_href(&tenant, &found)),
        new_pin: visit.may(Action::WritePins).then(|| pin_href(&tenant, &found)),
        pins: DevicePins::read(visit, &shell, path.tenant_id, &found.device.stored.device).await?,
        pushes: DevicePushes::read(visit, &shell, path.tenant_id, &path.device_id).await?,
        forms: device_forms(visit, &shell, shown, &base, &found),
        why: why_forms(visit, context, &base, &found),
        explanation,
        s: &shell,
    };
    html(status, &page)
}

fn install_row(install: &Install) -> InstallRow {
    InstallRow {
        package_name: install.package_name.to_string(),
        identifier: install.identifier.to_string(),
        version_code: install.version_code.get(),
        seen_at: Moment(install.seen_at),
    }
}

fn push_href(tenant: &str, found: &DeviceWithInstalls) -> String {
    let device = &found.device.stored.device;
    let project = device
        .project
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("device", &format!("{}@{project}", device.id));
    format!("{tenant}/pushes?{}", query.finish())
}

fn pin_href(tenant: &str, found: &DeviceWithInstalls) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("device_id", found.device.stored.device.id.as_str());
    if let Some(install) = found.installs.first() {
        query.append_pair("package_name", install.package_name.as_str());
    }
    format!("{tenant}/pins?{}", query.finish())
}

fn device_forms(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    base: &str,
    found: &DeviceWithInstalls,
) -> Vec<FormView> {
    if !visit.may(Action::WriteDevices) {
        return Vec::new();
    }
    let (t, forms) = (shell.t, shell.forms(attempt));
    let mut shown = vec![
        forms
            .form(&CODE, format!("{base}/enrolment-code"))
            .behind(t.new_code),
    ];
    if found.device.is_enrolled {
        shown.push(
            forms
                .form(&REVOKE, format!("{base}/revoke"))
                .behind(t.revoke_token),
        );
    }
    shown.push(
        forms
            .form(&DELETE, format!("{base}/delete"))
            .etag(&requests::device_etag(found))
            .behind(t.delete_device),
    );
    shown
}

/// Returns a form for each of the first apps of the device, or for the app in the address, with its last known state.
fn why_forms(visit: &Visit, context: FormContext<'_>, base: &str, found: &DeviceWithInstalls) -> WhyView {
    let mut apps: Vec<&PackageName> = found
        .installs
        .iter()
        .map(|install| &install.package_name)
        .collect();
    apps.dedup();
    let form = |package_name: Option<&PackageName>| {
        let name = package_name.map(PackageName::as_str).unwrap_or_default();
        // The form is known by the app, although its field can be edited.
        context.form_of(
            &CHECK,
            name,
            format!("{base}/why?app={}#explanation", segment(name)),
            last_check(found, name),
        )
    };
    let asked = visit.param("app");
    let asked = asked.and_then(|app| apps.iter().position(|name| name.as_str() == app));
    let (shown, others) = if let Some(asked) = asked {
        (vec![apps.remove(asked)], apps)
    } else {
        let others = apps.split_off(apps.len().min(MAX_WHY_FORMS));
        (apps, others)
    };
    let link = |name: &PackageName| Link {
        href: format!("{base}?app={}#why", segment(name.as_str())),
        label: name.to_string(),
    };
    WhyView {
        forms: if shown.is_empty() {
            vec![form(None)]
        } else {
            shown.into_iter().map(|name| form(Some(name))).collect()
        },
        others: others.into_iter().take(MAX_OTHER_APPS).map(link).collect(),
    }
}

/// Returns the fields of the check that the device would send with its last known state.
fn last_check(found: &DeviceWithInstalls, package_name: &str) -> Values {
    let device = &found.device.stored.device;
    let own = found
        .installs
        .iter()
        .filter(|install| install.package_name.as_str() == package_name);
    let (host, modules): (Vec<_>, Vec<_>) =
        own.partition(|install| install.identifier.as_str() == package_name);
    let host = host.first().map_or(0, |install| install.version_code.get());
    let modules: serde_json::Map<String, Value> = modules
        .iter()
        .map(|install| (install.identifier.to_string(), json!(install.version_code.get())))
        .collect();
    let text = |value: Option<Value>| value.map(|value| value.to_string()).unwrap_or_default();
    let attributes = found
        .device
        .stored
        .attributes
        .as_ref()
        .map(|attributes| json!(attributes));
    let org = device.org_info.as_ref().map(|org| json!(org.memberships()));
    vec![
        ("package_name", package_name.to_owned()),
        ("version_code", host.to_string()),
        ("device_id", device.id.to_string()),
        (
            "device_type",
            device
                .device_type
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        ("old_versions", text(Some(Value::Object(modules)))),
        ("org_info", text(org)),
        ("attributes", text(attributes)),
    ]
}

pub(in crate::console) async fn delete(form: Submission) -> Result<HttpResponse, PageError> {
    let path: DevicePath = form.visit.path()?;
    let (caller, _permit) = form.begin(false)?;
    let condition = form.precondition();
    let done = devices::delete(
        &form.visit.ctx,
        &caller,
        path.tenant_id,
        &path.device_id,
        &condition,
        requests::device_etag,
    );
    match done.await {
        Ok(()) => Ok(see_other(&format!(
            "/console/tenants/{}/devices?done=deleted",
            path.tenant_id
        ))),
        Err(error) => render(&form.visit, Some(&form.attempt(&DELETE, error.into())?), None).await,
    }
}

pub(in crate::console) async fn revoke(form: Submission) -> Result<HttpResponse, PageError> {
    let path: DevicePath = form.visit.path()?;
    let (caller, _permit) = form.begin(true)?;
    match devices::revoke_token(&form.visit.ctx, &caller, path.tenant_id, &path.device_id).await {
        Ok(()) => {
            let id = segment(path.device_id.as_str());
            Ok(see_other(&format!(
                "/console/tenants/{}/devices/{id}?done=revoked",
                path.tenant_id
            )))
        }
        Err(error) => render(&form.visit, Some(&form.attempt(&REVOKE, error.into())?), None).await,
    }
}

#[derive(Template)]
#[template(path = "secret.html")]
struct CodePage<'a> {
    s: &'a Shell,
    name: String,
    public_text: Option<String>,
    secret: String,
    back: String,
}

pub(in crate::console) async fn create_code(form: Submission) -> Result<HttpResponse, PageError> {
    let path: DevicePath = form.visit.path()?;
    let ctx = &form.visit.ctx;
    let permission = RequiredPermission::in_tenant(path.tenant_id, Action::WriteDevices);
    let made = create(
        &form,
        permission,
        Secrecy::ShownOnce,
        async |caller, reservation, once| {
            let made =
                enrolment::create_code(ctx, &caller, path.tenant_id, &path.device_id, once(reservation));
            Ok(made.await?.value)
        },
    );
    let Created::New(issued) = made.await? else {
        let id = path.device_id.to_string();
        return Err(ServiceError::SecretAlreadyShown { id }.into());
    };
    let shell = Shell::of(&form.visit, form.visit.texts().enrolment_code_title);
    let page = CodePage {
        name: path.device_id.to_string(),
        public_text: None,
        secret: issued.enrolment_code,
        back: format!(
            "/console/tenants/{}/devices/{}",
            path.tenant_id,
            segment(path.device_id.as_str())
        ),
        s: &shell,
    };
    html(StatusCode::OK, &page)
}
