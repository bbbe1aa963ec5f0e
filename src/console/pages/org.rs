//! Org directory: one level of the tree at a time, and the whole as CSV.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;
use askama::Template;
use serde_json::{Value, json};

use crate::console::csv_rows::{Columns, Row, Rows};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::{Attempt, FormView};
use crate::console::format::{Moment, count};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::{Link, Shell};
use crate::console::submission::Submission;
use crate::console::table::Table;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::ServiceError;
use crate::services::org_directory::{self, DirectoryCounts, OrgDevices};
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{LEVELS, OrgCode, OrgNode};

/// Number of nodes on a page.
const SHOWN: usize = 50;

const HEAD: [&str; LEVELS + 2] = ["l1", "l2", "l3", "l4", "l5", "name", "time_zone"];

/// Columns of an import: those of the export.
const COLUMNS: Columns = Columns {
    names: &[
        &["l1"],
        &["l2"],
        &["l3"],
        &["l4"],
        &["l5"],
        &["name", "名称"],
        &["time_zone", "time zone", "时区"],
    ],
    required: LEVELS + 2,
};

const IMPORT: Form = Form {
    key: "import",
    submit: |t| t.replace_org,
    explanation: Some(|t| t.replace_org_explanation),
    style: Style::Primary,
    fields: &[Field::new("csv", Kind::LongText, |t| t.org_csv)
        .required()
        .hint(|t| t.org_csv_hint)],
};

#[derive(Template)]
#[template(path = "org.html")]
struct OrgPage<'a> {
    s: &'a Shell,
    base: String,
    path: Vec<Link>,
    total: usize,
    nodes: Vec<NodeRow>,
    next: Option<String>,
    /// List of the devices of this node.
    devices: String,
    /// Number of devices of this node; `None` before the first count.
    counted: Option<Counted>,
    form: Option<FormView>,
}

struct Counted {
    devices: String,
    at: Moment,
}

struct NodeRow {
    /// Absent if nothing is below the node.
    href: Option<String>,
    /// List of the devices of the node.
    devices: String,
    /// Number of devices at and below the node; `None` before the first count.
    count: Option<String>,
    code: String,
    name: String,
    time_zone: String,
    below: usize,
}

/// Child of the shown node: its code, the node itself unless it is implied, and the number of nodes below.
type Child<'a> = (&'a String, &'a (Option<OrgNode>, usize));

/// Level of the tree below a path.
struct Level {
    etag: String,
    total: usize,
    /// Children by code: their name, their time zone, and the number of nodes below.
    children: BTreeMap<String, (Option<OrgNode>, usize)>,
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

async fn read_nodes(visit: &Visit, tenant: TenantId) -> Result<(Vec<OrgNode>, String), Problem> {
    visit
        .run_heavy(async move |ctx, caller| {
            let stored = org_directory::get_text(&ctx, &caller, tenant).await?;
            let nodes = serde_json::from_str(&stored.nodes).map_err(ServiceError::internal)?;
            Ok((nodes, stored.etag))
        })
        .await
}

fn level(nodes: Vec<OrgNode>, etag: String, path: &[String]) -> Level {
    let total = nodes.len();
    let mut children = BTreeMap::<String, (Option<OrgNode>, usize)>::new();
    for node in nodes {
        let codes: Vec<_> = node.path.iter().map(OrgCode::as_str).collect();
        let is_below = codes.len() > path.len() && codes.iter().zip(path).all(|(one, other)| one == other);
        if !is_below {
            continue;
        }
        let is_child = codes.len() == path.len() + 1;
        let entry = children.entry(codes[path.len()].to_owned()).or_default();
        if is_child {
            entry.0 = Some(node);
        } else {
            entry.1 += 1;
        }
    }
    Level {
        etag,
        total,
        children,
    }
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let (nodes, etag) = read_nodes(visit, tenant_id).await?;
    let at = visit.param("path").unwrap_or_default();
    let path: Vec<_> = at
        .split('/')
        .filter(|code| !code.is_empty())
        .map(str::to_owned)
        .collect();
    let level = level(nodes, etag, &path);
    let tenant = format!("/console/tenants/{tenant_id}");
    let base = format!("{tenant}/org");
    let after = visit.param("after").unwrap_or_default();
    let mut rest = level.children.iter().filter(|(code, _)| **code > after);
    let shown: Vec<_> = rest.by_ref().take(SHOWN).collect();
    let next = rest.next().and(shown.last()).map(|(code, _)| {
        let query = [("path", at.as_str()), ("after", code.as_str())];
        format!("{base}?{}", query_of(&query))
    });
    let counts = count_devices(visit, tenant_id, &path, &shown).await?;
    let shell = Shell::of(visit, visit.texts().org);
    let form = shell
        .forms(attempt)
        .form(&IMPORT, &base)
        .etag(&level.etag)
        .behind(shell.t.replace_org);
    let devices = if path.is_empty() {
        format!("{tenant}/devices")
    } else {
        format!("{tenant}/devices?{}", query_of(&[("org", &at)]))
    };
    let page = OrgPage {
        path: trail(&base, &path),
        total: level.total,
        nodes: shown
            .into_iter()
            .map(|(code, (node, below))| NodeRow {
                count: counts
                    .counted_at
                    .map(|_| count(counts.children.get(code).copied().unwrap_or(0))),
                ..row(&tenant, &path, code, node.as_ref(), *below)
            })
            .collect(),
        next,
        devices,
        counted: counts.counted_at.map(|at| Counted {
            devices: count(counts.devices),
            at: Moment(at),
        }),
        form: visit.may(Action::WriteOrgDirectory).then_some(form),
        base,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

/// Reads the numbers of devices of the shown children, by code.
async fn count_devices(
    visit: &Visit,
    tenant: TenantId,
    path: &[String],
    shown: &[Child<'_>],
) -> Result<OrgDevices<HashMap<String, u64>>, PageError> {
    let codes: Vec<_> = shown.iter().map(|(code, _)| (*code).clone()).collect();
    let caller = visit.caller(false);
    let found = org_directory::count_devices(&visit.ctx, &caller, tenant, path, &codes).await?;
    let children = found.children.into_iter();
    let by_code = children.filter_map(|mut node| Some((node.path.pop()?, node.devices)));
    Ok(OrgDevices {
        counted_at: found.counted_at,
        devices: found.devices,
        children: by_code.collect(),
    })
}

fn query_of(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    query.finish()
}

fn trail(base: &str, path: &[String]) -> Vec<Link> {
    let link = |end: usize| Link {
        href: format!("{base}?{}", query_of(&[("path", &path[..end].join("/"))])),
        label: path[end - 1].clone(),
    };
    (1..=path.len()).map(link).collect()
}

fn row(tenant: &str, path: &[String], code: &str, node: Option<&OrgNode>, below: usize) -> NodeRow {
    let mut own = path.to_vec();
    own.push(code.to_owned());
    let own = own.join("/");
    let text = |text: Option<String>| text.unwrap_or_default();
    NodeRow {
        href: (below > 0).then(|| format!("{tenant}/org?{}", query_of(&[("path", &own)]))),
        devices: format!("{tenant}/devices?{}", query_of(&[("org", &own)])),
        count: None,
        code: code.to_owned(),
        name: text(node.and_then(|node| node.name.as_ref()).map(ToString::to_string)),
        time_zone: text(node.and_then(|node| node.time_zone).map(|zone| zone.to_string())),
        below,
    }
}

/// Sends the whole directory, in the form that the import reads.
pub(in crate::console) async fn export(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let (nodes, _) = read_nodes(&visit, tenant_id).await?;
    let mut table = Table::default();
    table.row(&HEAD)?;
    for node in &nodes {
        let mut cells: Vec<String> = node.path.iter().map(|code| code.as_str().to_owned()).collect();
        cells.resize(LEVELS, String::new());
        cells.push(node.name.as_ref().map(ToString::to_string).unwrap_or_default());
        cells.push(node.time_zone.map(|zone| zone.to_string()).unwrap_or_default());
        let cells: Vec<_> = cells.iter().map(String::as_str).collect();
        table.row(&cells)?;
    }
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"org.csv\""))
        .body(table.finish()?))
}

pub(in crate::console) async fn import(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_import(&form, tenant_id).await {
        Ok(counts) => {
            let query = query_of(&[
                ("done", "org_imported"),
                ("nodes", &counts.nodes.to_string()),
                ("new", &counts.added.to_string()),
                ("changed", &counts.changed.to_string()),
                ("removed", &counts.removed.to_string()),
            ]);
            Ok(see_other(&format!("/console/tenants/{tenant_id}/org?{query}")))
        }
        Err(problem) => render(&form.visit, Some(&form.attempt(&IMPORT, problem)?)).await,
    }
}

async fn try_import(form: &Submission, tenant: TenantId) -> Result<DirectoryCounts, Problem> {
    let text = form.input.get("csv").to_owned();
    let (_, _permit) = form.begin(false)?;
    let condition = form.precondition();
    form.visit
        .run_heavy(async move |ctx, caller| {
            let rows = Rows::parse(&text, &COLUMNS)?;
            let nodes =
                requests::org_nodes(&body_of(&rows)).map_err(|problem| rows.errors_by_line(problem))?;
            let done = org_directory::replace(&ctx, &caller, tenant, nodes, &condition).await;
            done.map(|done| done.value.counts)
                .map_err(|error| rows.errors_by_line(error.into()))
        })
        .await
}

/// Returns the body of the API for a table of nodes.
fn body_of(rows: &Rows) -> Value {
    let node = |row: Row<'_>| {
        let codes: Vec<_> = (0..LEVELS).map(|level| row.cell(level)).collect();
        let depth = codes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        // A gap in the path stays an empty code, which the parser rejects.
        let path: Vec<_> = codes[..depth]
            .iter()
            .map(|code| code.unwrap_or_default())
            .collect();
        json!({"path": path, "name": row.cell(LEVELS), "time_zone": row.cell(LEVELS + 1)})
    };
    json!({ "nodes": rows.iter().map(node).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_nodes_and_errors_name_the_row() {
        let text = "L1,l2,l3,l4,l5,name,time zone\nHM,,,,,Hema,\nHM,HM-SH,8007,,,,Asia/Shanghai\n";
        assert_eq!(
            body_of(&Rows::parse(text, &COLUMNS).unwrap()),
            json!({"nodes": [
                {"path": ["HM"], "name": "Hema", "time_zone": null},
                {"path": ["HM", "HM-SH", "8007"], "name": null, "time_zone": "Asia/Shanghai"},
            ]})
        );
        let rows = Rows::parse("HM,,8007,,,,\n", &COLUMNS).unwrap();
        let gap = rows.errors_by_line(requests::org_nodes(&body_of(&rows)).unwrap_err());
        assert_eq!(gap.field_errors()[0].field, "csv[0]");
    }

    #[test]
    fn a_level_has_its_children_and_the_number_of_nodes_below() {
        let rows = "HM,HM-SH,8007,,,,\nHM,HM-SH,8008,,,,\nHM,HM-BJ,,,,,\nXX,,,,,,\n";
        let body = body_of(&Rows::parse(rows, &COLUMNS).unwrap());
        let nodes = || serde_json::from_value(body["nodes"].clone()).unwrap();
        let top = level(nodes(), String::new(), &[]);
        let below = |level: &Level| -> Vec<_> {
            let children = level.children.iter();
            children
                .map(|(code, (_, below))| (code.clone(), *below))
                .collect()
        };
        assert_eq!(below(&top), [("HM".to_owned(), 3), ("XX".to_owned(), 0)]);
        let hm = level(nodes(), String::new(), &["HM".to_owned()]);
        assert_eq!(below(&hm), [("HM-BJ".to_owned(), 0), ("HM-SH".to_owned(), 2)]);
    }
}
