//! Typed ids in paths. An invalid id is answered with 404.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use crate::services::ReleaseAddress;
use slipway_domain::catalog::ids::{KeyId, PinId, PushId, ReleaseId, TenantId, UserId};
use slipway_domain::catalog::text::{DeviceId, Identifier, PackageName, Sha256};

/// Type that a handler reads from the path.
pub(super) trait FromPath: Sized {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem>;
}

impl FromPath for () {
    fn from_path(_: &HttpRequest) -> Result<Self, Problem> {
        Ok(())
    }
}

macro_rules! paths {
    ($($name:ident { $($field:ident: $kind:ty = $parse:expr),* $(,)? })*) => {$(
        #[derive(Debug, Clone, utoipa::IntoParams)]
        #[into_params(parameter_in = Path)]
        pub(super) struct $name {
            $(
                #[param(value_type = String)]
                pub(super) $field: $kind,
            )*
        }

        impl FromPath for $name {
            fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
                let segment = |name: &str| request.match_info().get(name).map(str::to_owned);
                $(
                    let parse: fn(String) -> Option<$kind> = $parse;
                    let $field = segment(stringify!($field)).and_then(parse).ok_or_else(Problem::not_found)?;
                )*
                Ok(Self { $($field),* })
            }
        }
    )*};
}

fn tenant(text: String) -> Option<TenantId> {
    // Only the canonical spelling: a number with a sign or leading zeros is a different path.
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then(|| TenantId::parse(number).ok())?
}

fn digest(text: String) -> Option<Sha256> {
    // Only the canonical spelling, in lower case.
    Sha256::parse(&text).ok().filter(|digest| digest.as_str() == text)
}

fn package(text: String) -> Option<PackageName> {
    PackageName::parse(text).ok()
}

/// Decodes a device id. The router does not decode `%25`, `%2B` and `%2F`, so that a slash in an id does not split the
/// path.
fn device(text: String) -> Option<DeviceId> {
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    DeviceId::parse(text).ok()
}

impl ReleasePath {
    pub(super) fn address(&self) -> ReleaseAddress<'_> {
        ReleaseAddress {
            tenant: self.tenant_id,
            app: &self.package_name,
            id: self.release_id,
        }
    }
}

paths! {
    TenantPath { tenant_id: TenantId = tenant }
    AdministratorPath { id: UserId = |text| text.parse().ok() }
    PlatformTokenPath { id: KeyId = |text| text.parse().ok() }
    UserPath { tenant_id: TenantId = tenant, id: UserId = |text| text.parse().ok() }
    KeyPath { tenant_id: TenantId = tenant, id: KeyId = |text| text.parse().ok() }
    AppPath { tenant_id: TenantId = tenant, package_name: PackageName = package }
    ResourcePath {
        tenant_id: TenantId = tenant,
        package_name: PackageName = package,
        identifier: Identifier = |text| Identifier::parse(text).ok(),
    }
    ReleasePath {
        tenant_id: TenantId = tenant,
        package_name: PackageName = package,
        release_id: ReleaseId = |text| text.parse().ok(),
    }
    DevicePath { tenant_id: TenantId = tenant, device_id: DeviceId = device }
    OwnDevicePath { device_id: DeviceId = device }
    OwnPushPath { device_id: DeviceId = device, push_id: PushId = |text| text.parse().ok() }
    PushPath { tenant_id: TenantId = tenant, push_id: PushId = |text| text.parse().ok() }
    ArtifactPath { tenant_id: TenantId = tenant, sha256: Sha256 = digest }
    PinPath { tenant_id: TenantId = tenant, pin_id: PinId = |text| text.parse().ok() }
}
