//! Binary XML.

use crate::little_endian::{Bytes, chunk, length};
use crate::string_pool::StringPool;

const XML: u16 = 0x0003;
const RESOURCE_MAP: u16 = 0x0180;
const NAMESPACE_START: u16 = 0x0100;
const NAMESPACE_END: u16 = 0x0101;
const START_TAG: u16 = 0x0102;
const END_TAG: u16 = 0x0103;

const NONE: u32 = u32::MAX;
const ANDROID: &str = "http://schemas.android.com/apk/res/android";

/// Attributes of the framework: name and resource id, in the order of the ids.
const FRAMEWORK: [(&str, u32); 10] = [
    ("label", 0x0101_0001),
    ("icon", 0x0101_0002),
    ("hasCode", 0x0101_000c),
    ("debuggable", 0x0101_000f),
    ("minSdkVersion", 0x0101_020c),
    ("versionCode", 0x0101_021b),
    ("versionName", 0x0101_021c),
    ("targetSdkVersion", 0x0101_0270),
    ("testOnly", 0x0101_0272),
    ("versionCodeMajor", 0x0101_0576),
];

/// Element of a document.
#[derive(Clone, Debug)]
pub(crate) struct XmlElement {
    pub(crate) name: &'static str,
    pub(crate) attributes: Vec<XmlAttribute>,
    pub(crate) children: Vec<XmlElement>,
}

/// Attribute of an element.
#[derive(Clone, Debug)]
pub(crate) struct XmlAttribute {
    /// Resource id. The attribute then has the namespace of Android.
    pub(crate) id: Option<u32>,
    pub(crate) name: String,
    pub(crate) value: XmlValue,
}

/// Value of an attribute.
#[derive(Clone, Debug)]
pub(crate) enum XmlValue {
    Text(String),
    /// Raw text, and another text as the value.
    TwoTexts(String, String),
    Reference(u32),
    Integer(u32),
    Boolean(bool),
}

impl XmlElement {
    /// Builds an element. Its attributes are in the order that Android's search by id needs.
    pub(crate) fn new(name: &'static str, attributes: Vec<XmlAttribute>, children: Vec<Self>) -> Self {
        let mut element = Self {
            name,
            attributes,
            children,
        };
        element
            .attributes
            .sort_by_key(|attribute| attribute.id.unwrap_or(u32::MAX));
        element
    }
}

/// Builds an attribute of the framework.
pub(crate) fn android(name: &str, value: XmlValue) -> XmlAttribute {
    let (_, id) = FRAMEWORK.iter().find(|(known, _)| *known == name).unwrap();
    XmlAttribute {
        id: Some(*id),
        name: name.to_owned(),
        value,
    }
}

/// Builds an attribute without a namespace.
pub(crate) fn plain(name: &str, value: &str) -> XmlAttribute {
    XmlAttribute {
        id: None,
        name: name.to_owned(),
        value: XmlValue::Text(value.to_owned()),
    }
}

/// Encodes a document.
pub(crate) fn encode(root: &XmlElement, is_utf8: bool) -> Vec<u8> {
    let mut writer = Writer::new(root);
    let nodes = writer.document(root);
    let ids = writer.ids.iter().fold(Bytes::default(), |ids, id| ids.u32(*id));
    let body = [
        writer.strings.encode(is_utf8),
        chunk(RESOURCE_MAP, &[], &ids.0),
        nodes,
    ];
    chunk(XML, &[], &body.concat())
}

struct Writer {
    strings: StringPool,
    /// Resource ids of the first strings.
    ids: Vec<u32>,
}

impl Writer {
    /// Puts the names of attributes with an id first, because the resource map describes the first strings.
    fn new(root: &XmlElement) -> Self {
        let mut writer = Self {
            strings: StringPool::default(),
            ids: Vec::new(),
        };
        writer.collect_ids(root);
        writer
    }

    fn collect_ids(&mut self, element: &XmlElement) {
        for attribute in &element.attributes {
            if let Some(id) = attribute.id
                && usize::try_from(self.strings.index(&attribute.name)).unwrap() == self.ids.len()
            {
                self.ids.push(id);
            }
        }
        for child in &element.children {
            self.collect_ids(child);
        }
    }

    fn document(&mut self, root: &XmlElement) -> Vec<u8> {
        let namespace = Bytes::default()
            .u32(self.strings.index("android"))
            .u32(self.strings.index(ANDROID));
        let start = node(NAMESPACE_START, &namespace.0);
        [start, self.element(root), node(NAMESPACE_END, &namespace.0)].concat()
    }

    fn element(&mut self, element: &XmlElement) -> Vec<u8> {
        let name = self.strings.index(element.name);
        let attributes = element.attributes.iter();
        let attributes: Vec<_> = attributes.map(|attribute| self.attribute(attribute)).collect();
        let tag = Bytes::default()
            .u32(NONE)
            .u32(name)
            .u16(20)
            .u16(20)
            .u16(u16::try_from(attributes.len()).unwrap())
            .bytes(&[0; 6])
            .bytes(&attributes.concat());
        let mut nodes = node(START_TAG, &tag.0);
        for child in &element.children {
            nodes.extend(self.element(child));
        }
        nodes.extend(node(END_TAG, &Bytes::default().u32(NONE).u32(name).0));
        nodes
    }

    fn attribute(&mut self, attribute: &XmlAttribute) -> Vec<u8> {
        let namespace = match attribute.id {
            Some(_) => self.strings.index(ANDROID),
            None => NONE,
        };
        let name = self.strings.index(&attribute.name);
        let (raw, kind, data) = match &attribute.value {
            XmlValue::Text(text) => (self.strings.index(text), 0x03, self.strings.index(text)),
            XmlValue::TwoTexts(raw, value) => (self.strings.index(raw), 0x03, self.strings.index(value)),
            XmlValue::Reference(id) => (NONE, 0x01, *id),
            XmlValue::Integer(number) => (NONE, 0x10, *number),
            XmlValue::Boolean(flag) => (NONE, 0x12, if *flag { u32::MAX } else { 0 }),
        };
        let bytes = Bytes::default().u32(namespace).u32(name).u32(raw);
        bytes.u16(8).u8(0).u8(kind).u32(data).0
    }
}

/// Builds a node: its header has a line number and a comment.
pub(crate) fn node(kind: u16, body: &[u8]) -> Vec<u8> {
    chunk(kind, &Bytes::default().u32(1).u32(NONE).0, body)
}

/// Splits a document into the header of its chunk and the chunks in it.
pub(crate) fn chunks(document: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &document[8..];
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[4..8].try_into().unwrap());
        let (chunk, after) = rest.split_at(usize::try_from(size).unwrap());
        chunks.push(chunk.to_vec());
        rest = after;
    }
    chunks
}

/// Joins chunks to a document.
pub(crate) fn document(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let size = length(&body) + 8;
    Bytes::default().u16(XML).u16(8).u32(size).bytes(&body).0
}
