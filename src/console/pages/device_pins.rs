//! Pins that apply to a device: its own, and those of the org nodes that it belongs to.

use super::pin_words::{mode_in_words, pin_query, target_in_words};
use crate::console::format::Moment;
use crate::console::page_error::PageError;
use crate::console::shell::{Link, Shell};
use crate::console::visit::Visit;
use crate::services::pins::{self, NamedPin, TargetPins};
use slipway_domain::catalog::device::Device;
use slipway_domain::catalog::ids::TenantId;

/// Number of pins of each target.
const SHOWN: usize = 10;

#[derive(Default)]
pub(super) struct DevicePins {
    pub(super) rows: Vec<DevicePinRow>,
    /// Lists of the pins of the targets that have more.
    pub(super) more: Vec<Link>,
}

pub(super) struct DevicePinRow {
    /// The pin in the list of pins.
    pub(super) href: String,
    pub(super) resource: String,
    pub(super) target: String,
    pub(super) mode: String,
    pub(super) reason: String,
    pub(super) expires_at: Option<Moment>,
    pub(super) is_expired: bool,
}

impl DevicePins {
    pub(super) async fn read(
        visit: &Visit,
        shell: &Shell,
        tenant: TenantId,
        device: &Device,
    ) -> Result<Self, PageError> {
        let found = pins::list_for_device(&visit.ctx, &visit.caller(false), tenant, device, SHOWN).await?;
        let base = format!("/console/tenants/{tenant}/pins");
        let mut pins = Self::default();
        for TargetPins {
            target,
            pins: of_target,
            has_more,
        } in &found
        {
            let rows = of_target.iter().map(|pin| row(visit, shell, &base, pin));
            pins.rows.extend(rows);
            if *has_more {
                pins.more.push(Link {
                    href: format!("{base}?{}", pin_query(target, None)),
                    label: format!("{} {}", shell.t.every_pin_on, target_in_words(shell.t, target)),
                });
            }
        }
        Ok(pins)
    }
}

fn row(visit: &Visit, shell: &Shell, base: &str, named: &NamedPin) -> DevicePinRow {
    let pin = &named.pin.value;
    DevicePinRow {
        href: format!("{base}?{}", pin_query(&pin.target, Some(named))),
        resource: pin.identifier.to_string(),
        target: target_in_words(shell.t, &pin.target),
        mode: mode_in_words(shell.t, pin.mode),
        reason: pin.reason.to_string(),
        expires_at: pin.expires_at.map(Moment),
        is_expired: pin.expires_at.is_some_and(|at| at <= visit.ctx.now()),
    }
}
