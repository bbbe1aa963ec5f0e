//! What is open for one device, read from the database, which alone knows it.

use super::DeliveredPush;
use super::deliveries::Delivery;
use crate::access::DeviceScope;
use crate::catalog::push::Channel;
use crate::services::Context;
use crate::storage::StorageError;
use crate::storage::push_targets::open_of_device;

/// Pushes that one statement reads.
const PAGE: u64 = 200;

/// Every open push of a device with a higher sequence, by sequence.
pub(super) async fn read_open(
    ctx: &Context,
    scope: &DeviceScope,
    mut after: i64,
) -> Result<Vec<DeliveredPush>, StorageError> {
    let mut found = Vec::new();
    loop {
        // Only closed with the program.
        let _permit = ctx.push_delivery.reads.acquire().await;
        let page = open_of_device(&ctx.db, scope.tenant(), scope.device(), (after, PAGE), ctx.now()).await?;
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
