//! Adoption of versions over time: the hourly count, and its history.

pub mod counting;
mod current;
mod tally;

use chrono::{NaiveDate, TimeDelta};

pub use self::current::{CurrentAdoption, current};
use super::{Caller, Context, ServiceError, apps};
use crate::storage::adoption::{self, HistorySelection};
use crate::storage::{Reader, resources};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::adoption::{ResourceDay, ResourceHistory};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::text::{Identifier, PackageName};

/// Part of the history of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only these resources; if empty, the first ones of the app.
    pub identifiers: Vec<Identifier>,
    /// Number of days, today included.
    pub days: u16,
    /// Maximum number of resources.
    pub resources: usize,
    /// Maximum number of versions of a resource that are counted separately.
    pub versions: usize,
}

/// Adoption of the resources of an app over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionHistory {
    pub from: NaiveDate,
    /// Today in UTC.
    pub to: NaiveDate,
    /// The app itself first, then by identifier. Resources without a counted device are absent.
    pub resources: Vec<ResourceHistory>,
    /// `true` if the app has more resources than were asked for.
    pub has_more_resources: bool,
}

/// Resources that a history is about.
struct SelectedResources {
    identifiers: Vec<Identifier>,
    has_more: bool,
}

/// Returns the daily numbers of devices on each version of an app's resources.
pub async fn history(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    query: &HistoryQuery,
) -> Result<AdoptionHistory, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let app = apps::find(ctx.db(), scope, app).await?.value;
    let selected = select_resources(ctx.db(), scope, &app, query).await?;
    let to = ctx.now().date_naive();
    let from = to - TimeDelta::days(i64::from(query.days) - 1);
    let days = HistorySelection {
        app: app.id,
        identifiers: &selected.identifiers,
        from,
        to,
    };
    let days = adoption::list(ctx.db(), scope, days).await?;
    let mut resources: Vec<_> = days
        .chunk_by(|a, b| a.identifier == b.identifier)
        .filter_map(|days| history_of(days, query.versions))
        .collect();
    resources.sort_by_key(|resource| !app.is_itself(&resource.identifier));
    Ok(AdoptionHistory {
        from,
        to,
        resources,
        has_more_resources: selected.has_more,
    })
}

fn history_of(days: &[ResourceDay], versions: usize) -> Option<ResourceHistory> {
    let identifier = days.first()?.identifier.clone();
    let days = days.iter().map(|day| day.adoption.clone()).collect();
    Some(ResourceHistory::of(identifier, days, versions))
}

/// Selects the app itself, which may have no resource of its own yet, and the first of its other resources.
async fn select_resources(
    reader: &impl Reader,
    scope: TenantScope,
    app: &App,
    query: &HistoryQuery,
) -> Result<SelectedResources, ServiceError> {
    if !query.identifiers.is_empty() {
        return Ok(SelectedResources {
            identifiers: query.identifiers.clone(),
            has_more: false,
        });
    }
    // The app itself may be among them, and one more shows that there are more.
    let page = PageRequest::first(query.resources as u64 + 1);
    let page = resources::list(reader, scope, app.id, &page).await?;
    let listed = page.items.into_iter().map(|stored| stored.value.identifier);
    let itself = Identifier::parse(app.package_name.as_str()).ok();
    let mut identifiers: Vec<_> = itself.into_iter().collect();
    identifiers.extend(listed.filter(|identifier| !app.is_itself(identifier)));
    let has_more = identifiers.len() > query.resources;
    identifiers.truncate(query.resources);
    Ok(SelectedResources {
        identifiers,
        has_more,
    })
}
