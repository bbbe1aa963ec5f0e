//! Pins in words, and links to them.

use crate::console::texts::Texts;
use crate::services::pins::NamedPin;
use slipway_domain::catalog::org::OrgCode;
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::pin::{PinMode, PinTarget};

/// Filters by target. The names without `on_` fill in the form of a new pin.
pub(super) const ON_DEVICE: &str = "on_device";
pub(super) const ON_NODE: &str = "on_node";

pub(super) fn target_in_words(t: &Texts, target: &PinTarget) -> String {
    match target {
        PinTarget::Device(id) => format!("{} {id}", t.device),
        PinTarget::OrgNode(path) => org_path::join(path.iter().map(OrgCode::as_str)),
    }
}

/// Returns the query of the list of the pins on a target, or of one pin alone.
pub(super) fn pin_query(target: &PinTarget, only: Option<&NamedPin>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(named) = only {
        query
            .append_pair("package_name", named.package_name.as_str())
            .append_pair("identifier", named.pin.value.identifier.as_str());
    }
    match target {
        PinTarget::Device(id) => query.append_pair(ON_DEVICE, id.as_str()),
        PinTarget::OrgNode(path) => {
            query.append_pair(ON_NODE, &org_path::join(path.iter().map(OrgCode::as_str)))
        }
    };
    query.finish()
}

pub(super) fn mode_in_words(t: &Texts, mode: PinMode) -> String {
    match mode {
        PinMode::Hold => t.pin_hold.to_owned(),
        PinMode::Exact(version) => format!("{} {version}", t.pin_exact),
        PinMode::Ceiling(version) => format!("{} {version}", t.pin_ceiling),
    }
}
