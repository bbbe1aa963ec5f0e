//! Prepared bytes of offers: written once when an app is compiled, and copied into answers.
//!
//! The members of an offer have the order of the specification's table. Members that depend on the device
//! (`auto_install`, `old_package_name`, `uninstall_type`) are inserted between the prepared pieces. The native API and
//! the gateway use the same JSON.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::list_ref::index;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseState};
use slipway_gateway::xml::write_element;

/// Serialization format of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferFormat {
    Json,
    Xml,
}

/// JSON text after the digits of `md5`.
const AFTER_MD5: &[u8] = b"\",\"auto_install\":";
const MD5_DIGITS: usize = 32;

/// Size of one allocation in bytes. Allocators round large allocations up by several kilobytes, which adds up over many
/// small apps. This size is allocated exactly.
const CHUNK_BYTES: usize = 32 * 1024;

/// All prepared bytes of an app, in chunks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PreparedBytes(Box<[Box<[u8]>]>);

/// Position of one prepared piece in its app's bytes: JSON, followed by XML.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Prepared {
    chunk: u32,
    start: u32,
    json: u32,
    xml: u32,
}

impl PreparedBytes {
    pub(super) fn get(&self, prepared: Prepared, format: OfferFormat) -> &[u8] {
        let json_end = prepared.start as usize + prepared.json as usize;
        let range = match format {
            OfferFormat::Json => prepared.start as usize..json_end,
            OfferFormat::Xml => json_end..json_end + prepared.xml as usize,
        };
        let chunk = self.0.get(prepared.chunk as usize);
        chunk.and_then(|chunk| chunk.get(range)).unwrap_or_default()
    }

    /// Returns the digits of a release's MD5, which precede the name of the last member in its JSON.
    pub(super) fn md5(&self, release: Prepared) -> &[u8] {
        let json = self.get(release, OfferFormat::Json);
        let end = json.len().saturating_sub(AFTER_MD5.len());
        &json[end.saturating_sub(MD5_DIGITS)..end]
    }

    pub(super) fn byte_count(&self) -> usize {
        self.0.iter().map(|chunk| chunk.len()).sum()
    }
}

/// Writer of an app's prepared bytes.
#[derive(Default)]
pub(super) struct PreparedWriter {
    full: Vec<Box<[u8]>>,
    open: Vec<u8>,
    next: Vec<u8>,
}

impl PreparedWriter {
    /// Adds the members of a release up to the value of `auto_install`.
    pub(super) fn add_release(&mut self, app: &App, release: &Release) -> Prepared {
        let members = members(app, release);
        self.add(|out| write_json(out, &members), |out| write_xml(out, &members))
    }

    /// Adds the members of an app, from the end of `auto_install` to the value of `old_package_name`.
    pub(super) fn add_names(&mut self, app: &App) -> Prepared {
        self.add(|out| write_json_names(out, app), |out| write_xml_names(out, app))
    }

    fn add(
        &mut self,
        write_json: impl FnOnce(&mut Vec<u8>),
        write_xml: impl FnOnce(&mut Vec<u8>),
    ) -> Prepared {
        self.next.clear();
        write_json(&mut self.next);
        let json = self.next.len();
        write_xml(&mut self.next);
        if self.open.len() + self.next.len() > CHUNK_BYTES {
            self.close_chunk();
        }
        let start = self.open.len();
        self.open.extend_from_slice(&self.next);
        Prepared {
            chunk: index(self.full.len()),
            start: index(start),
            json: index(json),
            xml: index(self.next.len() - json),
        }
    }

    fn close_chunk(&mut self) {
        if !self.open.is_empty() {
            // Copied, because after shrinking in place the allocator would keep up to half as much again.
            self.full.push(Box::from(self.open.as_slice()));
            self.open.clear();
        }
    }

    pub(super) fn into_bytes(mut self) -> PreparedBytes {
        self.close_chunk();
        PreparedBytes(self.full.into())
    }
}

enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

type Members<'a> = [(&'static str, Value<'a>); 10];

fn members<'a>(app: &'a App, release: &'a Release) -> Members<'a> {
    let content = &release.content;
    let icon = content.icon_url.as_ref().or(app.icon_url.as_ref());
    let qrcode = content.qrcode.as_ref();
    // Such a release is offered only to be removed.
    let is_removal = release.state == ReleaseState::Recalled(RecallMode::Removal);
    let (download_url, status) = if is_removal {
        ("", 0)
    } else {
        (content.file.download_url.as_str(), 1)
    };
    [
        ("config_json", Value::Text(content.config_json.as_str())),
        ("download_url", Value::Text(download_url)),
        ("status", Value::Number(status)),
        ("qrcode", Value::Text(qrcode.map_or("", |url| url.as_str()))),
        ("size", Value::Number(content.file.size)),
        ("update_desc", Value::Text(content.update_desc.as_str())),
        ("version_code", Value::Number(content.version_code.get())),
        ("version_name", Value::Text(content.version_name.as_str())),
        ("icon_url", Value::Text(icon.map_or("", |url| url.as_str()))),
        ("md5", Value::Text(content.file.md5.as_str())),
    ]
}

fn write_json(bytes: &mut Vec<u8>, members: &Members<'_>) {
    bytes.push(b'{');
    for (name, value) in members {
        let value = match value {
            Value::Text(text) => json_text(text),
            Value::Number(number) => number.to_string(),
        };
        append(bytes, format_args!("\"{name}\":{value},"));
    }
    // The last member already ends with a comma.
    bytes.extend_from_slice(&AFTER_MD5[2..]);
}

fn write_xml(bytes: &mut Vec<u8>, members: &Members<'_>) {
    for (name, value) in members {
        match value {
            Value::Text(text) => write_element(bytes, name, text),
            Value::Number(number) => append(bytes, format_args!("<{name}>{number}</{name}>")),
        }
    }
    bytes.extend_from_slice(b"<auto_install>");
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn append(bytes: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = bytes.write_fmt(text);
}

// Package names contain nothing that needs escaping in either format.
fn write_json_names(bytes: &mut Vec<u8>, app: &App) {
    let (name, package) = (json_text(app.app_name.as_str()), app.package_name.as_str());
    append(
        bytes,
        format_args!(",\"app_name\":{name},\"package_name\":\"{package}\",\"old_package_name\":\""),
    );
}

fn write_xml_names(bytes: &mut Vec<u8>, app: &App) {
    let package = app.package_name.as_str();
    bytes.extend_from_slice(b"</auto_install>");
    write_element(bytes, "app_name", app.app_name.as_str());
    append(
        bytes,
        format_args!("<package_name>{package}</package_name><old_package_name>"),
    );
}
