//! Actions that are audited.

/// Action of an audit event. Its name is `<object>.<verb>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    AppCreate,
    AppUpdate,
    AppDelete,
    ResourceUpdate,
    ReleaseCreate,
    ReleaseUpdate,
    ReleaseSetRollout,
    ReleasePublish,
    ReleasePause,
    ReleaseResume,
    ReleaseDiscard,
    ReleaseRecall,
    ReleaseAcceptSignerChange,
    ReleaseAcceptUnsafePackage,
    ArtifactCreate,
    ArtifactUpdate,
    ArtifactReplaceLink,
    /// The content was damaged, and was uploaded again.
    ArtifactRepair,
    ArtifactDelete,
    PinPut,
    PinDelete,
    OrgDirectoryReplace,
    TenantCreate,
    TenantUpdate,
    UserCreate,
    UserUpdate,
    UserDelete,
    UserSetPassword,
    UserChangePassword,
    UserLoginFailed,
    ApiTokenCreate,
    ApiTokenDelete,
    DeviceKeyCreate,
    DeviceKeyDelete,
    AppKeyCreate,
    AppKeyRotate,
    AppKeyDelete,
    PushCreate,
    PushWithdraw,
    DeviceImport,
    DeviceEnrol,
    DeviceRefuseEnrolment,
    DeviceRevokeToken,
    DeviceDelete,
    EnrolmentCodeCreate,
    InstallationRekey,
    InstallationRestoreFinish,
    InstallationRevokeOldDeviceTokens,
}

impl AuditAction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppCreate => "app.create",
            Self::AppUpdate => "app.update",
            Self::AppDelete => "app.delete",
            Self::ResourceUpdate => "resource.update",
            Self::ReleaseCreate => "release.create",
            Self::ReleaseUpdate => "release.update",
            Self::ReleaseSetRollout => "release.set_rollout",
            Self::ReleasePublish => "release.publish",
            Self::ReleasePause => "release.pause",
            Self::ReleaseResume => "release.resume",
            Self::ReleaseDiscard => "release.discard",
            Self::ReleaseRecall => "release.recall",
            Self::ReleaseAcceptSignerChange => "release.accept_signer_change",
            Self::ReleaseAcceptUnsafePackage => "release.accept_unsafe_package",
            Self::ArtifactCreate => "artifact.create",
            Self::ArtifactUpdate => "artifact.update",
            Self::ArtifactReplaceLink => "artifact.replace_link",
            Self::ArtifactRepair => "artifact.repair",
            Self::ArtifactDelete => "artifact.delete",
            Self::PinPut => "pin.put",
            Self::PinDelete => "pin.delete",
            Self::OrgDirectoryReplace => "org_directory.replace",
            Self::TenantCreate => "tenant.create",
            Self::TenantUpdate => "tenant.update",
            Self::UserCreate => "user.create",
            Self::UserUpdate => "user.update",
            Self::UserDelete => "user.delete",
            Self::UserSetPassword => "user.set_password",
            Self::UserChangePassword => "user.change_password",
            Self::UserLoginFailed => "user.login_failed",
            Self::ApiTokenCreate => "api_token.create",
            Self::ApiTokenDelete => "api_token.delete",
            Self::DeviceKeyCreate => "device_key.create",
            Self::DeviceKeyDelete => "device_key.delete",
            Self::AppKeyCreate => "app_key.create",
            Self::AppKeyRotate => "app_key.rotate",
            Self::AppKeyDelete => "app_key.delete",
            Self::PushCreate => "push.create",
            Self::PushWithdraw => "push.withdraw",
            Self::DeviceImport => "device.import",
            Self::DeviceEnrol => "device.enrol",
            Self::DeviceRefuseEnrolment => "device.refuse_enrolment",
            Self::DeviceRevokeToken => "device.revoke_token",
            Self::DeviceDelete => "device.delete",
            Self::EnrolmentCodeCreate => "enrolment_code.create",
            Self::InstallationRekey => "installation.rekey",
            Self::InstallationRestoreFinish => "installation.restore_finish",
            Self::InstallationRevokeOldDeviceTokens => "installation.revoke_old_device_tokens",
        }
    }

    /// Returns the kind of object that the action changes.
    pub fn object_type(self) -> &'static str {
        let name = self.as_str();
        name.split_once('.').map_or(name, |(object, _)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_type_is_the_first_part_of_the_name() {
        assert_eq!(AuditAction::DeviceRefuseEnrolment.object_type(), "device");
        assert_eq!(AuditAction::OrgDirectoryReplace.object_type(), "org_directory");
    }
}
