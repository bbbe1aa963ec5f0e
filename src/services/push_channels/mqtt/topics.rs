//! The topics of a device: `slipway/{tenant}/devices/{id}/pushes` and `…/acks`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use slipway_domain::access::{DeviceScope, device_scope};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

/// Shared subscription to the acknowledgement topics of all devices: each message goes to one node. If a node loses the
/// first acknowledgement of a push, the device gets the push again and acknowledges it again. A later acknowledgement
/// is not repeated.
pub(super) const ACKNOWLEDGEMENTS: &str = "$share/slipway/slipway/+/devices/+/acks";

/// All bytes except letters, digits, `.`, `_` and `-`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// Returns the topic on which a device gets its pushes.
pub(super) fn pushes_of(tenant: TenantId, device: &DeviceId) -> String {
    format!("slipway/{tenant}/devices/{}/pushes", encode(device.as_str()))
}

/// Returns the device of an acknowledgement topic. The topic authenticates the device, because the broker lets no other
/// client publish to it. Only the canonical spelling of the topic is accepted.
pub(super) fn acknowledging_device(topic: &str) -> Option<DeviceScope> {
    let (tenant, device) = topic
        .strip_prefix("slipway/")?
        .strip_suffix("/acks")?
        .split_once("/devices/")?;
    let number = tenant.parse().ok()?;
    let id = percent_decode_str(device).decode_utf8().ok()?;
    let is_the_one_spelling = i64::to_string(&number) == tenant && encode(&id) == device;
    if !is_the_one_spelling {
        return None;
    }
    Some(device_scope(
        TenantId::parse(number).ok()?,
        DeviceId::parse(id.as_ref()).ok()?,
    ))
}

fn encode(id: &str) -> String {
    utf8_percent_encode(id, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse(10_000_000).unwrap()
    }

    #[test]
    fn ids_are_encoded_byte_by_byte() {
        for (id, encoded) in [
            ("PDA001", "PDA001"),
            ("a.b_c-D", "a.b_c-D"),
            ("a/b+c#d", "a%2Fb%2Bc%23d"),
            ("~ %41", "%7E%20%2541"),
            ("店", "%E5%BA%97"),
        ] {
            let topic = pushes_of(tenant(), &DeviceId::parse(id).unwrap());
            assert_eq!(topic, format!("slipway/10000000/devices/{encoded}/pushes"));
        }
    }

    #[test]
    fn other_topics_are_of_no_device() {
        for topic in [
            "",
            "slipway/1/devices/A/pushes",
            "slipway/1/devices//acks",
            "slipway/0/devices/A/acks",
            "slipway/+1/devices/A/acks",
            "slipway/01/devices/A/acks",
            "slipway/x/devices/A/acks",
            "slipway/1/devices/A/B/acks",
            "slipway/1/devices/%41/acks",
            "slipway/1/devices/%e5%ba%97/acks",
            "slipway/1/devices/%FF/acks",
            "slipway/1/devices/%0A/acks",
            "other/slipway/1/devices/A/acks",
        ] {
            assert_eq!(acknowledging_device(topic), None, "{topic}");
        }
    }

    proptest! {
        #[test]
        fn a_device_is_known_by_its_topic(id in "\\PC{1,128}") {
            let Ok(device) = DeviceId::parse(id.as_str()) else { return Ok(()) };
            let topic = pushes_of(tenant(), &device);
            prop_assert_eq!(topic.split('/').count(), 5);
            let there = acknowledging_device(&topic.replace("/pushes", "/acks")).unwrap();
            prop_assert_eq!((there.tenant().tenant(), there.device()), (tenant(), &device));
        }
    }
}
