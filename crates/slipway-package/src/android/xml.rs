//! Binary XML: the start tags of a manifest.

use super::chunk::{Chunk, STRING_POOL, XML};
use super::string_pool::StringPool;
use super::value::Value;
use crate::cursor::{Cursor, to_usize};
use crate::error::Flaw;

const RESOURCE_MAP: u16 = 0x0180;
const START_TAG: u16 = 0x0102;
const END_TAG: u16 = 0x0103;
const NODES: std::ops::RangeInclusive<u16> = 0x0100..=0x017f;

/// Number of attributes that an element may have.
const MAX_ATTRIBUTES: u16 = 256;

const NO_NAMESPACE: u32 = u32::MAX;
/// Index of no text.
const NO_TEXT: u32 = u32::MAX;

/// Bytes with which a binary manifest begins: the type of the chunk and the length of its header.
pub(super) const MAGIC: [u8; 4] = [3, 0, 8, 0];

/// Strings and resource ids that the tags of a document refer to.
#[derive(Clone, Copy)]
struct Names<'a> {
    strings: StringPool<'a>,
    /// Resource ids of the attributes that the first strings name.
    ids: &'a [u8],
}

impl Names<'_> {
    /// Returns the resource id of an attribute by the index of its name; 0 if it has none.
    fn id(&self, name: u32) -> u32 {
        let position = to_usize(name).checked_mul(4);
        let id = position.and_then(|position| Cursor::at(self.ids, position).ok());
        id.and_then(|mut id| id.u32().ok()).unwrap_or(0)
    }
}

/// Start tag of an element, decoded on demand.
pub(super) struct StartTag<'a> {
    names: Names<'a>,
    /// Number of elements around this one.
    pub(super) depth: usize,
    name: u32,
    attributes: Cursor<'a>,
    attribute_length: usize,
    attribute_count: u16,
}

/// Attribute of an element.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    /// Resource id; 0 if there is none.
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) has_namespace: bool,
    /// Text as it was written; absent for a typed value. Android reads it instead of the value where it looks for an
    /// attribute by its name.
    pub(super) raw_text: Option<String>,
    pub(super) value: AttributeValue,
}

/// Value of an attribute, with the text of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AttributeValue {
    Text(String),
    Typed(Value),
}

impl StartTag<'_> {
    pub(super) fn name(&self) -> Result<String, Flaw> {
        self.names.strings.get(self.name)
    }

    pub(super) fn attributes(&self) -> Result<Vec<Attribute>, Flaw> {
        if self.attribute_count > MAX_ATTRIBUTES {
            return Err(format!("an element has more than {MAX_ATTRIBUTES} attributes").into());
        }
        let mut rest = self.attributes;
        let attributes = (0..self.attribute_count).map(|_| {
            let bytes = rest.take(self.attribute_length)?;
            self.attribute(Cursor::new(bytes))
        });
        attributes.collect()
    }

    fn attribute(&self, mut bytes: Cursor<'_>) -> Result<Attribute, Flaw> {
        let namespace = bytes.u32()?;
        let name = bytes.u32()?;
        let raw_text = match bytes.u32()? {
            NO_TEXT => None,
            index => Some(self.names.strings.get(index)?),
        };
        let value = match Value::read(&mut bytes)? {
            Value::String(index) => AttributeValue::Text(self.names.strings.get(index)?),
            value => AttributeValue::Typed(value),
        };
        Ok(Attribute {
            id: self.names.id(name),
            name: self.names.strings.get(name)?,
            has_namespace: namespace != NO_NAMESPACE,
            raw_text,
            value,
        })
    }
}

/// Calls `visit` with each start tag of a document, in order.
pub(super) fn visit_tags<'a>(
    document: &'a [u8],
    deepest: usize,
    mut visit: impl FnMut(&StartTag<'a>) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let document = Chunk::next(&mut Cursor::new(document))?;
    if document.kind != XML {
        return Err("it is not binary XML".into());
    }
    let mut rest = document.body()?;
    let names = read_names(&mut rest)?;
    let mut depth = 0_usize;
    while !rest.is_empty() {
        let chunk = Chunk::next(&mut rest)?;
        match chunk.kind {
            START_TAG if depth >= deepest => {
                return Err(format!("elements are nested deeper than {deepest}").into());
            }
            START_TAG => {
                visit(&start_tag(&chunk, names, depth)?)?;
                depth += 1;
            }
            END_TAG => depth = depth.checked_sub(1).ok_or("an end tag has no start tag")?,
            STRING_POOL | RESOURCE_MAP => return Err("it has two string pools or resource maps".into()),
            _ => {}
        }
    }
    if depth > 0 {
        return Err("an element has no end tag".into());
    }
    Ok(())
}

/// Reads the string pool and the resource map, which precede the nodes.
fn read_names<'a>(rest: &mut Cursor<'a>) -> Result<Names<'a>, Flaw> {
    let mut strings = None;
    let mut ids = None;
    loop {
        let mut ahead = *rest;
        let chunk = Chunk::next(&mut ahead)?;
        match chunk.kind {
            kind if NODES.contains(&kind) => break,
            STRING_POOL if strings.is_none() => strings = Some(StringPool::parse(&chunk)?),
            RESOURCE_MAP if ids.is_none() => ids = Some(chunk.body()?.rest()),
            STRING_POOL | RESOURCE_MAP => return Err("it has two string pools or resource maps".into()),
            _ => {}
        }
        *rest = ahead;
    }
    Ok(Names {
        strings: strings.ok_or("it has no string pool")?,
        ids: ids.unwrap_or_default(),
    })
}

fn start_tag<'a>(chunk: &Chunk<'a>, names: Names<'a>, depth: usize) -> Result<StartTag<'a>, Flaw> {
    let body = chunk.body()?;
    let mut rest = body;
    let _namespace = rest.u32()?;
    let name = rest.u32()?;
    let attribute_start = usize::from(rest.u16()?);
    let attribute_length = usize::from(rest.u16()?);
    let attribute_count = rest.u16()?;
    if attribute_start < 20 || attribute_length < 20 {
        return Err("an element has attributes of a false size".into());
    }
    Ok(StartTag {
        names,
        depth,
        name,
        attributes: Cursor::at(body.rest(), attribute_start)?,
        attribute_length,
        attribute_count,
    })
}
