//! Schemas of texts with a closed set of values, made from the domain's own lists.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::services::write_health::WriteFailure;
use slipway_domain::access::{AppKeyRole, Role};
use slipway_domain::catalog::app::ResourceKind;
use slipway_domain::catalog::artifact::{ArtifactKind, DamageKind};
use slipway_domain::catalog::attribute::RuleOp;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::field::FieldErrorCode;
use slipway_domain::catalog::org::Level;
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::push::{Acknowledgement, Channel, TargetState};
use slipway_domain::catalog::release::{RecallMode, ReleaseStateKind};
use slipway_domain::catalog::release_content::FileOrigin;
use slipway_resolver::{Rule, Verdict};

/// `msg_code` of an answer about an app that the tenant does not have.
pub(super) const APP_UNKNOWN: &str = "APP_UNKNOWN";

/// Defines a type that stands in a field's `value_type`: its schema is a text with these values.
macro_rules! value_schemas {
    ($($(#[doc = $doc:literal])+ $name:ident as $title:literal = $values:expr;)*) => {$(
        $(#[doc = $doc])+
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text_of(concat!($($doc),+).trim(), $values)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($title)
            }
        }
    )*};
}

fn text_of(description: &str, values: impl IntoIterator<Item = impl Into<String>>) -> RefOr<Schema> {
    let values: Vec<String> = values.into_iter().map(Into::into).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(values))
        .into()
}

/// Defines a type that stands in a field's `value_type`: its schema is any JSON except values of these types. It states
/// what the value is not, because generators fail on a choice between an object, an array and a text.
macro_rules! json_schemas {
    ($($(#[doc = $doc:literal])+ $name:ident as $title:literal without $types:expr;)*) => {$(
        $(#[doc = $doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let refused = json!({"type": $types});
                ObjectBuilder::new()
                    .schema_type(SchemaType::AnyValue)
                    .description(Some(concat!($($doc),+).trim()))
                    .extensions(Some(Extensions::from_iter([("not", refused)])))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($title)
            }
        }
    )*};
}

json_schemas! {
    /// JSON object or array, or a string that contains it. Null counts as absent.
    JsonOrText as "JsonOrText" without ["boolean", "number"];
    /// Operand of an attribute rule: a scalar, or an array of scalars.
    RuleOperandValue as "RuleOperand" without ["null", "object"];
}

/// Bytes of a file.
pub(super) struct BinaryValue;

impl PartialSchema for BinaryValue {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .into()
    }
}

impl ToSchema for BinaryValue {}

value_schemas! {
    /// Role of a user or an API token.
    RoleValue as "Role" = Role::ALL.map(Role::as_str);
    /// Role in a tenant.
    TenantRoleValue as "TenantRole" = Role::ALL.into_iter().filter(|role| *role != Role::PlatformAdmin).map(Role::as_str);
    /// Role on the platform.
    PlatformRoleValue as "PlatformRole" = [Role::PlatformAdmin.as_str()];
    /// Kind of a credential.
    CredentialKindValue as "CredentialKind" = ["user", "api_token"];
    /// Scheme of an access token.
    TokenTypeValue as "TokenType" = ["Bearer"];
    /// Error of a field.
    FieldErrorValue as "FieldErrorCode" = [FieldErrorCode::Required, FieldErrorCode::Invalid, FieldErrorCode::Unknown].map(FieldErrorCode::as_str);
    /// Code of a check without offers: the tenant does not have the app.
    CheckCodeValue as "CheckCode" = ["", APP_UNKNOWN];
    /// Readiness of a node.
    ReadinessValue as "NodeStatus" = ["ready", "degraded", "draining", "unready"];
    /// State of writes.
    WriteStatusValue as "WriteStatus" = ["working", "failing"];
    /// Cause of failing writes.
    WriteFailureValue as "WriteFailureCause" = WriteFailure::causes();
    /// State of the database.
    DatabaseStatusValue as "DatabaseStatus" = ["reachable", "unreachable"];
    /// State of the artifact store.
    StoreStatusValue as "ArtifactStoreStatus" = ["reachable", "unreachable"];
    /// Connection to the MQTT broker.
    BrokerStatusValue as "BrokerStatus" = ["connected", "unsubscribed", "disconnected", "none"];
    /// Role of an app key.
    AppKeyRoleValue as "AppKeyRole" = AppKeyRole::ALL.map(AppKeyRole::as_str);
    /// Kind of a resource.
    ResourceKindValue as "ResourceKind" = ResourceKind::ALL.map(ResourceKind::as_str);
    /// Kind of an artifact, detected from its content.
    ArtifactKindValue as "ArtifactKind" = ArtifactKind::ALL.map(ArtifactKind::as_str);
    /// Defect of the stored content of an artifact.
    DamageValue as "ArtifactDamage" = DamageKind::ALL.map(DamageKind::as_str);
    /// Credential that the first enrolment of a device requires.
    EnrolmentPolicyValue as "EnrolmentPolicy" = EnrolmentPolicy::ALL.map(EnrolmentPolicy::as_str);
    /// State of a release.
    ReleaseStateValue as "ReleaseState" = ReleaseStateKind::ALL.map(ReleaseStateKind::as_str);
    /// Effect of a recall on devices that have the release.
    RecallModeValue as "RecallMode" = RecallMode::ALL.map(RecallMode::as_str);
    /// Origin of a release's file.
    FileOriginValue as "FileOrigin" = FileOrigin::ALL.map(FileOrigin::as_str);
    /// Unit that a rollout draws by.
    RolloutUnitValue as "RolloutUnit" = std::iter::once("device".to_owned()).chain(Level::all().map(|level| level.to_string()));
    /// Operator of an attribute rule.
    RuleOperatorValue as "RuleOperator" = RuleOp::ALL.map(RuleOp::as_str);
    /// Mode of a pin.
    PinModeValue as "PinMode" = PinMode::NAMES;
    /// State of a push on one device.
    PushStateValue as "PushState" = TargetState::ALL.map(TargetState::as_str);
    /// Channel of a delivery.
    PushChannelValue as "PushChannel" = Channel::ALL.map(Channel::as_str);
    /// State that a device acknowledges.
    AcknowledgementValue as "Acknowledgement" = Acknowledgement::ALL.map(Acknowledgement::as_str);
    /// Verdict on a release.
    VerdictValue as "VerdictName" = Verdict::ALL.map(Verdict::as_str);
    /// Rule that decided on a release.
    RuleValue as "RuleName" = Rule::ALL.iter().map(|rule| rule.as_str());
}
