//! Hostile resource tables.

use super::{HostileFile, refused};
use crate::binary_xml::{XmlValue, android, encode};
use crate::key::TestKey;
use crate::resource_table::{self, Resource, ResourceConfig, ResourceValue, resource_id};
use crate::samples;
use crate::signing::Signing;
use crate::zip::Entry;

pub(super) fn files() -> Vec<HostileFile> {
    let cycle = |target: u32| with_table(&label_table(vec![ResourceValue::Reference(target)]));
    let many = vec![ResourceValue::Text("Shelf".into()); 600];
    vec![
        refused("label-is-itself.apk", "cycle", cycle(resource_id(0))),
        refused(
            "label-has-600-values.apk",
            "too many values",
            with_table(&label_table(many)),
        ),
        refused(
            "table-is-text.apk",
            "resources.arsc",
            with_table(b"no table, but long enough"),
        ),
        refused("table-is-empty.apk", "cut off", with_table(b"")),
        refused(
            "table-chunk-of-no-length.apk",
            "shorter than its header",
            patched(16, &[0; 4]),
        ),
        refused("table-chunk-beyond.apk", "cut off", patched(16, &[0xff; 4])),
        refused("table-strings-beyond.apk", "cut off", patched(20, &[0xff; 4])),
        refused(
            "table-config-is-long.apk",
            "configuration is too long",
            config_length(&[0xff, 0xff, 0, 0]),
        ),
        refused(
            "table-config-is-short.apk",
            "cut off",
            config_length(&[1, 0, 0, 0]),
        ),
        refused(
            "table-entry-beyond.apk",
            "cut off",
            entry_offset(&[0xfe, 0xff, 0xff, 0x7f]),
        ),
        refused(
            "table-has-40000-types.apk",
            "too many types",
            with_table(&many_types()),
        ),
        refused(
            "debuggable-refers-to-nothing.apk",
            "does not exist",
            with_flag(
                &label_table(vec![ResourceValue::Text("a".into())]),
                resource_id(7),
            ),
        ),
        refused(
            "debuggable-refers-to-framework.apk",
            "cannot be read",
            without_table(),
        ),
    ]
}

/// Encodes a table with values of the label.
fn label_table(values: Vec<ResourceValue>) -> Vec<u8> {
    let values = values.into_iter().map(|value| (ResourceConfig::default(), value));
    let label = Resource {
        kind: "string",
        name: "app_name",
        values: values.collect(),
    };
    resource_table::encode(samples::PACKAGE, &[label])
}

/// Signs an APK whose label is in the table.
fn with_table(table: &[u8]) -> Vec<u8> {
    let mut entries = samples::chinese().entries();
    entries.truncate(1);
    entries.push(Entry::stored("resources.arsc", table));
    Signing::of(TestKey::App).apply(entries)
}

fn patched(place: usize, bytes: &[u8]) -> Vec<u8> {
    let mut table = label_table(vec![ResourceValue::Text("Shelf".into())]);
    table[place..place + bytes.len()].copy_from_slice(bytes);
    with_table(&table)
}

/// Length of the only type chunk: header, offset, entry.
const TYPE_LENGTH: usize = 84 + 4 + 16;

fn patched_type(place: usize, bytes: &[u8]) -> Vec<u8> {
    let table = label_table(vec![ResourceValue::Text("Shelf".into())]);
    patched(table.len() - TYPE_LENGTH + place, bytes)
}

fn config_length(bytes: &[u8]) -> Vec<u8> {
    patched_type(20, bytes)
}

fn entry_offset(bytes: &[u8]) -> Vec<u8> {
    patched_type(84, bytes)
}

fn many_types() -> Vec<u8> {
    label_table(vec![ResourceValue::Text("a".into()); 40_000])
}

/// Signs an APK whose `debuggable` is a resource.
fn with_flag(table: &[u8], id: u32) -> Vec<u8> {
    let manifest = flag_manifest(id);
    let entries = vec![manifest, Entry::stored("resources.arsc", table)];
    Signing::of(TestKey::App).apply(entries)
}

fn without_table() -> Vec<u8> {
    Signing::of(TestKey::App).apply(vec![flag_manifest(0x0111_0000)])
}

fn flag_manifest(id: u32) -> Entry {
    let mut root = samples::plain().document();
    root.children[1].attributes = vec![android("debuggable", XmlValue::Reference(id))];
    Entry::deflated("AndroidManifest.xml", &encode(&root, true))
}
