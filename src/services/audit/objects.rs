//! Audited objects and their states.

use serde::Serialize;
use serde_json::json;
use slipway_domain::access::{ApiToken, AppKey, DeviceKey, PlatformToken, Role, User};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::pin::{Pin, PinTarget};
use slipway_domain::catalog::push::Push;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::PackageName;

use super::change::Audited;
use crate::services::audited_release::AuditedRelease;
use slipway_domain::catalog::release::ReleaseRecord;

impl Audited for Tenant {
    fn audited_id(&self) -> String {
        self.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        json!({
            "id": self.id,
            "name": self.name,
            "enabled": self.enabled,
            "offers_enabled": self.offers_enabled,
            "push_url_schemes": self.push_url_schemes.listed(),
            "enrolment": self.enrolment.as_str(),
            "artifact_quota_bytes": self.artifact_quota.bytes(),
        })
    }
}

impl Audited for Artifact {
    fn audited_id(&self) -> String {
        self.sha256.as_str().to_owned()
    }

    /// Leaves out the key of the download link, which is a credential.
    fn audited_state(&self) -> impl Serialize {
        let package = self.facts.package();
        json!({
            "sha256": self.sha256,
            "filename": self.filename,
            "size": self.size,
            "kind": self.facts.kind().as_str(),
            "package_name": package.map(|package| package.package_name),
            "version_code": package.and_then(|package| package.version_code),
            "link_number": self.link.number,
            "keep": self.keep,
            "damage": self.damage.map(|damage| damage.kind.as_str()),
        })
    }
}

impl Audited for User {
    fn audited_id(&self) -> String {
        self.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        json!({"id": self.id, "username": self.username, "role": self.role.as_str(), "enabled": self.enabled})
    }
}

impl Audited for ApiToken {
    fn audited_id(&self) -> String {
        self.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        json!({"id": self.id, "name": self.name, "role": self.role.as_str(), "expires_at": self.facts.expires_at})
    }
}

impl Audited for PlatformToken {
    fn audited_id(&self) -> String {
        self.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        let role = Role::PlatformAdmin.as_str();
        json!({"id": self.id, "name": self.name, "role": role, "expires_at": self.facts.expires_at})
    }
}

impl Audited for DeviceKey {
    fn audited_id(&self) -> String {
        self.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        json!({"id": self.id, "name": self.name, "expires_at": self.facts.expires_at})
    }
}

impl Audited for AppKey {
    fn audited_id(&self) -> String {
        self.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        json!({"id": self.id, "name": self.name, "role": self.role.as_str(), "app_key": self.app_key,
            "expires_at": self.facts.expires_at})
    }
}

impl Audited for App {
    fn audited_id(&self) -> String {
        self.package_name.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        json!({
            "package_name": self.package_name,
            "app_name": self.app_name,
            "old_package_names": self.old_package_names,
            "icon_url": self.icon_url,
            "enabled": self.enabled,
        })
    }
}

/// Resource of an app.
pub(in crate::services) struct AuditedResource<'a> {
    pub(in crate::services) app: &'a PackageName,
    pub(in crate::services) resource: &'a Resource,
}

impl Audited for AuditedResource<'_> {
    fn audited_id(&self) -> String {
        format!("{}/{}", self.app, self.resource.identifier)
    }

    fn audited_state(&self) -> impl Serialize {
        let resource = self.resource;
        json!({
            "identifier": resource.identifier,
            "name": resource.name,
            "kind": resource.kind.as_str(),
            "enabled": resource.enabled,
            "repair_on_mismatch": resource.repair_on_mismatch,
        })
    }
}

/// Pin of an app.
pub(in crate::services) struct AuditedPin<'a> {
    pub(in crate::services) app: &'a PackageName,
    pub(in crate::services) pin: &'a Pin,
}

impl Audited for AuditedPin<'_> {
    fn audited_id(&self) -> String {
        self.pin.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        let (app, pin) = (self.app, self.pin);
        let (device_id, org_path) = match &pin.target {
            PinTarget::Device(id) => (Some(id), None),
            PinTarget::OrgNode(path) => (None, Some(path)),
        };
        json!({
            "package_name": app,
            "identifier": pin.identifier,
            "device_id": device_id,
            "org_path": org_path,
            "mode": pin.mode.name(),
            "version_code": pin.mode.version_code(),
            "reason": pin.reason,
            "expires_at": pin.expires_at,
        })
    }
}

/// Push with the number of its targets.
pub(in crate::services) struct AuditedPush<'a> {
    pub(in crate::services) push: &'a Push,
    pub(in crate::services) targets: usize,
}

impl Audited for AuditedPush<'_> {
    fn audited_id(&self) -> String {
        self.push.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        let (push, targets) = (self.push, self.targets);
        let content = &push.content;
        json!({
            "action": content.action,
            "app_id": content.app_id,
            "app_type": content.app_type,
            "pack_url": content.pack_url,
            "source_url": content.source_url,
            "trace_id": content.trace_id,
            "targets": targets,
            "expires_at": push.expires_at,
        })
    }
}

/// Release of an app.
pub(in crate::services) struct ReleaseOfApp<'a> {
    pub(in crate::services) app: &'a PackageName,
    pub(in crate::services) record: &'a ReleaseRecord,
}

impl Audited for ReleaseOfApp<'_> {
    fn audited_id(&self) -> String {
        self.record.release.id.to_string()
    }

    fn audited_state(&self) -> impl Serialize {
        AuditedRelease::new(self.app, self.record)
    }
}
