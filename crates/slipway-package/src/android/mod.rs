//! Facts of Android packages: the binary manifest, the resource table, the icon.

mod apk;
mod chunk;
mod config;
mod icon;
mod manifest;
mod manifest_reader;
mod resources;
mod string_pool;
mod value;
mod xml;

pub(crate) use apk::inspect;
