//! Parsers of the admin API's bodies, for the forms of the console. A form is turned into the body that the API accepts, so
//! both accept the same values and report the same errors.
//!
//! A parser of a request that may be urgent also returns its urgency.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::apps::{CreateAppRequest, UpdateAppRequest};
pub(crate) use super::artifacts::ArtifactsQuery;
use super::artifacts::{Filters as ArtifactFilters, UpdateArtifactRequest};
use super::audit::AuditEventResponse;
pub(crate) use super::audit::AuditQuery;
use super::credentials;
use super::credentials::api_tokens::CreateApiTokenRequest;
use super::credentials::app_keys::CreateAppKeyRequest;
use super::credentials::device_keys::CreateDeviceKeyRequest;
use super::credentials::platform_tokens::CreatePlatformTokenRequest;
use super::device_fields::ImportDevicesRequest;
pub(crate) use super::devices::DevicesQuery;
pub(crate) use super::devices::Filters;
use super::devices::etag_of;
use super::explain::ExplainRequest;
use super::me::ChangePasswordRequest;
use super::org_directory::{ReplaceOrgDirectoryRequest, read_nodes};
use super::people;
use super::people::administrators::{CreateAdministratorRequest, UpdateAdministratorRequest};
use super::people::users::{CreateUserRequest, UpdateUserRequest};
pub(crate) use super::pins::PinsQuery;
use super::pins::{PutPinRequest, read_selection};
use super::publish_releases::PublishReleaseRequest;
use super::push_fields::{CreatePushRequest, explain as explain_refusal};
use super::release_fields::{CreateReleaseRequest, RolloutFields, UpdateReleaseRequest};
use super::release_transitions::RecallReleaseRequest;
use super::resources::UpdateResourceRequest;
use super::tenants::{CreateTenantRequest, UpdateTenantRequest};
use crate::http::body::{RequestPriority, parse_json};
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::{NATIVE_JSON, OFFER_ENCODERS};
use crate::services::apps::{AppChanges, NewApp};
use crate::services::credentials::NewCredential;
use crate::services::devices::DeviceWithInstalls;
use crate::services::explain::{CatalogSource, Explanation};
use crate::services::offer_preview::{self, OfferPreview, OfferWriter, PreviewRequest};
use crate::services::pins::{NewPin, PinSelection};
use crate::services::pushes::PushRefusal;
use crate::services::release_transitions::TransitionRequest;
use crate::services::releases::NewRelease;
use crate::services::resources::ResourceChanges;
use crate::services::tenants::TenantChanges;
use crate::services::users::{NewUser, UserChanges};
use crate::services::{Caller, Context, ServiceError};
use slipway_domain::access::{AppKeyRole, Role};
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::device::Device;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::org::OrgNode;
use slipway_domain::catalog::push::{PushRequest, PushTarget};
use slipway_domain::catalog::release_content::ReleaseChanges;
use slipway_domain::catalog::rollout::RolloutChanges;
use slipway_domain::catalog::text::{DeviceId, Name};

/// Request with its urgency: `true` if it stops offers or revokes a credential.
pub(crate) type Prioritized<T> = (T, bool);

fn parse<T: DeserializeOwned>(body: &Value) -> Result<T, Problem> {
    parse_json(body.to_string().as_bytes())
}

fn parse_prioritized<T: DeserializeOwned + RequestPriority>(body: &Value) -> Result<Prioritized<T>, Problem> {
    let request: T = parse(body)?;
    let is_urgent = request.is_urgent();
    Ok((request, is_urgent))
}

pub(crate) fn tenant(body: &Value) -> Result<(TenantId, Name), Problem> {
    parse::<CreateTenantRequest>(body)?.read()
}

pub(crate) fn tenant_changes(body: &Value) -> Result<Prioritized<TenantChanges>, Problem> {
    let (request, is_urgent) = parse_prioritized::<UpdateTenantRequest>(body)?;
    Ok((request.read()?, is_urgent))
}

pub(crate) fn app(body: &Value) -> Result<NewApp, Problem> {
    parse::<CreateAppRequest>(body)?.read()
}

pub(crate) fn app_changes(body: &Value) -> Result<Prioritized<AppChanges>, Problem> {
    let (request, is_urgent) = parse_prioritized::<UpdateAppRequest>(body)?;
    Ok((request.read()?, is_urgent))
}

pub(crate) fn resource_changes(body: &Value) -> Result<Prioritized<ResourceChanges>, Problem> {
    let (request, is_urgent) = parse_prioritized::<UpdateResourceRequest>(body)?;
    Ok((request.read()?, is_urgent))
}

/// Parses a new release of the console, which has no place for a list of ignored fields: a stored release of the
/// version must have this content.
pub(crate) fn release(body: &Value) -> Result<NewRelease, Problem> {
    let new = super::releases::read_new(parse::<CreateReleaseRequest>(body)?)?;
    Ok(NewRelease {
        must_match: true,
        ..new
    })
}

/// Encoding of an offer in a preview: that of the device API.
const NATIVE: OfferWriter = OfferWriter {
    encoders: OFFER_ENCODERS,
    write: |offer, out| NATIVE_JSON.write(offer, out),
};

/// Previews the offer of a release, given as the body of its creation.
pub(crate) async fn preview_offer(
    ctx: &Context,
    caller: &Caller,
    path: &AppPath,
    body: &Value,
    device: Option<DeviceId>,
    language: Language,
) -> Result<OfferPreview, Problem> {
    let request = PreviewRequest {
        new: release(body)?,
        device,
        language,
    };
    let (tenant, app) = (path.tenant_id, &path.package_name);
    Ok(offer_preview::preview_offer(ctx, caller, tenant, app, &request, &NATIVE).await?)
}

pub(crate) fn release_changes(body: &Value) -> Result<ReleaseChanges, Problem> {
    super::releases::read_changes(parse::<UpdateReleaseRequest>(body)?)
}

pub(crate) fn rollout(body: &Value) -> Result<Prioritized<RolloutChanges>, Problem> {
    let (request, is_urgent) = parse_prioritized::<RolloutFields>(body)?;
    Ok((super::releases::read_rollout(request)?, is_urgent))
}

pub(crate) fn publish(body: &Value) -> Result<TransitionRequest, Problem> {
    parse::<PublishReleaseRequest>(body)?.read()
}

pub(crate) fn recall(body: &Value) -> Result<TransitionRequest, Problem> {
    parse::<RecallReleaseRequest>(body)?.read()
}

pub(crate) fn pin(body: &Value) -> Result<Prioritized<NewPin>, Problem> {
    let (request, is_urgent) = parse_prioritized::<PutPinRequest>(body)?;
    Ok((super::pins::read_new(request)?, is_urgent))
}

pub(crate) fn org_nodes(body: &Value) -> Result<Vec<OrgNode>, Problem> {
    read_nodes(parse::<ReplaceOrgDirectoryRequest>(body)?.nodes)
}

pub(crate) fn devices(body: &Value) -> Result<Vec<Device>, Problem> {
    parse::<ImportDevicesRequest>(body)?.read()
}

/// Parses a push. The targets are returned as listed too, for [`push_refusal`].
pub(crate) fn push(body: &Value) -> Result<(PushRequest, Vec<PushTarget>), Problem> {
    let parsed = parse::<CreatePushRequest>(body)?.read()?;
    Ok((parsed.request, parsed.listed))
}

/// Converts the refusal of a push into an error that names its fields.
pub(crate) fn push_refusal(refusal: PushRefusal, listed: &[PushTarget]) -> ServiceError {
    explain_refusal(refusal, listed)
}

pub(crate) fn user(body: &Value) -> Result<NewUser, Problem> {
    people::read_new(parse::<CreateUserRequest>(body)?)
}

pub(crate) fn administrator(body: &Value) -> Result<NewUser, Problem> {
    people::read_new(parse::<CreateAdministratorRequest>(body)?)
}

pub(crate) fn user_changes(body: &Value) -> Result<Prioritized<UserChanges>, Problem> {
    let (request, is_urgent) = parse_prioritized::<UpdateUserRequest>(body)?;
    Ok((people::read_changes(request)?, is_urgent))
}

pub(crate) fn administrator_changes(body: &Value) -> Result<Prioritized<UserChanges>, Problem> {
    let (request, is_urgent) = parse_prioritized::<UpdateAdministratorRequest>(body)?;
    Ok((people::read_changes(request)?, is_urgent))
}

pub(crate) fn api_token(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<Role>, Problem> {
    credentials::read_new(parse::<CreateApiTokenRequest>(body)?, now)
}

pub(crate) fn platform_token(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<()>, Problem> {
    credentials::read_new(parse::<CreatePlatformTokenRequest>(body)?, now)
}

pub(crate) fn app_key(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<AppKeyRole>, Problem> {
    credentials::read_new(parse::<CreateAppKeyRequest>(body)?, now)
}

pub(crate) fn device_key(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<()>, Problem> {
    credentials::read_new(parse::<CreateDeviceKeyRequest>(body)?, now)
}

/// Returns the current and the new password.
pub(crate) fn password_change(body: &Value) -> Result<(String, String), Problem> {
    parse::<ChangePasswordRequest>(body)?.read()
}

/// Explains a check, given as the text of a JSON body.
pub(crate) async fn explain(
    ctx: &Context,
    caller: &Caller,
    path: &AppPath,
    body: &str,
    source: CatalogSource,
    language: Language,
) -> Result<Explanation, Problem> {
    let request: ExplainRequest = parse_json(body.as_bytes())?;
    request.explain(ctx, caller, path, source, language).await
}

/// Parses the filter of an audit log.
pub(crate) fn audit_filter(query: AuditQuery) -> Result<AuditFilter, Problem> {
    query.read_filter()
}

/// Returns an audit event as the API lists it.
pub(crate) fn audit_event(event: AuditEvent) -> JsonText {
    JsonText::of(&AuditEventResponse::from(event))
}

/// Parses the filters of a list of artifacts.
pub(crate) fn artifact_filters(query: ArtifactsQuery) -> Result<ArtifactFilters, Problem> {
    ArtifactFilters::read(query)
}

/// Returns the exemption of an artifact from the deletion of unused ones, if it is given.
pub(crate) fn artifact_keep(body: &Value) -> Result<Option<bool>, Problem> {
    parse::<UpdateArtifactRequest>(body)?.read()
}

/// Parses the filters of a list of pins.
pub(crate) fn pin_selection(query: PinsQuery) -> Result<PinSelection, Problem> {
    read_selection(query)
}

/// Parses the filters of a device list.
pub(crate) fn device_filters(query: DevicesQuery) -> Result<Filters, Problem> {
    Filters::read(query)
}

/// Returns the entity tag of a device.
pub(crate) fn device_etag(found: &DeviceWithInstalls) -> String {
    etag_of(found)
}
