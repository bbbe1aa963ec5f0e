//! Offers as JSON objects, for the device API and the gateway.

use std::io::Write as _;

use super::offer_encoding::{MemberValue, OfferEncoding, release_members};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::Release;
use slipway_resolver::OfferEncoder;

pub const JSON: OfferEncoding = OfferEncoding {
    slot: 0,
    before_identifier: b"\",\"identifier\":\"",
    end: b"\"}",
    rollback_end: b"\",\"uninstall_type\":1}",
};

pub(super) struct JsonEncoder;

impl OfferEncoder for JsonEncoder {
    fn encode_release(&self, app: &App, release: &Release, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, value) in release_members(app, release) {
            match value {
                MemberValue::Text(text) => append(out, format_args!("\"{name}\":{},", json_text(text))),
                MemberValue::Number(number) => append(out, format_args!("\"{name}\":{number},")),
            }
        }
        out.extend_from_slice(b"\"auto_install\":");
    }

    fn encode_app(&self, app: &App, out: &mut Vec<u8>) {
        let (name, package) = (json_text(app.app_name.as_str()), app.package_name.as_str());
        append(
            out,
            format_args!(",\"app_name\":{name},\"package_name\":\"{package}\",\"old_package_name\":\""),
        );
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}
