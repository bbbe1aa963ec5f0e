//! Resource tables.

use crate::little_endian::{Bytes, chunk, length};
use crate::string_pool::StringPool;

const TABLE: u16 = 0x0002;
const PACKAGE: u16 = 0x0200;
const TYPE: u16 = 0x0201;
const TYPE_SPEC: u16 = 0x0202;

const PACKAGE_ID: u32 = 0x7f;
const PACKAGE_HEADER_LENGTH: u32 = 288;
const CONFIG_LENGTH: u32 = 64;

/// Resource with its values.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) values: Vec<(ResourceConfig, ResourceValue)>,
}

/// Configuration that a value applies to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ResourceConfig {
    /// Language and country, such as `zhCN`.
    pub(crate) locale: [u8; 4],
    pub(crate) density: u16,
}

#[derive(Clone, Debug)]
pub(crate) enum ResourceValue {
    Text(String),
    Reference(u32),
}

/// String pools of a table: its values, and the names of the types and of the resources.
#[derive(Default)]
struct StringPools {
    values: StringPool,
    types: StringPool,
    keys: StringPool,
}

/// Encodes a table in which every resource has a type of its own. The resource at index `n` has the id `resource_id(n)`.
pub(crate) fn encode(package: &str, resources: &[Resource]) -> Vec<u8> {
    let mut pools = StringPools::default();
    let mut chunks = Vec::new();
    for resource in resources {
        chunks.extend(encode_resource(resource, &mut pools));
    }
    let package = encode_package(package, &pools, &chunks);
    let body = [pools.values.encode(true), package].concat();
    chunk(TABLE, &Bytes::default().u32(1).0, &body)
}

/// Returns the id of a resource by its index.
pub(crate) fn resource_id(index: u32) -> u32 {
    PACKAGE_ID << 24 | (index + 1) << 16
}

fn encode_package(name: &str, pools: &StringPools, chunks: &[u8]) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().take(127).collect();
    units.resize(128, 0);
    let (types, keys) = (pools.types.encode(false), pools.keys.encode(false));
    let name = units.into_iter().fold(Bytes::default(), Bytes::u16);
    let header = Bytes::default()
        .u32(PACKAGE_ID)
        .bytes(&name.0)
        .u32(PACKAGE_HEADER_LENGTH)
        .u32(0)
        .u32(PACKAGE_HEADER_LENGTH + length(&types))
        .u32(0)
        .u32(0);
    chunk(PACKAGE, &header.0, &[&types, &keys, chunks].concat())
}

fn encode_resource(resource: &Resource, pools: &mut StringPools) -> Vec<u8> {
    let type_id = u8::try_from(pools.types.index(resource.kind) + 1).unwrap();
    let key = pools.keys.index(resource.name);
    let spec = Bytes::default().u8(type_id).u8(0).u16(0).u32(1);
    let mut chunks = chunk(TYPE_SPEC, &spec.0, &[0; 4]);
    for (config, value) in &resource.values {
        let (kind, data) = match value {
            ResourceValue::Text(text) => (0x03, pools.values.index(text)),
            ResourceValue::Reference(id) => (0x01, *id),
        };
        let header = Bytes::default()
            .u8(type_id)
            .u8(0)
            .u16(0)
            .u32(1)
            .u32(20 + CONFIG_LENGTH + 4)
            .bytes(&config.encode());
        let entry = Bytes::default().u32(0).u16(8).u16(0).u32(key);
        let entry = entry.u16(8).u8(0).u8(kind).u32(data);
        chunks.extend(chunk(TYPE, &header.0, &entry.0));
    }
    chunks
}

impl ResourceConfig {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Bytes::default()
            .u32(CONFIG_LENGTH)
            .u32(0)
            .bytes(&self.locale)
            .u16(0)
            .u16(self.density)
            .0;
        bytes.resize(64, 0);
        bytes
    }
}
