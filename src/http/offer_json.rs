//! Offers as JSON objects, for the device API and the gateway.

use std::io::Write as _;

use super::offer_encoding::{MemberValue, OfferEncoding, release_members};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::Release;
use slipway_resolver::OfferEncoder;

/// Encoding of the gateway: exactly the members of the specification.
pub const JSON: OfferEncoding = OfferEncoding {
    slot: 0,
    split: split_sha256,
    before_identifier: b"\",\"identifier\":\"",
    before_sha256: None,
    end: b"\"}",
    rollback_end: b"\",\"uninstall_type\":1}",
};

/// Encoding of the device API: also with `sha256`, `""` if it is not known.
pub const NATIVE_JSON: OfferEncoding = OfferEncoding {
    before_sha256: Some(b"\",\"sha256\":\""),
    ..JSON
};

/// Number of hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

pub(super) struct JsonEncoder;

impl OfferEncoder for JsonEncoder {
    /// Writes the digits of the SHA-256, then the members. Both encodings share these bytes.
    fn encode_release(&self, app: &App, release: &Release, out: &mut Vec<u8>) {
        if let Some(sha256) = &release.content.file.sha256 {
            out.extend_from_slice(sha256.as_str().as_bytes());
        }
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

/// Splits at the brace that begins the members, which no digit is.
fn split_sha256(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = if bytes.first() == Some(&b'{') {
        0
    } else {
        SHA256_DIGITS
    };
    bytes.split_at_checked(length).unwrap_or((b"", bytes))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}
