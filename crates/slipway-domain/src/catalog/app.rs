//! Apps and the resources released for them.

use super::artifact::ArtifactKind;
use super::closed_list::parse_name;
use super::field::{FieldError, Invalid};
use super::ids::AppId;
use super::text::{Identifier, Name, PackageName, Url};

/// Host package on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub id: AppId,
    pub package_name: PackageName,
    pub app_name: Name,
    /// Names that older installs still send. Answers contain the first one.
    pub old_package_names: Vec<PackageName>,
    pub icon_url: Option<Url>,
    /// Off switch of the app: `false` offers nothing.
    pub enabled: bool,
}

/// Maximum number of old names of an app.
pub const MAX_OLD_PACKAGE_NAMES: usize = 100;

impl App {
    /// Checks the app's own names against each other. Storage enforces their uniqueness in the tenant.
    pub fn check_names(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.old_package_names.len() > MAX_OLD_PACKAGE_NAMES {
            errors.push(FieldError::invalid(
                "old_package_names",
                format!("must hold at most {MAX_OLD_PACKAGE_NAMES} names"),
            ));
        }
        for (index, name) in self.old_package_names.iter().enumerate() {
            let field = format!("old_package_names[{index}]");
            if *name == self.package_name {
                errors.push(FieldError::invalid(field, "must differ from package_name"));
            } else if self.old_package_names[..index].contains(name) {
                errors.push(FieldError::invalid(field, "must not be given twice"));
            }
        }
        errors
    }

    /// Returns `true` if `identifier` is the app itself, the resource named like its package.
    pub fn is_itself(&self, identifier: &Identifier) -> bool {
        identifier.as_str() == self.package_name.as_str()
    }
}

/// Separately released part of an app, created by its first release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub app_id: AppId,
    pub identifier: Identifier,
    pub name: Option<Name>,
    pub kind: ResourceKind,
    /// Off switch of the resource: `false` offers nothing.
    pub enabled: bool,
    /// Offers the installed version again if the device reports another digest for it.
    pub repair_on_mismatch: bool,
}

impl Resource {
    /// Returns the resource with its default settings: an `apk` if it is the app itself, otherwise `other`.
    pub fn first_seen(app: &App, identifier: Identifier) -> Self {
        let kind = if app.is_itself(&identifier) {
            ResourceKind::Apk
        } else {
            ResourceKind::Other
        };
        Self {
            app_id: app.id,
            identifier,
            name: None,
            kind,
            enabled: true,
            repair_on_mismatch: false,
        }
    }

    /// Returns the resource with the kind that its first file has. A file without a kind of its own leaves it unchanged.
    #[must_use]
    pub const fn with_first_file(mut self, file: ArtifactKind) -> Self {
        if matches!(file, ArtifactKind::Apk) {
            self.kind = ResourceKind::Apk;
        }
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    Apk,
    Miniapp,
    OfflinePackage,
    Config,
    Firmware,
    Other,
}

impl ResourceKind {
    pub const ALL: [Self; 6] = [
        Self::Apk,
        Self::Miniapp,
        Self::OfflinePackage,
        Self::Config,
        Self::Firmware,
        Self::Other,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Miniapp => "miniapp",
            Self::OfflinePackage => "offline_package",
            Self::Config => "config",
            Self::Firmware => "firmware",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }

    /// Returns `false` for an apk, because Android does not install an older version over a newer one.
    pub const fn can_be_rolled_back(self) -> bool {
        !matches!(self, Self::Apk)
    }
}
