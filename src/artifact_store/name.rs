//! Names of objects.

use object_store::path::Path;

use slipway_domain::catalog::ids::{ArtifactId, TenantId};
use slipway_domain::catalog::text::Sha256;

const CONTENTS: &str = "artifacts";
const ICONS: &str = "icons";

/// Name of an artifact's objects: `artifacts/<tenant>/<sha256>-<id>`, and the icon beside it.
///
/// Each upload has an id of its own. Simultaneous uploads of the same bytes therefore never write or delete the same
/// object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    pub tenant: TenantId,
    pub sha256: Sha256,
    pub id: ArtifactId,
}

impl ObjectName {
    pub(super) fn content(&self) -> Path {
        self.within(CONTENTS)
    }

    pub(super) fn icon(&self) -> Path {
        self.within(ICONS)
    }

    pub(super) fn folders() -> [Path; 2] {
        [Path::from(CONTENTS), Path::from(ICONS)]
    }

    fn within(&self, folder: &str) -> Path {
        let Self { tenant, sha256, id } = self;
        Path::from(format!("{folder}/{tenant}/{}-{id}", sha256.as_str()))
    }

    /// Returns the name that a path was made from; `None` for another object.
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let mut parts = path.parts();
        let (_, tenant, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (digest, id) = file.as_ref().split_once('-')?;
        let name = Self {
            tenant: TenantId::parse(tenant.as_ref().parse().ok()?).ok()?,
            sha256: Sha256::parse(digest).ok()?,
            id: id.parse().ok()?,
        };
        [name.content(), name.icon()].contains(path).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_from_paths() {
        let name = ObjectName {
            tenant: TenantId::parse(7).unwrap(),
            sha256: Sha256::parse(&"ab".repeat(32)).unwrap(),
            id: "0191d7a0-0000-7000-8000-000000000001".parse().unwrap(),
        };
        assert_eq!(ObjectName::parse(&name.content()).as_ref(), Some(&name));
        assert_eq!(ObjectName::parse(&name.icon()).as_ref(), Some(&name));
        for other in [
            "artifacts/7/x",
            "artifacts/07/x-y",
            "slipway-artifacts",
            "uploads/a",
        ] {
            assert_eq!(ObjectName::parse(&Path::from(other)), None, "{other}");
        }
    }
}
