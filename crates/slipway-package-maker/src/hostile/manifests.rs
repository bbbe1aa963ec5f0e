//! Hostile manifests.

use super::{HostileFile, kind, refused};
use crate::apk::Apk;
use crate::binary_xml::{XmlAttribute, XmlElement, XmlValue, android, chunks, document, encode, node, plain};
use crate::key::TestKey;
use crate::little_endian::Bytes;
use crate::samples;
use crate::signing::Signing;
use crate::zip::Entry;

pub(super) fn files() -> Vec<HostileFile> {
    [structures(), strings(), elements(), attributes()].concat()
}

/// Signs an APK with the manifest: nothing but the manifest is wrong.
fn apk(manifest: &[u8]) -> Vec<u8> {
    Signing::of(TestKey::App).apply(vec![Entry::deflated("AndroidManifest.xml", manifest)])
}

/// Changes bytes of the plain manifest.
fn patched(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut manifest = samples::plain().manifest();
    change(&mut manifest);
    apk(&manifest)
}

/// Changes the chunks of the plain manifest: strings, ids, namespace, tags.
fn rearranged(change: impl Fn(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut parts = chunks(&samples::plain().manifest());
    change(&mut parts);
    apk(&document(&parts))
}

fn structures() -> Vec<HostileFile> {
    let short = "shorter than its header";
    let start = |parts: &Vec<Vec<u8>>| parts[3].clone();
    vec![
        kind(
            "manifest-is-text.aar",
            "zip",
            apk(b"<manifest package=\"com.example.sample\"/>"),
        ),
        kind("manifest-is-empty.apk", "zip", apk(b"")),
        refused("manifest-is-magic-only.apk", "cut off", apk(&[3, 0, 8, 0])),
        refused(
            "manifest-is-shorter-than-stated.apk",
            "cut off",
            patched(|bytes| bytes.truncate(bytes.len() - 8)),
        ),
        refused(
            "chunk-of-no-length.apk",
            short,
            rearranged(|parts| parts[3][4..8].fill(0)),
        ),
        refused(
            "chunk-contains-itself.apk",
            short,
            rearranged(|parts| parts[3][4] = 4),
        ),
        refused(
            "chunk-beyond-file.apk",
            "cut off",
            rearranged(|parts| parts[3][4..8].fill(0xff)),
        ),
        refused(
            "header-longer-than-chunk.apk",
            short,
            rearranged(|parts| parts[3][2..4].fill(0xff)),
        ),
        refused(
            "1000-levels.apk",
            "nested deeper",
            rearranged(|parts| {
                let tags = vec![start(parts); 1000];
                parts.splice(4..4, tags);
            }),
        ),
        refused(
            "no-end-tag.apk",
            "no end tag",
            rearranged(|parts| parts.truncate(parts.len() - 2)),
        ),
        refused(
            "no-start-tag.apk",
            "no start tag",
            rearranged(|parts| parts.push(node(0x0103, &[0xff; 8]))),
        ),
        refused("no-element.apk", "cut off", rearranged(|parts| parts.truncate(2))),
        refused(
            "no-element-but-namespace.apk",
            "no element",
            rearranged(|parts| parts.truncate(3)),
        ),
        refused(
            "two-string-pools.apk",
            "two string pools",
            rearranged(|parts| parts.insert(1, parts[0].clone())),
        ),
        refused(
            "string-pool-after-tags.apk",
            "two string pools",
            rearranged(|parts| parts.push(parts[0].clone())),
        ),
        refused(
            "no-string-pool.apk",
            "no string pool",
            rearranged(|parts| drop(parts.remove(0))),
        ),
    ]
}

fn strings() -> Vec<HostileFile> {
    let number = |place: usize, number: u32| {
        rearranged(move |parts| parts[0][place..place + 4].copy_from_slice(&number.to_le_bytes()))
    };
    let mut long = samples::plain();
    long.version_name = "9".repeat(5000);
    vec![
        refused("strings-without-number.apk", "cut off", number(8, u32::MAX)),
        refused("strings-beyond-pool.apk", "cut off", number(20, 0x7fff_ffff)),
        refused("string-beyond-pool.apk", "cut off", number(28, 0x7fff_ffff)),
        refused("string-longer-than-stated.apk", "false length", string_length(1)),
        refused("string-of-2-gb.apk", "longer than", string_length(0xffff)),
        refused(
            "string-of-5000.apk",
            "longer than",
            long.signed(&Signing::of(TestKey::App)),
        ),
        refused(
            "name-beyond-pool.apk",
            "cut off",
            rearranged(|parts| parts[3][20..24].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f])),
        ),
    ]
}

/// States another length for all strings.
fn string_length(length: u16) -> Vec<u8> {
    rearranged(move |parts| {
        let pool = &mut parts[0];
        let read = |pool: &[u8], place: usize| {
            usize::try_from(u32::from_le_bytes(pool[place..place + 4].try_into().unwrap())).unwrap()
        };
        let (count, start) = (read(pool, 8), read(pool, 20));
        for index in 0..count {
            let place = start + read(pool, 28 + 4 * index);
            pool[place..place + 2].copy_from_slice(&length.to_le_bytes());
        }
    })
}

fn signed_document(root: &XmlElement) -> Vec<u8> {
    apk(&encode(root, true))
}

fn elements() -> Vec<HostileFile> {
    let doubled = |index: usize| {
        let mut root = samples::plain().document();
        root.children.push(root.children[index].clone());
        signed_document(&root)
    };
    let named = |package: &str| Apk::new(package, 1, "1").signed(&Signing::of(TestKey::App));
    let mut other_root = samples::plain().document();
    other_root.name = "application";
    let mut twin = samples::plain().document();
    twin.attributes.push(plain("package", "com.example.other"));
    vec![
        refused("two-applications.apk", "two elements application", doubled(1)),
        refused("two-sdks.apk", "two elements uses-sdk", doubled(0)),
        refused(
            "two-roots.apk",
            "two elements manifest",
            rearranged(|parts| {
                let tags = parts[3..parts.len() - 1].to_vec();
                let end = parts.len() - 1;
                parts.splice(end..end, tags);
            }),
        ),
        refused(
            "root-is-not-a-manifest.apk",
            "not a manifest",
            signed_document(&other_root),
        ),
        refused(
            "no-package.apk",
            "no package name",
            signed_document(&XmlElement::new("manifest", Vec::new(), Vec::new())),
        ),
        refused("two-packages.apk", "package twice", signed_document(&twin)),
        refused(
            "package-is-a-path.apk",
            "not a package name",
            named("../../data/evil"),
        ),
        refused("package-has-two-texts.apk", "has two texts", {
            let mut root = samples::plain().document();
            for attribute in &mut root.attributes {
                if attribute.name == "package" {
                    let raw = "com.example.other".to_owned();
                    attribute.value = XmlValue::TwoTexts(raw, samples::PACKAGE.to_owned());
                }
            }
            signed_document(&root)
        }),
        refused(
            "package-has-control.apk",
            "not a package name",
            named("com.example\n.sample"),
        ),
        refused(
            "package-has-one-segment.apk",
            "not a package name",
            named("sample"),
        ),
        refused(
            "package-is-long.apk",
            "not a package name",
            named(&format!("a.{}", "b".repeat(300))),
        ),
    ]
}

/// Replaces the attributes of the root, besides the package.
fn root_attributes(attributes: Vec<XmlAttribute>) -> Vec<u8> {
    let mut root = samples::plain().document();
    root.attributes = attributes;
    root.attributes.push(plain("package", samples::PACKAGE));
    signed_document(&root)
}

fn attributes() -> Vec<HostileFile> {
    let code = |value: XmlValue| android("versionCode", value);
    let mut renamed = code(XmlValue::Integer(7));
    "versionName".clone_into(&mut renamed.name);
    let mut hidden = code(XmlValue::Integer(7));
    hidden.id = Some(0x0101_0000);
    let one_attribute = |place: usize, bytes: &'static [u8]| {
        rearranged(move |parts| parts[3][place..place + bytes.len()].copy_from_slice(bytes))
    };
    vec![
        refused(
            "version-code-twice.apk",
            "twice, or not in order",
            root_attributes(vec![code(XmlValue::Integer(1)), code(XmlValue::Integer(9))]),
        ),
        refused(
            "attributes-out-of-order.apk",
            "twice, or not in order",
            root_attributes(vec![
                android("versionName", XmlValue::Text("1".into())),
                code(XmlValue::Integer(1)),
            ]),
        ),
        refused(
            "attribute-with-another-name.apk",
            "id of another",
            root_attributes(vec![renamed]),
        ),
        refused(
            "attribute-with-another-id.apk",
            "id of another",
            root_attributes(vec![hidden]),
        ),
        refused(
            "version-code-is-text.apk",
            "versionCode is not a number",
            root_attributes(vec![code(XmlValue::Text("7".into()))]),
        ),
        refused(
            "version-code-is-a-reference.apk",
            "versionCode is not a number",
            root_attributes(vec![code(XmlValue::Reference(0x7f01_0000))]),
        ),
        refused(
            "version-code-is-negative.apk",
            "negative",
            root_attributes(vec![android("versionCodeMajor", XmlValue::Integer(0x8000_0000))]),
        ),
        // The place and the size of the attributes follow two 32-bit numbers and the header of 16 bytes.
        refused(
            "attributes-of-no-size.apk",
            "false size",
            one_attribute(26, &[0, 0]),
        ),
        refused(
            "attributes-before-tag.apk",
            "false size",
            one_attribute(24, &[0, 0]),
        ),
        refused(
            "65535-attributes.apk",
            "attributes",
            one_attribute(28, &[0xff, 0xff]),
        ),
        refused(
            "attributes-beyond-tag.apk",
            "cut off",
            one_attribute(24, &[0xff, 0x7f]),
        ),
        refused("ids-beyond-strings.apk", "id of another", more_ids()),
    ]
}

/// Gives ids to strings that are not names of attributes.
fn more_ids() -> Vec<u8> {
    rearranged(|parts| {
        let ids = (0..64).fold(Bytes::default(), |ids, index| ids.u32(0x0101_0000 + index));
        parts[1] = crate::little_endian::chunk(0x0180, &[], &ids.0);
    })
}
