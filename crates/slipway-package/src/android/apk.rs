//! Facts of an APK.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use super::manifest::{Flag, Manifest, Text};
use super::resources::ResourceTable;
use super::{icon, manifest_reader, xml};
use crate::error::{Flaw, InspectionError, Part};
use crate::facts::ApkFacts;
use crate::limits::Limits;
use crate::signing;
use crate::source::Source;
use crate::zip::{Archive, read_beginning, read_entry};

const MANIFEST: &str = "AndroidManifest.xml";
const RESOURCES: &str = "resources.arsc";

/// Longest label, as on Android, in characters.
const LONGEST_LABEL: usize = 1000;

const ABIS: [&str; 8] = [
    "arm64-v8a",
    "armeabi",
    "armeabi-v7a",
    "mips",
    "mips64",
    "riscv64",
    "x86",
    "x86_64",
];

/// Inspects an APK; `None` if the archive has no binary manifest. A library (AAR) has one of plain XML.
pub(crate) fn inspect<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    limits: &Limits,
) -> Result<Option<ApkFacts>, InspectionError> {
    let Some(entry) = archive.find(MANIFEST) else {
        return Ok(None);
    };
    let part = Part::AndroidManifest;
    if read_beginning(source, entry, part, 4)? != xml::MAGIC {
        return Ok(None);
    }
    let document = read_entry(source, entry, part, limits.manifest_bytes)?;
    let manifest = manifest_reader::read(&document, limits.xml_depth).map_err(|flaw| flaw.of(part))?;
    drop(document);
    let resources = Resources::read(source, archive, &manifest, limits)?;
    Ok(Some(ApkFacts {
        version_code: manifest.long_version_code(),
        version_name: resources.version_name,
        min_sdk: manifest.min_sdk.unwrap_or(1),
        target_sdk: manifest.target_sdk.or(manifest.min_sdk).unwrap_or(1),
        abis: abis(archive),
        label: resources.labels.default,
        labels: resources.labels.by_language,
        icon: icon::read(source, archive, &resources.icon_paths, limits.icon_bytes)?,
        signing: signing::inspect(source, archive, limits)?,
        debuggable: resources.debuggable,
        test_only: resources.test_only,
        package_name: manifest.package,
        split: manifest.split,
    }))
}

/// Lists the ABIs for which there are native libraries.
fn abis(archive: &Archive) -> Vec<String> {
    let found: BTreeSet<_> = archive.entries().filter_map(|(name, _)| abi(name)).collect();
    found.into_iter().map(str::to_owned).collect()
}

fn abi(name: &[u8]) -> Option<&'static str> {
    let path = std::str::from_utf8(name.strip_prefix(b"lib/")?).ok()?;
    let (abi, library) = path.split_once('/')?;
    let is_library = library
        .strip_suffix(".so")
        .is_some_and(|name| !name.contains('/'));
    ABIS.into_iter().find(|known| is_library && *known == abi)
}

/// Values of the manifest after the lookups in the resource table.
#[derive(Default)]
struct Resources {
    version_name: Option<String>,
    labels: Labels,
    icon_paths: Vec<String>,
    debuggable: bool,
    test_only: bool,
}

/// Names of an app.
#[derive(Default)]
struct Labels {
    default: Option<String>,
    by_language: BTreeMap<String, String>,
}

impl Resources {
    fn read<R: Read + Seek>(
        source: &mut Source<R>,
        archive: &Archive,
        manifest: &Manifest,
        limits: &Limits,
    ) -> Result<Self, InspectionError> {
        let entry = archive
            .find(RESOURCES)
            .filter(|entry| entry.size <= limits.resources_bytes);
        let bytes = match entry {
            Some(entry) if refers_to_resources(manifest) => Some(read_entry(
                source,
                entry,
                Part::Resources,
                limits.resources_bytes,
            )?),
            _ => None,
        };
        let resolve = || {
            let table = bytes.as_deref().map(ResourceTable::parse).transpose()?;
            Self::resolve(manifest, table.as_ref())
        };
        resolve().map_err(|flaw: Flaw| flaw.of(Part::Resources))
    }

    fn resolve(manifest: &Manifest, table: Option<&ResourceTable<'_>>) -> Result<Self, Flaw> {
        Ok(Self {
            version_name: labels(manifest.version_name.as_ref(), table)?.default,
            labels: labels(manifest.label.as_ref(), table)?,
            icon_paths: match (manifest.icon, table) {
                (Some(icon), Some(table)) => icon::paths(table, icon)?,
                _ => Vec::new(),
            },
            debuggable: flag(manifest.debuggable, table)?,
            test_only: flag(manifest.test_only, table)?,
        })
    }
}

fn refers_to_resources(manifest: &Manifest) -> bool {
    let is_resource = |text: &Option<Text>| matches!(text, Some(Text::Resource(_)));
    let is_flag = |flag: Flag| matches!(flag, Flag::Resource(_));
    is_resource(&manifest.version_name)
        || is_resource(&manifest.label)
        || manifest.icon.is_some()
        || is_flag(manifest.debuggable)
        || is_flag(manifest.test_only)
}

/// Returns a text in the default language and in the others.
fn labels(text: Option<&Text>, table: Option<&ResourceTable<'_>>) -> Result<Labels, Flaw> {
    let shorten = |text: String| text.chars().take(LONGEST_LABEL).collect::<String>();
    let mut labels = Labels::default();
    match (text, table) {
        (Some(Text::Literal(text)), _) => labels.default = Some(shorten(text.clone())),
        (Some(Text::Resource(id)), Some(table)) => {
            let texts = table.texts(*id)?;
            labels.default = texts.first().map(|(_, text)| shorten(text.clone()));
            for (config, text) in texts.into_iter().filter(|(config, _)| config.is_general) {
                if config.language.is_empty() {
                    labels.default = Some(shorten(text));
                } else {
                    labels.by_language.insert(config.language, shorten(text));
                }
            }
        }
        _ => {}
    }
    Ok(labels)
}

/// Returns a flag, which must be known: an unknown one could hide that a package is unsafe.
fn flag(flag: Flag, table: Option<&ResourceTable<'_>>) -> Result<bool, Flaw> {
    match (flag, table) {
        (Flag::Literal(flag), _) => Ok(flag),
        (Flag::Resource(id), Some(table)) => {
            let value = table.is_ever_true(id)?;
            value.ok_or_else(|| "debuggable or testOnly refers to a resource that does not exist".into())
        }
        (Flag::Resource(_), None) => {
            Err("debuggable or testOnly refers to a table that cannot be read".into())
        }
    }
}
