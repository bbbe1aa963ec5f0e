//! Handlers for apps.

use actix_web::{HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::{Json, PrioritizedJson, RequestPriority};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{AppPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::respond;
use crate::services::RequiredPermission;
use crate::services::apps::{self, AppChanges, NewApp};
use slipway_domain::access::Action;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::text::{Name, PackageName, Url};
use slipway_domain::catalog::versioned::Versioned;

request! {
    pub(super) struct CreateAppRequest {
        /// Package name, which never changes. To rename an app, create a new app and list this name in its
        /// `old_package_names`.
        #[schema(example = "com.hema.wms", pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
        package_name: Required<String>,
        #[schema(min_length = 1, max_length = 128, example = "Hema WMS")]
        app_name: Required<String>,
        /// Former package names, which older installs still send.
        #[schema(max_items = 100)]
        old_package_names: Optional<Vec<String>>,
        #[schema(max_length = 2048, pattern = r"^([A-Za-z][A-Za-z0-9+.-]*:\S+)?$")]
        icon_url: Nullable<String>,
    }
}

request! {
    pub(super) struct UpdateAppRequest {
        #[schema(min_length = 1, max_length = 128)]
        app_name: Optional<String>,
        #[schema(max_items = 100)]
        old_package_names: Optional<Vec<String>>,
        /// Icon address; null removes it.
        #[schema(max_length = 2048, pattern = r"^([A-Za-z][A-Za-z0-9+.-]*:\S+)?$")]
        icon_url: Nullable<String>,
        /// Off switch: `false` stops all offers of the app.
        enabled: Optional<bool>,
    }
}

#[derive(Serialize, ToSchema)]
struct AppResponse {
    #[schema(format = "uuid")]
    id: String,
    package_name: String,
    app_name: String,
    old_package_names: Vec<String>,
    icon_url: Option<String>,
    enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Versioned<App>> for AppResponse {
    fn from(stored: &Versioned<App>) -> Self {
        let app = &stored.value;
        Self {
            id: app.id.to_string(),
            package_name: app.package_name.to_string(),
            app_name: app.app_name.to_string(),
            old_package_names: app.old_package_names.iter().map(ToString::to_string).collect(),
            icon_url: app.icon_url.as_ref().map(ToString::to_string),
            enabled: app.enabled,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// Reads a URL; an empty text means that it is absent.
pub(super) fn read_optional_url(text: String) -> Result<Option<Url>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    Url::parse(text).map(Some)
}

impl CreateAppRequest {
    pub(super) fn read(self) -> Result<NewApp, Problem> {
        let mut fields = FieldReader::default();
        let package_name = fields.required("package_name", self.package_name, PackageName::parse);
        let app_name = fields.required("app_name", self.app_name, Name::parse);
        let old_names = fields.list("old_package_names", self.old_package_names, PackageName::parse);
        let icon_url = fields.optional("icon_url", self.icon_url, read_optional_url);
        let new = package_name.zip(app_name).map(|(package_name, app_name)| NewApp {
            package_name,
            app_name,
            old_package_names: old_names.unwrap_or_default(),
            icon_url: icon_url.flatten(),
        });
        fields.complete(new)
    }
}

impl UpdateAppRequest {
    pub(super) fn read(self) -> Result<AppChanges, Problem> {
        let mut fields = FieldReader::for_update();
        let changes = AppChanges {
            app_name: fields.optional_non_null("app_name", self.app_name, Name::parse),
            old_package_names: fields.list("old_package_names", self.old_package_names, PackageName::parse),
            icon_url: fields.clearable("icon_url", self.icon_url, read_optional_url),
            enabled: fields.optional_non_null("enabled", self.enabled, Ok),
        };
        fields.finish()?;
        Ok(changes)
    }
}

/// Create an app
///
/// The package name identifies the app to its devices and never changes.
#[utoipa::path(tag = "apps", operation_id = "create_app", params(TenantPath, IdempotencyKey), request_body = CreateAppRequest,
    responses((status = 201, description = "Created", body = AppResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/apps")]
pub(super) async fn create_app(
    mut call: Call<TenantPath, Json<CreateAppRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = call.body.take().read()?;
    let tenant = call.path.tenant_id;
    let render = respond::created_versioned::<AppResponse, _>;
    let permission = RequiredPermission::in_tenant(tenant, Action::WriteApps);
    respond::create(&call, permission, render, async |reservation| {
        apps::create(&call.ctx, &call.caller, tenant, new, reservation.once(render)).await
    })
    .await
}

/// List apps
///
/// Returns the apps of the tenant by package name.
#[utoipa::path(tag = "apps", operation_id = "list_apps", params(TenantPath, PageQuery),
    responses((status = 200, description = "Apps by package name", body = PageResponse<AppResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/apps")]
pub(super) async fn list_apps(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = apps::list(&call.ctx, &call.caller, call.path.tenant_id, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| AppResponse::from(&stored))))
}

/// Get an app
///
/// Returns the app with its former package names.
#[utoipa::path(tag = "apps", operation_id = "get_app", params(AppPath),
    responses((status = 200, description = "The app", body = AppResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}")]
pub(super) async fn get_app(call: Call<AppPath>) -> Result<HttpResponse, Problem> {
    let path = &call.path;
    let stored = apps::get(&call.ctx, &call.caller, path.tenant_id, &path.package_name).await?;
    Ok(respond::respond_versioned::<AppResponse, _>(&stored))
}

impl RequestPriority for UpdateAppRequest {
    fn is_urgent(&self) -> bool {
        self.enabled.value() == Some(&false)
    }
}

/// Update an app
///
/// Absent fields keep their values. `"enabled": false` stops all offers of the app immediately.
#[utoipa::path(tag = "apps", operation_id = "update_app", params(AppPath, IfMatch), request_body = UpdateAppRequest,
    responses((status = 200, description = "Updated", body = AppResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/apps/{package_name}")]
pub(super) async fn update_app(
    mut call: Call<AppPath, PrioritizedJson<UpdateAppRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = call.body.take().read()?;
    let precondition = call.precondition()?;
    let path = &call.path;
    let done = apps::update(
        &call.ctx,
        &call.caller,
        path.tenant_id,
        &path.package_name,
        changes,
        &precondition,
    )
    .await?;
    Ok(respond::respond_written_versioned::<AppResponse, _>(&done))
}

/// Delete an app
///
/// Deletes the app and everything that belongs to it, except its audit events. Refused while the app has published or
/// paused releases.
#[utoipa::path(tag = "apps", operation_id = "delete_app", params(AppPath, IfMatch),
    responses((status = 204, description = "Deleted; its names can be used again"), WriteProblems))]
#[delete("/tenants/{tenant_id}/apps/{package_name}")]
pub(super) async fn delete_app(call: Call<AppPath>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let AppPath {
        tenant_id,
        package_name,
    } = &call.path;
    let done = apps::delete(&call.ctx, &call.caller, *tenant_id, package_name, &precondition).await?;
    Ok(respond::respond_deleted(done.revision.as_ref()))
}
