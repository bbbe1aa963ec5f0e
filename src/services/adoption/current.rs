//! Numbers of devices on each version of resources, as a page shows them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::services::{Caller, Context, ServiceError, apps};
use crate::storage::adoption::{self, HistorySelection};
use crate::storage::{adoption_counting, device_installs};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::adoption::{AdoptionCounts, SEEN_WITHIN_DAYS, VersionDevices, counted_since};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::install::InstallFilter;
use slipway_domain::catalog::text::{Identifier, PackageName};

/// Numbers of devices by resource. Resources without devices are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentAdoption {
    pub resources: BTreeMap<Identifier, AdoptionCounts>,
    /// Time of the hourly count that the numbers come from; `None` if they were counted now.
    pub counted_at: Option<DateTime<Utc>>,
}

/// Returns the numbers of devices on each version of these resources of an app.
///
/// Few installs are counted now. Of many, the last hourly count is returned, so that the cost does not grow with devices.
pub async fn current(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    identifiers: &[Identifier],
) -> Result<CurrentAdoption, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let app = apps::find(ctx.db(), scope, app).await?.value;
    let filter = InstallFilter {
        package_name: &app.package_name,
        identifier: match identifiers {
            [only] => Some(only),
            _ => None,
        },
        version_code: None,
    };
    if device_installs::are_few(ctx.db(), scope, &filter).await? {
        count_now(ctx, scope, &filter).await
    } else {
        find_last_count(ctx, scope, &app, identifiers).await
    }
}

async fn count_now(
    ctx: &Context,
    scope: TenantScope,
    filter: &InstallFilter<'_>,
) -> Result<CurrentAdoption, ServiceError> {
    let since = counted_since(ctx.now(), SEEN_WITHIN_DAYS);
    let (name, identifier) = (filter.package_name, filter.identifier);
    let mut versions = BTreeMap::<Identifier, Vec<VersionDevices>>::new();
    for count in device_installs::count_versions(ctx.db(), scope, name, identifier, since).await? {
        versions
            .entry(count.identifier)
            .or_default()
            .push(VersionDevices {
                version_code: count.version_code,
                devices: count.devices,
            });
    }
    let of_resource = |(identifier, versions)| (identifier, AdoptionCounts { versions, others: 0 });
    Ok(CurrentAdoption {
        resources: versions.into_iter().map(of_resource).collect(),
        counted_at: None,
    })
}

async fn find_last_count(
    ctx: &Context,
    scope: TenantScope,
    app: &App,
    identifiers: &[Identifier],
) -> Result<CurrentAdoption, ServiceError> {
    let reader = ctx.db().begin_read().await?;
    let Some(counted_at) = adoption_counting::find_last(&reader, scope).await? else {
        return Ok(CurrentAdoption::default());
    };
    let day = counted_at.date_naive();
    let selection = HistorySelection {
        app: app.id,
        identifiers,
        from: day,
        to: day,
    };
    let days = adoption::list(&reader, scope, selection).await?.into_iter();
    Ok(CurrentAdoption {
        resources: days.map(|day| (day.identifier, day.adoption.counts)).collect(),
        counted_at: Some(counted_at),
    })
}
