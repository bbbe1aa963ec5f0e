//! Schemas of texts with a closed set of values, made from the domain's own lists.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use slipway_domain::access::{AppKeyRole, Role};
use slipway_domain::catalog::app::ResourceKind;
use slipway_domain::catalog::artifact::{ArtifactKind, DamageKind};
use slipway_domain::catalog::attribute::RuleOp;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::org::Level;
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::push::{Acknowledgement, Channel, TargetState};
use slipway_domain::catalog::release::{RecallMode, ReleaseStateKind};
use slipway_domain::catalog::release_content::FileOrigin;
use slipway_resolver::{Rule, Verdict};

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

value_schemas! {
    /// Role of a user or an API token.
    RoleValue as "Role" = Role::ALL.map(Role::as_str);
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
