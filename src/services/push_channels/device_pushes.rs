//! Reads the pending pushes of a device from the database, which is their only source.

use xxhash_rust::xxh3::xxh3_64;

use super::DeliveredPush;
use crate::services::Context;
use crate::services::authentication::DevicePrincipal;
use crate::services::push_delivery::Delivery;
use crate::storage::StorageError;
use crate::storage::push_targets::list_open_of_device;
use slipway_domain::access::DeviceScope;
use slipway_domain::catalog::push::Channel;

/// Pushes read per statement.
const PAGE: u64 = 200;

/// Returns all pending pushes of a device with a sequence above `after`, by sequence.
pub(super) async fn read_pending(
    ctx: &Context,
    scope: &DeviceScope,
    mut after: i64,
) -> Result<Vec<DeliveredPush>, StorageError> {
    let mut found = Vec::new();
    loop {
        let _permit = ctx.push_delivery().acquire_read().await;
        let page =
            list_open_of_device(ctx.db(), scope.tenant(), scope.device(), after, PAGE, ctx.now()).await?;
        let is_last = (page.len() as u64) < PAGE;
        found.extend(
            page.into_iter()
                .map(|(target, push)| DeliveredPush { target, push }),
        );
        match found.last() {
            Some(last) if !is_last => after = last.sequence(),
            _ => return Ok(found),
        }
    }
}

pub(super) fn delivered_by(channel: Channel, pushes: &[DeliveredPush]) -> Vec<Delivery> {
    let delivery = |push: &DeliveredPush| Delivery {
        target: push.target.key.clone(),
        push: push.push.id,
        channel,
    };
    pushes.iter().map(delivery).collect()
}

/// Hashes the device id. Devices that wait from the same moment thus return at different times.
pub(super) fn hash_of(principal: &DevicePrincipal) -> u64 {
    xxh3_64(principal.scope.device().as_str().as_bytes())
}
