//! Offer of one release to one device.

use super::compile::{CompiledRelease, PublishedApp, PublishedResource};
use super::prepare::OfferFormat;

#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The release is older than the installed one, which was recalled.
    pub is_rollback: bool,
    pub auto_install: bool,
    /// Old name of the app in the answer; `""` if it has none.
    pub old_package_name: &'a str,
    pub(super) app: &'a PublishedApp,
    pub(super) resource: &'a PublishedResource,
    pub(super) release: &'a CompiledRelease,
}

impl Offer<'_> {
    /// Appends the offer with every member of the specification's table, none of them null. JSON is written as an
    /// object, XML as the content of an element. `uninstall_type` is present only for a rollback, as 1.
    pub fn write(&self, format: OfferFormat, out: &mut Vec<u8>) {
        let install: &[u8] = if self.auto_install { b"true" } else { b"false" };
        let (end_of_old_name, end): (&[u8], &[u8]) = match (format, self.is_rollback) {
            (OfferFormat::Json, false) => (b"\",\"identifier\":\"", b"\"}"),
            (OfferFormat::Json, true) => (b"\",\"identifier\":\"", b"\",\"uninstall_type\":1}"),
            (OfferFormat::Xml, false) => (b"</old_package_name><identifier>", b"</identifier>"),
            (OfferFormat::Xml, true) => (
                b"</old_package_name><identifier>",
                b"</identifier><uninstall_type>1</uninstall_type>",
            ),
        };
        // Package names and identifiers contain nothing that needs escaping in either format.
        for piece in [
            self.app.prepared(self.release, format),
            install,
            self.app.prepared_names(format),
            self.old_package_name.as_bytes(),
            end_of_old_name,
            self.app
                .identifier_of(self.resource)
                .unwrap_or_default()
                .as_bytes(),
            end,
        ] {
            out.extend_from_slice(piece);
        }
    }
}
