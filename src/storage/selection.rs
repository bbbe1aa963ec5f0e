//! Rows of several tenants or apps at once, for internal loads without a caller.

use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, Condition};

use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::AppId;

/// Values grouped by tenant number.
pub(super) type ByTenant<T> = HashMap<i64, Vec<T>>;

/// Values grouped by app.
pub(super) type ByApp<T> = HashMap<AppId, Vec<T>>;

/// Apps that a load reads.
#[derive(Debug, Clone, Copy)]
pub enum AppSelection<'a> {
    /// Every app of these tenants.
    OfTenants(&'a [TenantScope]),
    /// Some apps of one tenant.
    Some(TenantScope, &'a [AppId]),
}

impl AppSelection<'_> {
    pub(super) fn condition(&self, tenant: impl ColumnTrait, app: impl ColumnTrait) -> Condition {
        match self {
            Self::OfTenants(scopes) => Condition::all().add(tenant.is_in(numbers(scopes))),
            Self::Some(scope, apps) => Condition::all()
                .add(tenant.eq(scope.tenant().get()))
                .add(app.is_in(apps.iter().map(|app| app.uuid()))),
        }
    }
}

pub(super) fn numbers(scopes: &[TenantScope]) -> impl Iterator<Item = i64> + '_ {
    scopes.iter().map(|scope| scope.tenant().get())
}

pub(super) fn by_tenant<T>(rows: impl IntoIterator<Item = (i64, T)>) -> ByTenant<T> {
    let mut grouped = ByTenant::new();
    for (tenant, value) in rows {
        grouped.entry(tenant).or_default().push(value);
    }
    grouped
}

pub(super) fn by_app<T>(rows: impl IntoIterator<Item = (Uuid, T)>) -> ByApp<T> {
    let mut grouped = ByApp::new();
    for (app, value) in rows {
        grouped.entry(AppId::from_uuid(app)).or_default().push(value);
    }
    grouped
}
