//! Downloads of the audit log: CSV, and JSON lines as the admin API lists the events.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use chrono::SecondsFormat;
use futures_util::stream::unfold;

use super::audit::FilterInput;
use crate::console::page_error::PageError;
use crate::console::table::Table;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::requests;
use crate::services::{list_audit, list_platform_audit};
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::page::PageRequest;

/// Number of events that an export reads at once.
const EXPORT_PAGE: u64 = 200;

/// Format of an export.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Export {
    Csv,
    JsonLines,
}

pub(in crate::console) async fn tenant_csv(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    export(visit, Some(tenant_id), Export::Csv).await
}

pub(in crate::console) async fn tenant_json_lines(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    export(visit, Some(tenant_id), Export::JsonLines).await
}

pub(in crate::console) async fn platform_csv(visit: Visit) -> Result<HttpResponse, PageError> {
    export(visit, None, Export::Csv).await
}

pub(in crate::console) async fn platform_json_lines(visit: Visit) -> Result<HttpResponse, PageError> {
    export(visit, None, Export::JsonLines).await
}

/// Position of an export between two pages.
struct ExportState {
    visit: Visit,
    tenant: Option<TenantId>,
    filter: AuditFilter,
    format: Export,
    /// `None` once the last page was sent.
    next: Option<PageRequest>,
    is_first: bool,
}

/// Streams all events that match, page by page. Each page is authorized anew. A failure ends the download early, which
/// the browser reports.
async fn export(visit: Visit, tenant: Option<TenantId>, format: Export) -> Result<HttpResponse, PageError> {
    let filter = FilterInput::of(&visit).read()?;
    let mut state = ExportState {
        visit,
        tenant,
        filter,
        format,
        next: Some(PageRequest {
            limit: EXPORT_PAGE,
            after: None,
        }),
        is_first: true,
    };
    // A refusal is a page, not a broken download.
    let first = state.read_page().await?;
    let mut response = HttpResponse::Ok();
    let (kind, name) = match format {
        Export::Csv => ("text/csv; charset=utf-8", "audit.csv"),
        Export::JsonLines => ("application/x-ndjson; charset=utf-8", "audit.jsonl"),
    };
    response
        .content_type(kind)
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    let rest = unfold((first, state), async |(chunk, mut state)| match chunk {
        Some(chunk) => Some((Ok(chunk), (None, state))),
        None => match state.read_page().await {
            Ok(Some(chunk)) => Some((Ok(chunk), (None, state))),
            Ok(None) => None,
            Err(error) => Some((Err(error), (None, state))),
        },
    });
    Ok(response.streaming(rest))
}

impl ExportState {
    async fn read_page(&mut self) -> Result<Option<Bytes>, PageError> {
        let Some(page) = self.next.take() else {
            return Ok(None);
        };
        self.visit = Visit::authenticate(self.visit.request.clone()).await?;
        let (ctx, caller) = (&self.visit.ctx, self.visit.caller(false));
        let found = match self.tenant {
            Some(tenant) => list_audit(ctx, &caller, tenant, &self.filter, &page).await,
            None => list_platform_audit(ctx, &caller, &self.filter, &page).await,
        };
        let found = found?;
        self.next = found.next.map(|after| PageRequest {
            after: Some(after),
            ..page
        });
        let text = match self.format {
            Export::Csv => csv_of(&found.items, std::mem::take(&mut self.is_first))?,
            Export::JsonLines => json_lines_of(&found.items),
        };
        Ok(Some(text.into()))
    }
}

fn csv_of(events: &[AuditEvent], has_head: bool) -> Result<Vec<u8>, PageError> {
    let mut table = Table::default();
    if has_head {
        table.row(&[
            "at",
            "actor",
            "actor_name",
            "action",
            "object_type",
            "object_id",
            "before",
            "after",
            "targeting_before",
            "targeting_after",
            "request_id",
        ])?;
    }
    let json = |text: &Option<JsonText>| {
        text.as_ref()
            .map(|text| text.as_str().to_owned())
            .unwrap_or_default()
    };
    for event in events {
        let targeting = event.targeting_in_words(Language::English);
        table.row(&[
            &event.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            &event.actor_key,
            &event.actor_name,
            &event.action,
            &event.object_type,
            &event.object_id,
            &json(&event.before),
            &json(&event.after),
            &targeting.before.unwrap_or_default(),
            &targeting.after.unwrap_or_default(),
            event.request_id.as_deref().unwrap_or_default(),
        ])?;
    }
    table.finish()
}

/// Writes each event as the admin API lists it.
fn json_lines_of(events: &[AuditEvent]) -> Vec<u8> {
    let mut lines = Vec::new();
    for event in events {
        lines.extend_from_slice(requests::audit_event(event.clone()).as_str().as_bytes());
        lines.push(b'\n');
    }
    lines
}
