//! Devices of a tenant: search and import.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Value, json};

use crate::console::attempt::Attempt;
use crate::console::created::{Created, Creation as _, Secrecy, create};
use crate::console::csv_rows::{Columns, Rows, TableText};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::FormView;
use crate::console::format::{Moment, segment};
use crate::console::notices::with_sealed_notice;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::texts::Texts;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests::{self, DevicesQuery, Filters};
use crate::services::devices::{self, RegisteredDevice};
use crate::services::org_directory::unknown_nodes;
use crate::services::{Caller, Context, RequiredPermission};
use slipway_domain::access::Action;
use slipway_domain::catalog::device::{Device, OrgInfo};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{Level, OrgScope};
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::page::{Page, PageRequest};

/// Columns of an import: those that the hint of the form names, and those of the API.
const COLUMNS: Columns = Columns {
    names: &[
        &["device_id", "id", "device id", "编号"],
        &["project_id", "project", "project id", "项目"],
        &["device_type", "type", "device type", "类型"],
        &["org", "org path", "org_path", "组织路径"],
    ],
    required: 2,
};

/// Number of nodes that the notice of an import names.
const SHOWN_NODES: usize = 3;

const IMPORT: Form = Form {
    key: "import",
    submit: |t| t.import,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("csv", Kind::LongText, |t| t.devices_csv).hint(|t| t.devices_csv_hint),
        Field::new("file", Kind::File, |t| t.csv_file).hint(|t| t.csv_file_hint),
    ],
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
    /// Messages by the name of their field.
    errors: Vec<(String, String)>,
}

impl FilterInput {
    fn of(visit: &Visit) -> Self {
        let text = |name: &str| visit.param(name).unwrap_or_default();
        Self {
            id: text("id"),
            org: text("org"),
            device_type: text("device_type"),
            project_id: text("project_id"),
            package_name: text("package_name"),
            identifier: text("identifier"),
            version_code: text("version_code"),
            errors: Vec::new(),
        }
    }

    fn is_set(&self) -> bool {
        let fields = [
            &self.id,
            &self.org,
            &self.device_type,
            &self.project_id,
            &self.package_name,
            &self.identifier,
            &self.version_code,
        ];
        fields.iter().any(|field| !field.is_empty())
    }

    fn error(&self, name: &str) -> Option<&String> {
        let error = self.errors.iter().find(|(field, _)| field == name);
        error.map(|(_, message)| message)
    }

    /// Parses the filter. `None` if it is invalid; the errors are then stored.
    fn read(&mut self, t: &Texts) -> Option<Filters> {
        match requests::device_filters(self.query()) {
            Ok(filters) => Some(filters),
            Err(problem) => {
                let errors = problem.field_errors().iter();
                self.errors = errors
                    .map(|error| (error.field.clone(), filter_error(t, error)))
                    .collect();
                None
            }
        }
    }

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

pub(super) fn place(scope: &OrgScope) -> String {
    let codes = scope.codes();
    org_path::join(Level::all().filter_map(|level| codes.get(level)))
}

pub(in crate::console) async fn list(visit: Visit) -> Result<HttpResponse, PageError> {
    render_list(&visit, None).await
}

async fn render_list(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let mut filter = FilterInput::of(visit);
    let mut page = visit.page()?;
    let id = filter.id.clone();
    if page.after.is_none() && !id.is_empty() {
        page.after = before(&id);
    }
    let filters = filter.read(visit.texts());
    let status = match &filters {
        Some(_) => attempt.map_or(StatusCode::OK, Attempt::status),
        None => StatusCode::BAD_REQUEST,
    };
    let found = match filters {
        Some(filters) => find(visit, tenant_id, filters, page).await?,
        None => Page::empty(),
    };
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
        next: visit.next_page(&base, found.next.filter(|_| has_more)),
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
    html(status, &page)
}

async fn find(
    visit: &Visit,
    tenant: TenantId,
    filters: Filters,
    page: PageRequest,
) -> Result<Page<RegisteredDevice>, Problem> {
    visit
        .run_heavy(async move |ctx, caller| {
            Ok(devices::list(&ctx, &caller, tenant, &filters.filter(), &page).await?)
        })
        .await
}

/// Returns the message of an error on the filter, without names of the API.
fn filter_error(t: &Texts, error: &FieldError) -> String {
    let needs_other = error.message.starts_with("requires");
    match error.field.as_str() {
        "identifier" if needs_other => t.filter_lacks_app.to_owned(),
        "version_code" if needs_other => t.filter_lacks_resource.to_owned(),
        "org" => t.filter_org_form.to_owned(),
        _ => t.message(&error.message).into_owned(),
    }
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
        Ok(numbers) => {
            let page = format!("/console/tenants/{tenant_id}/devices");
            let query = format!("done=devices_imported&{numbers}");
            Ok(see_other(&with_sealed_notice(&form.visit, &page, &query)))
        }
        Err(problem) => render_list(&form.visit, Some(&form.attempt(&IMPORT, problem)?)).await,
    }
}

/// Imports the devices. Returns the numbers of the import, as a query.
async fn try_import(form: &Submission, tenant: TenantId) -> Result<String, Problem> {
    let table = TableText::of(&form.input)?;
    let field = table.field();
    let (imported, elsewhere) = form
        .visit
        .run_heavy(async move |ctx, caller| {
            let rows = Rows::parse(&table.text, &COLUMNS)?;
            let devices =
                requests::devices(&body_of(&rows)).map_err(|problem| rows.errors_by_line(problem))?;
            let elsewhere = elsewhere(&ctx, &caller, tenant, &devices);
            Ok((devices, elsewhere))
        })
        .await
        .map_err(|problem| TableText::at_own_field(field, problem))?;
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
    let numbers = match made.await? {
        Created::New(report) => report.name(),
        Created::Earlier(numbers) => numbers,
    };
    Ok(format!("{numbers}{elsewhere}"))
}

/// Returns the number of devices in nodes that the org directory does not have and some of these nodes, as the end of a
/// query; an empty text if there are none.
fn elsewhere(ctx: &Context, caller: &Caller, tenant: TenantId, devices: &[Device]) -> String {
    let places = |device: &Device| {
        let org = device.org_info.as_ref();
        org.map(OrgInfo::memberships).unwrap_or_default().to_vec()
    };
    let unknown = unknown_nodes(ctx, caller, tenant, devices.iter().flat_map(places));
    if unknown.is_empty() {
        return String::new();
    }
    let is_elsewhere = |device: &&Device| places(device).iter().any(|place| unknown.contains(place));
    let count = devices.iter().filter(is_elsewhere).count();
    let mut nodes: Vec<_> = unknown.iter().map(place).collect();
    nodes.sort_unstable();
    nodes.truncate(SHOWN_NODES);
    if unknown.len() > SHOWN_NODES {
        nodes.push("…".to_owned());
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("elsewhere", &count.to_string())
        .append_pair("nodes", &nodes.join(", "));
    format!("&{}", query.finish())
}

/// Returns the body of the API for a table of devices.
fn body_of(rows: &Rows) -> Value {
    let devices = rows
        .iter()
        .map(|row| device_of(&[row.cell(0), row.cell(1), row.cell(2), row.cell(3)]));
    json!({ "devices": devices.collect::<Vec<_>>() })
}

fn device_of([id, project, kind, path]: &[Option<&str>; 4]) -> Value {
    let mut device = json!({"device_id": id, "project_id": project});
    if let Some(kind) = kind {
        device["device_type"] = json!(kind);
    }
    if let Some(path) = path {
        let codes = org_path::split(path).into_iter().enumerate();
        let codes = codes.filter(|(_, code)| !code.is_empty());
        let codes = codes.map(|(index, code)| (format!("l{}Code", index + 1), json!(code)));
        device["org_info"] = Value::Object(codes.collect());
    }
    device
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_devices_and_its_head_is_skipped() {
        let text =
            "device_id,project_id,device_type,org\nPDA001,hema,10013,HM/HM-SH/8007\n'=x,hema,,//8007\n";
        let body = body_of(&Rows::parse(text, &COLUMNS).unwrap());
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
        let rows = Rows::parse("id,project,type,org path\n\nPDA001,\n", &COLUMNS).unwrap();
        let problem = rows.errors_by_line(requests::devices(&body_of(&rows)).unwrap_err());
        assert_eq!(problem.field_errors()[0].field, "csv[2]");
    }

    #[test]
    fn a_search_begins_at_the_first_id_with_the_beginning() {
        let key = before("PDA").unwrap();
        assert!(key.as_str() < "PDA" && key.as_str() > "PD@ZZZZ");
        assert_eq!(before(""), None);
    }
}
