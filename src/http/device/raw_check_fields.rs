//! Fields of a check in a JSON body.

use std::borrow::Cow;

use serde_json::value::RawValue;

use slipway_resolver::{CheckFields, RawField};

/// Raw members, and the decoded text of string members.
pub(in crate::http) struct RawCheckFields<'a> {
    raw: [Option<&'a RawValue>; 8],
    texts: [Option<Cow<'a, str>>; 8],
}

impl<'a> RawCheckFields<'a> {
    /// Takes the members in the order of the original API's table, with the tenant last. Null counts as absent.
    pub(in crate::http) fn new(raw: [Option<&'a RawValue>; 8]) -> Self {
        let texts = raw.map(|raw| raw.and_then(text_of));
        Self { raw, texts }
    }

    pub(in crate::http) fn tenant_id(&self) -> RawField<'_> {
        self.field(7)
    }

    pub(in crate::http) fn check_fields(&self) -> CheckFields<'_> {
        CheckFields {
            package_name: self.field(0),
            version_code: self.field(1),
            device_id: self.field(2),
            device_type: self.field(3),
            old_versions: self.field(4),
            org_info: self.field(5),
            attributes: self.field(6),
        }
    }

    /// Returns the fields of a check for a given app, whose name may be absent.
    pub(in crate::http) fn check_fields_of<'s>(&'s self, package_name: &'s str) -> CheckFields<'s> {
        let mut fields = self.check_fields();
        if fields.package_name.is_absent() {
            fields.package_name = RawField::Text(package_name);
        }
        fields
    }

    fn field(&self, index: usize) -> RawField<'_> {
        match (&self.texts[index], self.raw[index]) {
            (Some(text), _) => RawField::Text(text),
            (None, Some(raw)) if raw.get() != "null" => RawField::Json(raw),
            (None, _) => RawField::Absent,
        }
    }
}

/// Returns the text of a JSON string, borrowed if it contains no escapes; `None` for any other value.
fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if quoted.as_bytes().contains(&b'\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(quoted))
    }
}
