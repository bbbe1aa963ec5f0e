//! Streams of the pages that are live: the states of a push, and alarms.

use std::time::Duration;

use actix_web::HttpResponse;

use crate::console::alarms::{self, digest_of};
use crate::console::live::{LiveState, follow};
use crate::console::page_error::PageError;
use crate::console::visit::Visit;
use crate::http::path::{PushPath, TenantPath};
use crate::services::pushes;
use slipway_domain::catalog::ids::TenantId;

/// States of the devices of a push.
struct PushStates(PushPath);

struct TenantAlarms(TenantId);

struct PlatformAlarms;

impl LiveState for PushStates {
    const READ_EVERY: Duration = Duration::from_secs(1);

    async fn read(&self, visit: &Visit) -> Result<String, PageError> {
        let PushPath { tenant_id, push_id } = self.0;
        let found = pushes::get(&visit.ctx, &visit.caller(false), tenant_id, push_id).await?;
        Ok(found.etag())
    }
}

impl LiveState for TenantAlarms {
    const READ_EVERY: Duration = Duration::from_secs(5);

    async fn read(&self, visit: &Visit) -> Result<String, PageError> {
        Ok(digest_of(&alarms::of_tenant(visit, self.0).await?))
    }
}

impl LiveState for PlatformAlarms {
    const READ_EVERY: Duration = Duration::from_secs(5);

    async fn read(&self, visit: &Visit) -> Result<String, PageError> {
        alarms::of_platform(visit).map(|alarms| digest_of(&alarms))
    }
}

pub(in crate::console) async fn of_push(visit: Visit) -> Result<HttpResponse, PageError> {
    let path: PushPath = visit.path()?;
    follow(visit, PushStates(path)).await
}

pub(in crate::console) async fn of_tenant_alarms(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    follow(visit, TenantAlarms(tenant_id)).await
}

pub(in crate::console) async fn of_platform_alarms(visit: Visit) -> Result<HttpResponse, PageError> {
    follow(visit, PlatformAlarms).await
}
