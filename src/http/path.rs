//! Typed ids in paths. An invalid id is answered with 404.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::problem::Problem;
use crate::services::ReleaseAddress;
use slipway_domain::catalog::ids::{KeyId, PinId, PushId, ReleaseId, TenantId, UserId};
use slipway_domain::catalog::text::{DeviceId, Identifier, PackageName, Sha256};

/// Type that a handler reads from the path.
pub(crate) trait FromPath: Sized {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem>;
}

impl FromPath for () {
    fn from_path(_: &HttpRequest) -> Result<Self, Problem> {
        Ok(())
    }
}

/// Type of a path segment: how it is parsed, and how the API description states it.
trait PathSegment: Sized {
    fn parse(segment: &str) -> Option<Self>;

    fn schema() -> ObjectBuilder;
}

macro_rules! paths {
    ($($name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $(pub(crate) $field: $kind,)*
        }

        impl FromPath for $name {
            fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
                let segment = |name: &str| request.match_info().get(name);
                $(
                    let $field = segment(stringify!($field))
                        .and_then(<$kind as PathSegment>::parse)
                        .ok_or_else(Problem::not_found)?;
                )*
                Ok(Self { $($field),* })
            }
        }

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![$(parameter(stringify!($field), <$kind as PathSegment>::schema())),*]
            }
        }
    )*};
}

fn parameter(name: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

impl PathSegment for TenantId {
    fn parse(segment: &str) -> Option<Self> {
        // Only the canonical spelling: a number with a sign or leading zeros is a different path.
        let number: i64 = segment.parse().ok()?;
        (number.to_string() == segment).then(|| Self::parse(number).ok())?
    }

    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1_i64))
            .examples([10_000_000])
    }
}

impl PathSegment for Sha256 {
    fn parse(segment: &str) -> Option<Self> {
        // Only the canonical spelling, in lower case.
        Self::parse(segment)
            .ok()
            .filter(|digest| digest.as_str() == segment)
    }

    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9a-f]{64}$"))
            .examples(["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    }
}

macro_rules! identifier_segments {
    ($($name:ident, $example:literal;)*) => {$(
        impl PathSegment for $name {
            fn parse(segment: &str) -> Option<Self> {
                Self::parse(segment).ok()
            }

            fn schema() -> ObjectBuilder {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some("^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"))
                    .examples([$example])
            }
        }
    )*};
}

identifier_segments! {
    PackageName, "com.hema.wms";
    Identifier, "com.hema.wms.chuku";
}

impl PathSegment for DeviceId {
    /// Decodes a device id. The router does not decode `%25`, `%2B` and `%2F`, so that a slash in an id does not split
    /// the path.
    fn parse(segment: &str) -> Option<Self> {
        let text = percent_decode_str(segment).decode_utf8().ok()?;
        Self::parse(text).ok()
    }

    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(128))
            .examples(["HM8007PDA001"])
    }
}

macro_rules! id_segments {
    ($($name:ident)*) => {$(
        impl PathSegment for $name {
            fn parse(segment: &str) -> Option<Self> {
                segment.parse().ok()
            }

            fn schema() -> ObjectBuilder {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .format(Some(SchemaFormat::Custom("uuid".to_owned())))
                    .examples(["0190a6e4-5b7c-7a31-9d2e-3f4c5b6a7d80"])
            }
        }
    )*};
}

id_segments!(KeyId PinId PushId ReleaseId UserId);

impl ReleasePath {
    pub(crate) fn address(&self) -> ReleaseAddress<'_> {
        ReleaseAddress {
            tenant: self.tenant_id,
            app: &self.package_name,
            id: self.release_id,
        }
    }
}

paths! {
    TenantPath { tenant_id: TenantId }
    AdministratorPath { id: UserId }
    PlatformTokenPath { id: KeyId }
    UserPath { tenant_id: TenantId, id: UserId }
    KeyPath { tenant_id: TenantId, id: KeyId }
    AppPath { tenant_id: TenantId, package_name: PackageName }
    ResourcePath {
        tenant_id: TenantId,
        package_name: PackageName,
        identifier: Identifier,
    }
    ReleasePath {
        tenant_id: TenantId,
        package_name: PackageName,
        release_id: ReleaseId,
    }
    DevicePath { tenant_id: TenantId, device_id: DeviceId }
    OwnDevicePath { device_id: DeviceId }
    OwnPushPath { device_id: DeviceId, push_id: PushId }
    PushPath { tenant_id: TenantId, push_id: PushId }
    PinPath { tenant_id: TenantId, pin_id: PinId }
    ArtifactPath { tenant_id: TenantId, sha256: Sha256 }
}
