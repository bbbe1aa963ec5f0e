//! APKs.

use crate::binary_xml::{self, XmlAttribute, XmlElement, XmlValue, android, plain};
use crate::resource_table::{self, Resource, ResourceConfig, ResourceValue, resource_id};
use crate::signing::Signing;
use crate::zip::{Entry, write};

/// Path of the icon for each density.
const ICONS: [(u16, &str); 2] = [
    (160, "res/mipmap-mdpi/icon.png"),
    (320, "res/mipmap-xhdpi/icon.png"),
];

/// Android package to make.
#[derive(Clone, Debug)]
pub struct Apk {
    pub package: String,
    /// The upper 32 bits become `versionCodeMajor`, if they are not zero.
    pub version_code: u64,
    pub version_name: String,
    pub min_sdk: u32,
    pub target_sdk: u32,
    pub label: Label,
    /// PNG for the usual density, and one for a higher density.
    pub icons: Option<[Vec<u8>; 2]>,
    pub abis: Vec<&'static str>,
    pub debuggable: bool,
    pub test_only: bool,
    /// Number of bytes of filler, which make the file larger and do not compress.
    pub filler: usize,
}

/// Name of an app.
#[derive(Clone, Debug)]
pub enum Label {
    /// Text in the manifest.
    Literal(String),
    /// Text in the resource table, by locale; an empty locale is the default.
    Resource(Vec<(&'static str, String)>),
}

impl Apk {
    /// Describes a plain package without code, which installs on Android 5 and later.
    pub fn new(package: &str, version_code: u64, version_name: &str) -> Self {
        Self {
            package: package.to_owned(),
            version_code,
            version_name: version_name.to_owned(),
            min_sdk: 21,
            target_sdk: 34,
            label: Label::Literal("Sample".to_owned()),
            icons: None,
            abis: Vec::new(),
            debuggable: false,
            test_only: false,
            filler: 0,
        }
    }

    /// Makes the file with signatures.
    pub fn signed(&self, signing: &Signing) -> Vec<u8> {
        signing.apply(self.entries())
    }

    /// Makes the file without a signature.
    pub fn unsigned(&self) -> Vec<u8> {
        write(&self.entries())
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::deflated("AndroidManifest.xml", &self.manifest())];
        let resources = self.resources();
        if !resources.is_empty() {
            let table = resource_table::encode(&self.package, &resources);
            entries.push(Entry::stored("resources.arsc", &table));
        }
        for ((_, path), icon) in ICONS.iter().zip(self.icons.iter().flatten()) {
            entries.push(Entry::stored(path, icon));
        }
        for abi in &self.abis {
            entries.push(Entry::stored(&format!("lib/{abi}/libsample.so"), b"\x7fELF"));
        }
        if self.filler > 0 {
            entries.push(Entry::stored("assets/filler.bin", &filler(self.filler)));
        }
        entries
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        binary_xml::encode(&self.document(), false)
    }

    pub(crate) fn document(&self) -> XmlElement {
        let low = u32::try_from(self.version_code & 0xffff_ffff).unwrap();
        let major = u32::try_from(self.version_code >> 32).unwrap();
        let mut root = vec![
            android("versionCode", XmlValue::Integer(low)),
            android("versionName", XmlValue::Text(self.version_name.clone())),
            plain("package", &self.package),
        ];
        if major > 0 {
            root.push(android("versionCodeMajor", XmlValue::Integer(major)));
        }
        let sdk = vec![
            android("minSdkVersion", XmlValue::Integer(self.min_sdk)),
            android("targetSdkVersion", XmlValue::Integer(self.target_sdk)),
        ];
        let children = vec![
            XmlElement::new("uses-sdk", sdk, Vec::new()),
            XmlElement::new("application", self.application(), Vec::new()),
        ];
        XmlElement::new("manifest", root, children)
    }

    fn application(&self) -> Vec<XmlAttribute> {
        let label = match &self.label {
            Label::Literal(text) => XmlValue::Text(text.clone()),
            Label::Resource(_) => XmlValue::Reference(resource_id(0)),
        };
        let mut attributes = vec![
            android("label", label),
            android("hasCode", XmlValue::Boolean(false)),
        ];
        if self.icons.is_some() {
            let index = u32::from(matches!(self.label, Label::Resource(_)));
            attributes.push(android("icon", XmlValue::Reference(resource_id(index))));
        }
        if self.debuggable {
            attributes.push(android("debuggable", XmlValue::Boolean(true)));
        }
        if self.test_only {
            attributes.push(android("testOnly", XmlValue::Boolean(true)));
        }
        attributes
    }

    fn resources(&self) -> Vec<Resource> {
        let mut resources = Vec::new();
        if let Label::Resource(texts) = &self.label {
            let texts = texts.iter();
            let values =
                texts.map(|(locale, text)| (locale_config(locale), ResourceValue::Text(text.clone())));
            resources.push(Resource {
                kind: "string",
                name: "app_name",
                values: values.collect(),
            });
        }
        if self.icons.is_some() {
            let values = ICONS.iter().map(|(density, path)| {
                let config = ResourceConfig {
                    density: *density,
                    ..ResourceConfig::default()
                };
                (config, ResourceValue::Text((*path).to_owned()))
            });
            resources.push(Resource {
                kind: "mipmap",
                name: "icon",
                values: values.collect(),
            });
        }
        resources
    }
}

/// Parses a locale such as `zh-CN`.
fn locale_config(locale: &str) -> ResourceConfig {
    let mut bytes = [0; 4];
    for (place, letter) in bytes
        .iter_mut()
        .zip(locale.bytes().filter(|letter| *letter != b'-'))
    {
        *place = letter;
    }
    ResourceConfig {
        locale: bytes,
        density: 0,
    }
}

/// Returns bytes that do not compress, the same every time.
fn filler(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}
