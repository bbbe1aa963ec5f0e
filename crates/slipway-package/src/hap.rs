//! Facts of HarmonyOS packages.

use std::io::{Read, Seek};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::error::{Flaw, InspectionError, Part, quote};
use crate::facts::HapFacts;
use crate::limits::Limits;
use crate::source::Source;
use crate::zip::{Archive, read_entry};

const MODULE: &str = "module.json";

/// Maximum number of characters of an error from the JSON reader.
const LONGEST_MESSAGE: usize = 200;
const LONGEST_BUNDLE_NAME: usize = 128;
const LONGEST_VERSION_NAME: usize = 127;
const MAX_DEVICE_TYPES: usize = 64;
const LONGEST_DEVICE_TYPE: usize = 64;

/// Part of `module.json` by which a package is told from any archive that has a file of this name.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow)]
    app: &'a RawValue,
}

#[derive(Deserialize)]
struct ProbeApp {
    #[serde(rename = "bundleName")]
    _bundle_name: IgnoredAny,
}

#[derive(Deserialize)]
struct ModuleFile {
    app: App,
    module: Module,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct App {
    bundle_name: String,
    version_code: u64,
    version_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Module {
    device_types: Vec<String>,
}

/// Inspects a HAP; `None` if the archive has no `module.json` that names a bundle.
pub(crate) fn inspect<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    limits: &Limits,
) -> Result<Option<HapFacts>, InspectionError> {
    let module = archive.find(MODULE);
    let Some(entry) = module.filter(|entry| entry.is_readable() && entry.size <= limits.manifest_bytes)
    else {
        return Ok(None);
    };
    let text = read_entry(source, entry, Part::HapModule, limits.manifest_bytes)?;
    if !names_bundle(&text) {
        return Ok(None);
    }
    parse(&text).map(Some).map_err(|flaw| flaw.of(Part::HapModule))
}

fn names_bundle(text: &[u8]) -> bool {
    // Serde reads a structure from an array too, which is not the format of a module.
    let is_object = |text: &[u8]| text.trim_ascii_start().starts_with(b"{");
    let Ok(Probe { app }) = serde_json::from_slice(text) else {
        return false;
    };
    let app = app.get().as_bytes();
    is_object(text) && is_object(app) && serde_json::from_slice::<ProbeApp>(app).is_ok()
}

fn parse(text: &[u8]) -> Result<HapFacts, Flaw> {
    let file: ModuleFile = serde_json::from_slice(text).map_err(|error| {
        // The message may repeat a whole text of the file.
        let message: String = error.to_string().chars().take(LONGEST_MESSAGE).collect();
        Flaw::from(message)
    })?;
    require_bundle_name(&file.app.bundle_name)?;
    if file.app.version_name.len() > LONGEST_VERSION_NAME {
        return Err(format!("versionName is longer than {LONGEST_VERSION_NAME} bytes").into());
    }
    let types = &file.module.device_types;
    if types.len() > MAX_DEVICE_TYPES || types.iter().any(|name| name.len() > LONGEST_DEVICE_TYPE) {
        return Err("deviceTypes has too many or too long names".into());
    }
    Ok(HapFacts {
        bundle_name: file.app.bundle_name,
        version_code: file.app.version_code,
        version_name: file.app.version_name,
        device_types: file.module.device_types,
    })
}

fn require_bundle_name(name: &str) -> Result<(), Flaw> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
    if name.is_empty() || name.len() > LONGEST_BUNDLE_NAME || !name.chars().all(is_letter) {
        return Err(format!("{} is not a bundle name", quote(name.as_bytes())).into());
    }
    Ok(())
}
