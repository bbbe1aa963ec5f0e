//! One release given to one device.

use super::compile::{CompiledRelease, PublishedApp, PublishedResource};
use super::prepare::Form;

#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The release is older than the installed one, which was recalled.
    pub is_rollback: bool,
    pub auto_install: bool,
    /// The old name of the app that the answer tells, `""` when it has none.
    pub old_package_name: &'a str,
    pub(super) app: &'a PublishedApp,
    pub(super) resource: &'a PublishedResource,
    pub(super) release: &'a CompiledRelease,
}

impl Offer<'_> {
    /// Appends the offer with every member of the seed's table, never null: a JSON object, or the content of an XML
    /// element. `uninstall_type` appears only for a rollback, as 1.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        let install: &[u8] = if self.auto_install { b"true" } else { b"false" };
        let (end_of_old_name, end): (&[u8], &[u8]) = match (form, self.is_rollback) {
            (Form::Json, false) => (b"\",\"identifier\":\"", b"\"}"),
            (Form::Json, true) => (b"\",\"identifier\":\"", b"\",\"uninstall_type\":1}"),
            (Form::Xml, false) => (b"</old_package_name><identifier>", b"</identifier>"),
            (Form::Xml, true) => (
                b"</old_package_name><identifier>",
                b"</identifier><uninstall_type>1</uninstall_type>",
            ),
        };
        // Package names and identifiers hold nothing that either form would escape.
        for piece in [
            self.app.prepared(self.release, form),
            install,
            self.app.prepared_names(form),
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
