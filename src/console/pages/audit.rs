//! Audit log: its filters, and the differences of each change.

use actix_web::HttpResponse;
use askama::Template;
use serde_json::{Map, Value};

use crate::console::filter_errors::FilterErrors;
use crate::console::format::{Moment, segment};
use crate::console::page_error::PageError;
use crate::console::response::html;
use crate::console::shell::Shell;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::problem::Problem;
use crate::http::requests::{self, AuditQuery};
use crate::services::{list_audit, list_platform_audit};
use slipway_domain::access::Action;
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::audit_words::AuditedTargeting;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::page::{Page, PageRequest};

/// Longest value of a change on a page, in characters. The export has all of it.
const MAX_VALUE: usize = 200;
/// Number of events on a page. An event has more text than a row of other lists.
const SHOWN: u64 = 20;

/// Event as pages show it.
pub(super) struct EventRow {
    pub(super) at: Moment,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) object: String,
    pub(super) href: Option<String>,
    pub(super) changes: Vec<ChangeRow>,
}

pub(super) struct ChangeRow {
    pub(super) field: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// Prepares events for a page. `base` is the address of the tenant, or of the platform.
pub(super) fn rows_of(shell: &Shell, base: &str, events: Vec<AuditEvent>) -> Vec<EventRow> {
    events
        .into_iter()
        .map(|event| EventRow::of(shell, base, event))
        .collect()
}

impl EventRow {
    fn of(shell: &Shell, base: &str, event: AuditEvent) -> Self {
        let targeting = event.targeting_in_words(shell.language);
        let (before, after) = (object_of(event.before), object_of(event.after));
        let href = href(base, &event.object_type, &event.object_id, &after, &before);
        Self {
            at: Moment(event.at),
            actor: event.actor_name,
            action: event.action,
            object: object_name(&event.object_type, &event.object_id, &after, &before),
            href,
            changes: targeting_change(shell, targeting)
                .into_iter()
                .chain(changes(&before, &after))
                .collect(),
        }
    }
}

fn object_of(text: Option<JsonText>) -> Map<String, Value> {
    let parsed = text.and_then(|text| serde_json::from_str(text.as_str()).ok());
    match parsed {
        Some(Value::Object(object)) => object,
        Some(other) => Map::from_iter([("value".to_owned(), other)]),
        None => Map::new(),
    }
}

/// Names an object by what people call it, where its id says nothing.
fn object_name(kind: &str, id: &str, after: &Map<String, Value>, before: &Map<String, Value>) -> String {
    let member = |name: &str| {
        after
            .get(name)
            .or_else(|| before.get(name))
            .and_then(Value::as_str)
    };
    match kind {
        "release" => match (member("identifier"), member("version_name")) {
            (Some(identifier), Some(version)) => format!("{identifier} {version}"),
            _ => id.to_owned(),
        },
        "user" => member("username").unwrap_or(id).to_owned(),
        "api_token" | "device_key" | "app_key" => member("name").unwrap_or(id).to_owned(),
        "pin" => member("identifier").unwrap_or(id).to_owned(),
        _ => id.to_owned(),
    }
}

fn href(
    base: &str,
    kind: &str,
    id: &str,
    after: &Map<String, Value>,
    before: &Map<String, Value>,
) -> Option<String> {
    let package_name = || {
        after
            .get("package_name")
            .or_else(|| before.get("package_name"))?
            .as_str()
    };
    match kind {
        "app" => Some(format!("{base}/apps/{}", segment(id))),
        "release" => Some(format!(
            "{base}/apps/{}/releases/{}",
            segment(package_name()?),
            segment(id)
        )),
        "push" => Some(format!("{base}/pushes/{}", segment(id))),
        "tenant" => Some(format!("/console/tenants/{}", segment(id))),
        _ => None,
    }
}

/// Returns the change of a release's targeting in words.
fn targeting_change(shell: &Shell, targeting: AuditedTargeting) -> Option<ChangeRow> {
    let AuditedTargeting { before, after } = targeting;
    let text = |state: Option<String>| state.as_deref().map_or_else(|| "—".to_owned(), shortened);
    (before != after).then(|| ChangeRow {
        field: shell.t.targeting.to_owned(),
        before: text(before),
        after: text(after),
    })
}

/// Returns the members that differ. Of an object that was created or deleted, those with a value.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<ChangeRow> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let text = |object: &Map<String, Value>, name: &str| match object.get(name) {
        None | Some(Value::Null) => "—".to_owned(),
        Some(Value::String(text)) => shortened(text),
        Some(other) => shortened(&other.to_string()),
    };
    names
        .into_iter()
        .filter(|name| !is_blank(before.get(*name)) || !is_blank(after.get(*name)))
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| ChangeRow {
            field: name.clone(),
            before: text(before, name),
            after: text(after, name),
        })
        .collect()
}

/// Returns `true` for what most objects have: nothing, or a switch that is off.
fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(_) => false,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    s: &'a Shell,
    filter: FilterInput,
    errors: FilterErrors,
    /// Query of the filter, for the exports.
    query: String,
    base: String,
    events: Vec<EventRow>,
    next: Option<String>,
}

/// Filter as the person wrote it.
pub(super) struct FilterInput {
    actor_name: String,
    action: String,
    object_type: String,
    object_id: String,
    from: String,
    until: String,
}

impl FilterInput {
    pub(super) fn of(visit: &Visit) -> Self {
        let text = |name: &str| visit.param(name).unwrap_or_default();
        Self {
            actor_name: text("actor_name"),
            action: text("action"),
            object_type: text("object_type"),
            object_id: text("object_id"),
            from: text("from"),
            until: text("until"),
        }
    }

    fn query(&self) -> String {
        let pairs = [
            ("actor_name", &self.actor_name),
            ("action", &self.action),
            ("object_type", &self.object_type),
            ("object_id", &self.object_id),
            ("from", &self.from),
            ("until", &self.until),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }

    pub(super) fn read(&self) -> Result<AuditFilter, Problem> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        requests::audit_filter(AuditQuery {
            actor_name: given(&self.actor_name),
            action: given(&self.action),
            object_type: given(&self.object_type),
            object_id: given(&self.object_id),
            from: given(&self.from).map(day),
            until: given(&self.until).map(day),
            ..AuditQuery::default()
        })
    }
}

/// Completes a day to a time.
fn day(text: String) -> String {
    if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text
    }
}

fn first_events(visit: &Visit) -> Result<PageRequest, Problem> {
    Ok(PageRequest {
        limit: SHOWN,
        ..visit.page()?
    })
}

pub(in crate::console) async fn of_tenant(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let (filter, errors) = FilterErrors::split(visit.texts(), FilterInput::of(&visit).read())?;
    let found = if let Some(filter) = filter {
        let page = first_events(&visit)?;
        visit
            .run_heavy(async move |ctx, caller| {
                Ok(list_audit(&ctx, &caller, tenant_id, &filter, &page).await?)
            })
            .await?
    } else {
        visit.require(Action::ReadAudit)?;
        visit.require_tenant(tenant_id)?;
        Page::empty()
    };
    render(&visit, format!("/console/tenants/{tenant_id}"), found, errors)
}

pub(in crate::console) async fn of_platform(visit: Visit) -> Result<HttpResponse, PageError> {
    let (filter, errors) = FilterErrors::split(visit.texts(), FilterInput::of(&visit).read())?;
    let found = if let Some(filter) = filter {
        let page = first_events(&visit)?;
        list_platform_audit(&visit.ctx, &visit.caller(false), &filter, &page).await?
    } else {
        visit.require(Action::ManagePlatform)?;
        Page::empty()
    };
    render(&visit, "/console".to_owned(), found, errors)
}

fn render(
    visit: &Visit,
    base: String,
    found: Page<AuditEvent>,
    errors: FilterErrors,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(visit, visit.texts().audit);
    let (filter, status) = (FilterInput::of(visit), errors.status());
    let page = AuditPage {
        events: rows_of(&shell, &base, found.items),
        next: visit.next_page(visit.request.path(), found.next),
        query: filter.query(),
        filter,
        errors,
        base,
        s: &shell,
    };
    html(status, &page)
}
