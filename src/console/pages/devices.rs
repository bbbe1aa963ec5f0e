//! Devices of a tenant: search, import, one device, and why it gets what it gets.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Value, json};

use super::explain::{CHECK, ExplanationView, explain_form};
use crate::console::created::{Created, Secrecy, create};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::{Attempt, FormView, Values};
use crate::console::format::{Moment, segment};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::table::plain;
use crate::console::visit::Visit;
use crate::http::path::{DevicePath, TenantPath};
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::devices::{self, DeviceWithInstalls, RegisteredDevice};
use crate::services::{ServiceError, enrolment};
use slipway_domain::access::Action;
use slipway_domain::catalog::device::OrgInfo;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{Level, OrgScope};
use slipway_domain::catalog::text::PackageName;

const IMPORT: Form = Form {
    key: "import",
    submit: |t| t.import,
    explanation: None,
    style: Style::Primary,
    fields: &[Field::new("csv", Kind::LongText, |t| t.devices_csv)
        .required()
        .hint(|t| t.devices_csv_hint)],
};

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

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage<'a> {
    s: &'a Shell,
    base: String,
    filter: FilterInput,
    devices: Vec<DeviceRow>,
    next: Option<String>,
    form: Option<FormView>,
}

/// Filter as the person wrote it.
struct FilterInput {
    /// First characters of the id.
    id: String,
    org: String,
    device_type: String,
    project_id: String,
    package_name: String,
    identifier: String,
    version_code: String,
}

struct DeviceRow {
    href: String,
    id: String,
    project: String,
    device_type: String,
    org: String,
    enrolled: bool,
    connected: bool,
    last_seen_at: Option<Moment>,
}

impl DeviceRow {
    fn of(base: &str, registered: &RegisteredDevice) -> Self {
        let stored = &registered.stored;
        let device = &stored.device;
        let text = |text: Option<String>| text.unwrap_or_default();
        Self {
            href: format!("{base}/{}", segment(device.id.as_str())),
            id: device.id.to_string(),
            project: text(device.project.as_ref().map(ToString::to_string)),
            device_type: text(device.device_type.as_ref().map(ToString::to_string)),
            org: org_text(device.org_info.as_ref()),
            enrolled: registered.is_enrolled,
            connected: registered.is_connected,
            last_seen_at: stored.last_seen_at.map(Moment),
        }
    }
}

fn org_text(org: Option<&OrgInfo>) -> String {
    let memberships = org.map(OrgInfo::memberships).unwrap_or_default();
    memberships.iter().map(place).collect::<Vec<_>>().join(", ")
}

fn place(scope: &OrgScope) -> String {
    let codes = scope.codes();
    let codes: Vec<_> = Level::all().filter_map(|level| codes.get(level)).collect();
    codes.join("/")
}

pub(in crate::console) async fn list(visit: Visit) -> Result<HttpResponse, PageError> {
    render_list(&visit, None).await
}

async fn render_list(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let text = |name: &str| visit.param(name).unwrap_or_default();
    let filter = FilterInput {
        id: text("id"),
        org: text("org"),
        device_type: text("device_type"),
        project_id: text("project_id"),
        package_name: text("package_name"),
        identifier: text("identifier"),
        version_code: text("version_code"),
    };
    let given = [
        &filter.project_id,
        &filter.device_type,
        &filter.org,
        &filter.package_name,
        &filter.identifier,
        &filter.version_code,
    ];
    let given = given.map(|text| Some(text.clone()).filter(|text| !text.is_empty()));
    let mut page = visit.page()?;
    let id = filter.id.clone();
    if page.after.is_none() && !id.is_empty() {
        page.after = before(&id);
    }
    let found = visit
        .run_heavy(async move |ctx, caller| {
            let filters = requests::device_filters(given)?;
            Ok(devices::list(&ctx, &caller, tenant_id, &filters.filter(), &page).await?)
        })
        .await?;
    let base = format!("/console/tenants/{tenant_id}/devices");
    let is_wanted = |device: &&RegisteredDevice| device.stored.device.id.as_str().starts_with(&id);
    let rows: Vec<_> = found
        .items
        .iter()
        .filter(is_wanted)
        .map(|device| DeviceRow::of(&base, device))
        .collect();
    let has_more = rows.len() == found.items.len();
    let shell = Shell::of(visit, visit.texts().devices);
    let page = DevicesPage {
        devices: rows,
        next: visit.next_page(found.next.filter(|_| has_more)),
        form: visit.may(Action::WriteDevices).then(|| {
            shell
                .forms(attempt)
                .form(&IMPORT, &base)
                .behind(shell.t.import_devices)
        }),
        filter,
        base,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

/// Returns a sort key that is less than every id with this beginning, and greater than most others. Lists are ordered
/// bytewise.
pub(super) fn before(id: &str) -> Option<String> {
    let mut key = id.to_owned();
    let last = key.pop()?;
    let previous = char::from_u32(u32::from(last).checked_sub(1)?).filter(|letter| !letter.is_control())?;
    key.push(previous);
    key.push(char::MAX);
    Some(key)
}

pub(in crate::console) async fn import(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_import(&form, tenant_id).await {
        Ok(()) => Ok(see_other(&format!(
            "/console/tenants/{tenant_id}/devices?done=imported"
        ))),
        Err(problem) => render_list(&form.visit, Some(&form.attempt(&IMPORT, problem)?)).await,
    }
}

async fn try_import(form: &Submission, tenant: TenantId) -> Result<(), Problem> {
    let text = form.input.get("csv").to_owned();
    let imported = form
        .visit
        .run_heavy(async move |_, _| requests::devices(&devices_in(&text)?).map_err(by_line))
        .await?;
    let ctx = &form.visit.ctx;
    let permission = (Some(tenant), Action::WriteDevices);
    let made = create(
        form,
        permission,
        Secrecy::Open,
        async |caller, reservation, once| {
            Ok(devices::import(ctx, &caller, tenant, imported, once(reservation))
                .await?
                .value)
        },
    );
    made.await.map(|_| ())
}

/// Reads a table of devices: id, project, type, org path. Its first line may name the columns.
fn devices_in(text: &str) -> Result<Value, Problem> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut devices = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| csv_problem(&error))?;
        let cell = |index: usize| record.get(index).map(plain).filter(|cell| !cell.is_empty());
        let is_head = index == 0 && cell(0) == Some("device_id");
        if !is_head {
            devices.push(device_of(&[cell(0), cell(1), cell(2), cell(3)]));
        }
    }
    Ok(json!({ "devices": devices }))
}

fn device_of([id, project, kind, path]: &[Option<&str>; 4]) -> Value {
    let mut device = json!({"device_id": id, "project_id": project});
    if let Some(kind) = kind {
        device["device_type"] = json!(kind);
    }
    if let Some(path) = path {
        let codes = path
            .split('/')
            .enumerate()
            .filter(|(_, code)| !code.trim().is_empty());
        let codes = codes.map(|(index, code)| (format!("l{}Code", index + 1), json!(code.trim())));
        device["org_info"] = Value::Object(codes.collect());
    }
    device
}

pub(super) fn csv_problem(error: &csv::Error) -> Problem {
    let line = error.position().map_or(0, csv::Position::line);
    Problem::invalid(vec![FieldError::invalid(
        "csv",
        format!("line {line} is not valid CSV"),
    )])
}

/// Names the rows of a table in the errors of its items.
pub(super) fn by_line(problem: Problem) -> Problem {
    let errors = problem.field_errors().iter().map(|error| {
        let rest = error.field.split_once('[').map(|(_, rest)| rest);
        let row = rest.and_then(|rest| rest.split_once(']'));
        match row.and_then(|(index, member)| Some((index.parse::<usize>().ok()?, member))) {
            Some((index, member)) => {
                let member = member.trim_start_matches('.');
                // Some messages begin with the field.
                let message = error.message.strip_prefix(&error.field).unwrap_or(&error.message);
                FieldError::invalid(
                    format!("csv[{index}]"),
                    format!("{member} {}", message.trim_start()),
                )
            }
            None => FieldError::invalid("csv", error.message.clone()),
        }
    });
    Problem::invalid(errors.collect())
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    s: &'a Shell,
    row: DeviceRow,
    first_seen_at: Option<Moment>,
    attributes: Vec<(String, String)>,
    installs: Vec<InstallRow>,
    pushes: Option<String>,
    pins: Option<String>,
    forms: Vec<FormView>,
    why: Vec<FormView>,
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
        installs: found.installs.iter().map(install_row).collect(),
        pushes: visit.may(Action::Push).then(|| push_href(&tenant, &found)),
        pins: visit.may(Action::WritePins).then(|| pin_href(&tenant, &found)),
        forms: device_forms(visit, &shell, shown, &base, &found),
        why: why_forms(&shell, attempt, explanation.is_some(), &base, &found),
        explanation,
        s: &shell,
    };
    html(status, &page)
}

fn install_row(install: &slipway_domain::catalog::install::Install) -> InstallRow {
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

/// Returns a form for each app of the device, with its last known state.
fn why_forms(
    shell: &Shell,
    attempt: Option<&Attempt>,
    is_explained: bool,
    base: &str,
    found: &DeviceWithInstalls,
) -> Vec<FormView> {
    let mut apps: Vec<&PackageName> = found
        .installs
        .iter()
        .map(|install| &install.package_name)
        .collect();
    apps.dedup();
    let context = if is_explained {
        shell.forms(attempt).without_problem()
    } else {
        shell.forms(attempt)
    };
    let form = |package_name: Option<&PackageName>| {
        let name = package_name.map(PackageName::as_str).unwrap_or_default();
        // The form is known by the app, although its field can be edited.
        context.form_of(
            &CHECK,
            name,
            format!("{base}/why?app={}", segment(name)),
            last_check(found, name),
        )
    };
    if apps.is_empty() {
        return vec![form(None)];
    }
    apps.into_iter().map(|name| form(Some(name))).collect()
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
        (&condition, requests::device_etag),
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
    let permission = (Some(path.tenant_id), Action::WriteDevices);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_devices_and_its_head_is_skipped() {
        let text =
            "device_id,project_id,device_type,org\nPDA001,hema,10013,HM/HM-SH/8007\n'=x,hema,,//8007\n";
        let body = devices_in(text).unwrap();
        assert_eq!(
            body,
            json!({"devices": [
                {"device_id": "PDA001", "project_id": "hema", "device_type": "10013",
                    "org_info": {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}},
                {"device_id": "=x", "project_id": "hema", "org_info": {"l3Code": "8007"}},
            ]})
        );
    }

    #[test]
    fn errors_name_the_row() {
        let problem = requests::devices(&devices_in("PDA001,\n").unwrap())
            .map_err(by_line)
            .unwrap_err();
        assert_eq!(problem.field_errors()[0].field, "csv[0]");
    }

    #[test]
    fn a_search_begins_at_the_first_id_with_the_beginning() {
        let key = before("PDA").unwrap();
        assert!(key.as_str() < "PDA" && key.as_str() > "PD@ZZZZ");
        assert_eq!(before(""), None);
    }
}
