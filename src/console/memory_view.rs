//! Views of pages from the memory of this node, while the database is unavailable.

use actix_web::HttpRequest;

use super::form_view::FormView;
use super::format::segment;
use super::pages::explain::CHECK;
use super::pages::tenants::TenantRow;
use super::shell::Shell;
use super::visit::tenant_of;
use crate::http::path::{AppPath, DevicePath, FromPath as _};
use crate::http::request::{context, request_id};
use crate::services::memory::{self, Excerpt, SummaryLimits};
use crate::services::{Caller, Context, ServiceError};
use slipway_domain::access::Principal;
use slipway_domain::catalog::ids::TenantId;
use slipway_resolver::{ReleaseSummary, ResourceSummary};

/// Number of tenants and apps on a page.
const SHOWN: usize = 50;
const LIMITS: SummaryLimits = SummaryLimits {
    resources: SHOWN,
    releases: 10,
};

#[derive(Default)]
pub(super) struct MemoryView {
    pub(super) tenants: Vec<TenantRow>,
    pub(super) apps: Vec<AppRow>,
    pub(super) resources: Vec<ResourceRow>,
    /// Number of tenants, apps or resources that are not shown.
    pub(super) left_out: usize,
    /// Form that explains a check of the device that the page is about.
    pub(super) explain: Option<FormView>,
    /// Memory has nothing of the page.
    pub(super) is_absent: bool,
}

pub(super) struct AppRow {
    pub(super) href: String,
    pub(super) package_name: String,
    pub(super) releases: usize,
}

pub(super) struct ResourceRow {
    pub(super) identifier: String,
    pub(super) enabled: bool,
    pub(super) releases: Vec<ReleaseRow>,
    pub(super) left_out: usize,
}

pub(super) struct ReleaseRow {
    pub(super) version_code: i64,
    pub(super) state: &'static str,
    pub(super) state_label: &'static str,
    pub(super) targeting: String,
}

impl MemoryView {
    /// Returns what a person may see; `None` for a page of another tenant.
    pub(super) fn of(request: &HttpRequest, shell: &Shell, principal: Principal) -> Option<Self> {
        let tenant = tenant_of(request, &principal);
        let ctx = context(request);
        let caller = Caller {
            principal,
            request_id: request_id(request),
            address: None,
            is_urgent: false,
        };
        let found = match tenant {
            None => Self::of_platform(&ctx, &caller, shell),
            Some(tenant) => match (AppPath::from_path(request), DevicePath::from_path(request)) {
                (Ok(app), _) => Self::of_app(&ctx, &caller, shell, &app),
                (_, Ok(device)) => Ok(Self::of_device(shell, &device)),
                _ => Self::of_tenant(&ctx, &caller, tenant),
            },
        };
        match found {
            Ok(view) => Some(view),
            Err(ServiceError::NotFound(_)) => Some(Self {
                is_absent: true,
                ..Self::default()
            }),
            Err(_) => None,
        }
    }

    fn of_platform(ctx: &Context, caller: &Caller, shell: &Shell) -> Result<Self, ServiceError> {
        let Excerpt { items, left_out } = memory::list_tenants(ctx, caller, SHOWN)?;
        Ok(Self {
            tenants: items
                .iter()
                .map(|tenant| TenantRow::of(tenant, shell.t))
                .collect(),
            left_out,
            ..Self::default()
        })
    }

    fn of_tenant(ctx: &Context, caller: &Caller, tenant: TenantId) -> Result<Self, ServiceError> {
        let Excerpt { items, left_out } = memory::list_apps(ctx, caller, tenant, SHOWN)?;
        let apps = items.into_iter().map(|app| AppRow {
            href: format!(
                "/console/tenants/{tenant}/apps/{}",
                segment(app.package_name.as_str())
            ),
            package_name: app.package_name.to_string(),
            releases: app.releases,
        });
        Ok(Self {
            apps: apps.collect(),
            left_out,
            ..Self::default()
        })
    }

    fn of_app(ctx: &Context, caller: &Caller, shell: &Shell, path: &AppPath) -> Result<Self, ServiceError> {
        let (tenant, name) = (path.tenant_id, &path.package_name);
        let found = memory::summarize_app(ctx, caller, tenant, name, LIMITS, shell.language)?;
        Ok(Self {
            resources: found
                .items
                .into_iter()
                .map(|resource| ResourceRow::of(shell, resource))
                .collect(),
            left_out: found.left_out,
            ..Self::default()
        })
    }

    /// Memory has no devices, but it has what a check of this one would be answered from.
    fn of_device(shell: &Shell, path: &DevicePath) -> Self {
        let action = format!("/console/tenants/{}/explain#explanation", path.tenant_id);
        let values = vec![("device_id", path.device_id.to_string())];
        Self {
            explain: Some(shell.forms(None).form_of(&CHECK, "", action, values)),
            ..Self::default()
        }
    }
}

impl ResourceRow {
    fn of(shell: &Shell, resource: ResourceSummary) -> Self {
        let releases = resource.releases.into_iter();
        Self {
            identifier: resource.identifier,
            enabled: resource.enabled,
            releases: releases.map(|release| ReleaseRow::of(shell, release)).collect(),
            left_out: resource.left_out,
        }
    }
}

impl ReleaseRow {
    fn of(shell: &Shell, release: ReleaseSummary) -> Self {
        Self {
            version_code: release.version_code.get(),
            state: release.state.name(),
            state_label: shell.t.release_state(release.state.kind()),
            targeting: release.targeting,
        }
    }
}
