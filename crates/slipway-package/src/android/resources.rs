//! Resource tables (`resources.arsc`).

use super::chunk::{Chunk, HEADER_LENGTH, RESOURCE_TABLE, STRING_POOL};
use super::config::ResourceConfig;
use super::string_pool::StringPool;
use super::value::Value;
use crate::cursor::{Cursor, to_usize};
use crate::error::Flaw;

const PACKAGE: u16 = 0x0200;
const TYPE: u16 = 0x0201;

/// Number of type chunks that a table may have: one for each type and configuration.
const MAX_TYPES: usize = 16_384;
/// Number of values that one resource may lead to.
const MAX_VALUES: usize = 512;
/// Number of references that may follow each other.
const LONGEST_CHAIN: usize = 8;

/// Flags of a type chunk.
const SPARSE: u8 = 1;
const SHORT_OFFSETS: u8 = 2;
/// Flags of an entry.
const COMPLEX: u16 = 1;
const COMPACT: u16 = 8;

/// Resource table. Values are looked up in the bytes.
pub(super) struct ResourceTable<'a> {
    strings: StringPool<'a>,
    types: Vec<TypeChunk<'a>>,
}

/// Values of one type of resource for one configuration.
struct TypeChunk<'a> {
    /// Package and type, the upper half of a resource id.
    id: u32,
    chunk: Chunk<'a>,
}

impl<'a> ResourceTable<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let table = Chunk::next(&mut Cursor::new(bytes))?;
        if table.kind != RESOURCE_TABLE {
            return Err("it is not a resource table".into());
        }
        let mut strings = None;
        let mut types = Vec::new();
        let mut rest = table.body()?;
        while !rest.is_empty() {
            let chunk = Chunk::next(&mut rest)?;
            match chunk.kind {
                STRING_POOL if strings.is_some() => return Err("it has two string pools".into()),
                STRING_POOL => strings = Some(StringPool::parse(&chunk)?),
                PACKAGE => collect_types(&chunk, &mut types)?,
                _ => {}
            }
        }
        Ok(Self {
            strings: strings.ok_or("it has no string pool")?,
            types,
        })
    }

    /// Returns the texts of a resource and the configurations for which they are.
    pub(super) fn texts(&self, id: u32) -> Result<Vec<(ResourceConfig, String)>, Flaw> {
        let values = self.resolve(id)?;
        let texts = values.into_iter().filter_map(|(config, value)| match value {
            Value::String(index) => Some(self.strings.get(index).map(|text| (config, text))),
            Value::Integer(number) => Some(Ok((config, number.to_string()))),
            _ => None,
        });
        texts.collect()
    }

    /// Returns `true` if a resource is true for any configuration; `None` if it has no value.
    pub(super) fn is_ever_true(&self, id: u32) -> Result<Option<bool>, Flaw> {
        let values = self.resolve(id)?;
        let mut any = None;
        for (_, value) in values {
            let flag = matches!(value, Value::Boolean(true))
                || matches!(value, Value::Integer(number) if number != 0);
            any = Some(any.unwrap_or(false) || flag);
        }
        Ok(any)
    }

    /// Follows references until they lead to values.
    fn resolve(&self, id: u32) -> Result<Vec<(ResourceConfig, Value)>, Flaw> {
        let mut found = Vec::new();
        let mut pending = vec![(id, None, 0)];
        let mut visited = 0;
        while let Some((id, outer, depth)) = pending.pop() {
            for (own, value) in self.values(id)? {
                visited += 1;
                if visited > MAX_VALUES {
                    return Err("a resource has too many values".into());
                }
                // The configuration of the first resource decides when its value applies.
                let config = outer.clone().unwrap_or(own);
                match value {
                    Value::Reference(_) if depth >= LONGEST_CHAIN => {
                        return Err("a chain of references is too long, or a cycle".into());
                    }
                    Value::Reference(next) => pending.push((next, Some(config), depth + 1)),
                    value => found.push((config, value)),
                }
            }
        }
        Ok(found)
    }

    fn values(&self, id: u32) -> Result<Vec<(ResourceConfig, Value)>, Flaw> {
        let mut values = Vec::new();
        for group in self.types.iter().filter(|group| group.id == id >> 16) {
            if let Some(value) = group.value(id & 0xffff)? {
                // The configuration follows the id, the flags, the number of entries and their offset.
                let config = Cursor::at(group.chunk.bytes, HEADER_LENGTH + 12)?;
                values.push((ResourceConfig::read(config)?, value));
            }
        }
        Ok(values)
    }
}

fn collect_types<'a>(package: &Chunk<'a>, types: &mut Vec<TypeChunk<'a>>) -> Result<(), Flaw> {
    let id = package.header()?.u32()?;
    let mut rest = package.body()?;
    while !rest.is_empty() {
        let chunk = Chunk::next(&mut rest)?;
        if chunk.kind != TYPE {
            continue;
        }
        if types.len() == MAX_TYPES {
            return Err("it has too many types".into());
        }
        let type_id = chunk.header()?.u8()?;
        types.push(TypeChunk {
            id: id << 8 | u32::from(type_id),
            chunk,
        });
    }
    Ok(())
}

impl TypeChunk<'_> {
    /// Returns the value of an entry; `None` if this configuration has none.
    fn value(&self, entry: u32) -> Result<Option<Value>, Flaw> {
        let mut header = self.chunk.header()?;
        let _id = header.u8()?;
        let flags = header.u8()?;
        let _reserved = header.u16()?;
        let count = header.u32()?;
        let start = header.size()?;
        let Some(offset) = self.offset(entry, count, flags)? else {
            return Ok(None);
        };
        let offset = start.checked_add(offset).ok_or(Flaw::CUT_OFF)?;
        read_entry(Cursor::at(self.chunk.bytes, offset)?)
    }

    /// Finds the offset of an entry among the values.
    fn offset(&self, entry: u32, count: u32, flags: u8) -> Result<Option<usize>, Flaw> {
        let mut offsets = self.chunk.body()?;
        if flags & SPARSE != 0 {
            let length = to_usize(count).checked_mul(4).ok_or(Flaw::CUT_OFF)?;
            return Ok(find_sparse(offsets.take(length)?, entry));
        }
        if entry >= count {
            return Ok(None);
        }
        let width = if flags & SHORT_OFFSETS != 0 { 2 } else { 4 };
        offsets.take(to_usize(entry) * width)?;
        if width == 2 {
            let offset = offsets.u16()?;
            return Ok((offset != u16::MAX).then_some(usize::from(offset) * 4));
        }
        let offset = offsets.u32()?;
        Ok((offset != u32::MAX).then_some(to_usize(offset)))
    }
}

/// Finds the offset of an entry among pairs of index and offset, which are sorted.
fn find_sparse(pairs: &[u8], entry: u32) -> Option<usize> {
    let (pairs, _) = pairs.as_chunks::<4>();
    let index = |pair: &[u8; 4]| u32::from(u16::from_le_bytes([pair[0], pair[1]]));
    let position = pairs.binary_search_by_key(&entry, index).ok()?;
    let [_, _, low, high] = *pairs.get(position)?;
    Some(usize::from(u16::from_le_bytes([low, high])) * 4)
}

/// Reads an entry; `None` for a style, an array or a plural.
fn read_entry(mut rest: Cursor<'_>) -> Result<Option<Value>, Flaw> {
    let _size = rest.u16()?;
    let flags = rest.u16()?;
    if flags & COMPACT != 0 {
        let [_, kind] = flags.to_le_bytes();
        return Ok(Some(Value::of(kind, rest.u32()?)));
    }
    let _key = rest.u32()?;
    if flags & COMPLEX != 0 {
        return Ok(None);
    }
    Value::read(&mut rest).map(Some)
}
