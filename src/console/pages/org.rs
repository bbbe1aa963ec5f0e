//! Org directory: one level of the tree at a time, and the whole as CSV.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;
use askama::Template;
use serde_json::{Value, json};

use crate::console::attempt::Attempt;
use crate::console::csv_rows::{Columns, Row, Rows, TableText};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::FormView;
use crate::console::format::{Moment, count};
use crate::console::notices::with_sealed_notice;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::{Link, Shell};
use crate::console::submission::Submission;
use crate::console::table::Table;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::org_directory::{self, DirectoryCounts, DirectoryTree, OrgDevices};
use crate::services::org_tree::{TreeNode, TreePage, TreeSelection};
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::LEVELS;
use slipway_domain::catalog::org_path;

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
    fields: &[
        Field::new("csv", Kind::LongText, |t| t.org_csv).hint(|t| t.org_csv_hint),
        Field::new("file", Kind::File, |t| t.csv_file).hint(|t| t.csv_file_hint),
    ],
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

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

async fn read_tree(visit: &Visit, tenant: TenantId) -> Result<DirectoryTree, Problem> {
    visit
        .run_heavy(async move |ctx, caller| Ok(org_directory::get_tree(&ctx, &caller, tenant).await?))
        .await
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let DirectoryTree { tree, etag } = read_tree(visit, tenant_id).await?;
    let at = visit.param("path").unwrap_or_default();
    let mut path = org_path::split(&at);
    path.retain(|code| !code.is_empty());
    let tenant = format!("/console/tenants/{tenant_id}");
    let base = format!("{tenant}/org");
    let selection = TreeSelection::Below {
        path: path.clone(),
        after: visit.param("after"),
    };
    let TreePage {
        nodes: shown,
        has_more,
    } = tree.select(&selection, SHOWN);
    let last = shown.last().map(code_of).filter(|_| has_more);
    let next = last.map(|code| format!("{base}?{}", query_of(&[("path", &at), ("after", code)])));
    let counts = count_devices(visit, tenant_id, &path, &shown).await?;
    let shell = Shell::of(visit, visit.texts().org);
    let form = shell
        .forms(attempt)
        .form(&IMPORT, &base)
        .etag(&etag)
        .behind(shell.t.replace_org);
    let devices = if path.is_empty() {
        format!("{tenant}/devices")
    } else {
        format!("{tenant}/devices?{}", query_of(&[("org", &at)]))
    };
    let page = OrgPage {
        path: trail(&base, &path),
        total: tree.nodes().len(),
        nodes: shown
            .iter()
            .map(|node| NodeRow {
                count: counts
                    .counted_at
                    .map(|_| count(counts.children.get(code_of(node)).copied().unwrap_or(0))),
                ..row(&tenant, node)
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
    shown: &[TreeNode],
) -> Result<OrgDevices<HashMap<String, u64>>, PageError> {
    let codes: Vec<_> = shown.iter().map(|node| code_of(node).to_owned()).collect();
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
        href: format!("{base}?{}", query_of(&[("path", &org_path::join(&path[..end]))])),
        label: path[end - 1].clone(),
    };
    (1..=path.len()).map(link).collect()
}

fn code_of(node: &TreeNode) -> &str {
    node.path.last().map_or("", String::as_str)
}

fn row(tenant: &str, node: &TreeNode) -> NodeRow {
    let path = org_path::join(&node.path);
    let has_children = node.below > 0;
    NodeRow {
        href: has_children.then(|| format!("{tenant}/org?{}", query_of(&[("path", &path)]))),
        devices: format!("{tenant}/devices?{}", query_of(&[("org", &path)])),
        count: None,
        code: code_of(node).to_owned(),
        name: node.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        time_zone: node.time_zone.map(|zone| zone.to_string()).unwrap_or_default(),
        below: node.below,
    }
}

/// Sends the whole directory, in the form that the import reads.
pub(in crate::console) async fn export(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let directory = read_tree(&visit, tenant_id).await?;
    let mut table = Table::default();
    table.row(&HEAD)?;
    for node in directory.tree.nodes() {
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
            let page = format!("/console/tenants/{tenant_id}/org");
            Ok(see_other(&with_sealed_notice(&form.visit, &page, &query)))
        }
        Err(problem) => render(&form.visit, Some(&form.attempt(&IMPORT, problem)?)).await,
    }
}

async fn try_import(form: &Submission, tenant: TenantId) -> Result<DirectoryCounts, Problem> {
    let table = TableText::of(&form.input)?;
    let field = table.field();
    let (_, _permit) = form.begin(false)?;
    let condition = form.precondition();
    form.visit
        .run_heavy(async move |ctx, caller| {
            let rows = Rows::parse(&table.text, &COLUMNS)?;
            let nodes =
                requests::org_nodes(&body_of(&rows)).map_err(|problem| rows.errors_by_line(problem))?;
            let done = org_directory::replace(&ctx, &caller, tenant, nodes, &condition).await;
            done.map(|done| done.value.counts)
                .map_err(|error| rows.errors_by_line(error.into()))
        })
        .await
        .map_err(|problem| TableText::at_own_field(field, problem))
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
}
