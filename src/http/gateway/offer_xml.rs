//! Offers as XML elements.

use crate::http::offer_encoding::{MemberValue, OfferEncoding, release_members};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::Release;
use slipway_gateway::xml::write_element;
use slipway_resolver::OfferEncoder;

/// Writes the content of the element that contains an offer.
pub(super) const XML: OfferEncoding = OfferEncoding {
    slot: 1,
    split: |members| (b"", members),
    before_identifier: b"</old_package_name><identifier>",
    before_sha256: None,
    end: b"</identifier>",
    rollback_end: b"</identifier><uninstall_type>1</uninstall_type>",
};

pub(in crate::http) struct XmlEncoder;

impl OfferEncoder for XmlEncoder {
    fn encode_release(&self, app: &App, release: &Release, out: &mut Vec<u8>) {
        for (name, value) in release_members(app, release) {
            match value {
                MemberValue::Text(text) => write_element(out, name, text),
                MemberValue::Number(number) => write_element(out, name, &number.to_string()),
            }
        }
        out.extend_from_slice(b"<auto_install>");
    }

    fn encode_app(&self, app: &App, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</auto_install>");
        write_element(out, "app_name", app.app_name.as_str());
        write_element(out, "package_name", app.package_name.as_str());
        out.extend_from_slice(b"<old_package_name>");
    }
}
