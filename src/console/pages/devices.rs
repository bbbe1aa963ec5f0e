//! Devices of a tenant: search and import.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Value, json};

use crate::console::created::{Secrecy, create};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::{Attempt, FormView};
use crate::console::format::{Moment, segment};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::table::plain;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests::{self, DevicesQuery};
use crate::services::RequiredPermission;
use crate::services::devices::{self, RegisteredDevice};
use slipway_domain::access::Action;
use slipway_domain::catalog::device::OrgInfo;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{Level, OrgScope};

const IMPORT: Form = Form {
    key: "import",
    submit: |t| t.import,
    explanation: None,
    style: Style::Primary,
    fields: &[Field::new("csv", Kind::LongText, |t| t.devices_csv)
        .required()
        .hint(|t| t.devices_csv_hint)],
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

impl FilterInput {
    /// Returns the query of the API for the same devices. The id is not part of it.
    fn query(&self) -> DevicesQuery {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        DevicesQuery {
            project_id: given(&self.project_id),
            device_type: given(&self.device_type),
            org: given(&self.org),
            package_name: given(&self.package_name),
            identifier: given(&self.identifier),
            version_code: given(&self.version_code),
            ..DevicesQuery::default()
        }
    }
}

pub(super) struct DeviceRow {
    pub(super) href: String,
    pub(super) id: String,
    pub(super) project: String,
    pub(super) device_type: String,
    pub(super) org: String,
    pub(super) enrolled: bool,
    pub(super) connected: bool,
    pub(super) last_seen_at: Option<Moment>,
}

impl DeviceRow {
    pub(super) fn of(base: &str, registered: &RegisteredDevice) -> Self {
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
    let query = filter.query();
    let mut page = visit.page()?;
    let id = filter.id.clone();
    if page.after.is_none() && !id.is_empty() {
        page.after = before(&id);
    }
    let found = visit
        .run_heavy(async move |ctx, caller| {
            let filters = requests::device_filters(query)?;
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
    let permission = RequiredPermission::in_tenant(tenant, Action::WriteDevices);
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
    // A refusal or a conflict is not about the rows.
    if problem.field_errors().is_empty() {
        return problem;
    }
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
