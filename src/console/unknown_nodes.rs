//! Org nodes of a release or a pin that the org directory does not have. They are a warning: a directory may come later.

use super::visit::Visit;
use crate::services::org_directory;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{Level, LevelCodes, OrgScope};
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::targeting::Targeting;

/// Maximum number of nodes that a warning names.
const SHOWN: usize = 10;

/// Returns the places that the directory does not have, as a list for people; `None` if there are none.
pub(super) fn unknown_nodes(
    visit: &Visit,
    tenant: TenantId,
    places: impl IntoIterator<Item = OrgScope>,
) -> Option<String> {
    let unknown = org_directory::unknown_nodes(&visit.ctx, &visit.caller(false), tenant, places);
    let mut nodes: Vec<_> = unknown.iter().map(|place| line_of(place.codes())).collect();
    nodes.sort_unstable();
    if nodes.len() > SHOWN {
        nodes.truncate(SHOWN);
        nodes.push("…".to_owned());
    }
    (!nodes.is_empty()).then(|| nodes.join(", "))
}

/// Returns the places that a targeting names.
pub(super) fn places_of(targeting: &Targeting) -> Vec<OrgScope> {
    let scopes = targeting.org_scopes.iter().chain(&targeting.org_exclusions);
    scopes.cloned().collect()
}

/// Returns codes from l1 down to the deepest one. A level that is not named is empty.
fn line_of(codes: &LevelCodes) -> String {
    let levels = Level::all();
    let all: Vec<_> = levels.map(|level| codes.get(level).unwrap_or_default()).collect();
    let depth = all
        .iter()
        .rposition(|code| !code.is_empty())
        .map_or(0, |last| last + 1);
    org_path::join(&all[..depth])
}
