//! Pushes of a device, newest first.

use crate::console::format::{Moment, segment};
use crate::console::page_error::PageError;
use crate::console::shell::Shell;
use crate::console::visit::Visit;
use crate::services::pushes::{self, DevicePush};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

/// Number of pushes on a page.
const SHOWN: u32 = 10;
/// Parameter with the position in the list.
const CURSOR: &str = "pushes";

pub(super) struct DevicePushes {
    pub(super) rows: Vec<DevicePushRow>,
    pub(super) next: Option<String>,
}

pub(super) struct DevicePushRow {
    pub(super) href: String,
    pub(super) id: String,
    pub(super) action: String,
    pub(super) app_id: String,
    pub(super) state: &'static str,
    pub(super) state_label: &'static str,
    pub(super) created_at: Moment,
    pub(super) changed_at: Moment,
}

impl DevicePushes {
    pub(super) async fn read(
        visit: &Visit,
        shell: &Shell,
        tenant: TenantId,
        device: &DeviceId,
    ) -> Result<Self, PageError> {
        let page = visit.page_at(CURSOR, SHOWN)?;
        let caller = visit.caller(false);
        let of_device = format!("/console/tenants/{tenant}/devices/{}", segment(device.as_str()));
        let found = pushes::list_of_device(&visit.ctx, &caller, tenant, device, &page).await?;
        Ok(Self {
            rows: found
                .items
                .iter()
                .map(|found| row(shell, tenant, found))
                .collect(),
            next: visit.next_page_at(&of_device, CURSOR, found.next),
        })
    }
}

fn row(shell: &Shell, tenant: TenantId, found: &DevicePush) -> DevicePushRow {
    let DevicePush { push, target } = found;
    DevicePushRow {
        href: format!("/console/tenants/{tenant}/pushes/{}", push.id),
        id: push.id.to_string(),
        action: push.content.action.to_string(),
        app_id: push.content.app_id.to_string(),
        state: target.state.as_str(),
        state_label: shell.t.target_state(target.state),
        created_at: Moment(push.created_at),
        changed_at: Moment(target.changed_at),
    }
}
