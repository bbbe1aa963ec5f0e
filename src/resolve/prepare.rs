//! The bytes of an answer's offers, written once when an app is compiled: answering copies them.
//!
//! An offer's members stand in the order of the seed's table. What depends on the device (`auto_install`,
//! `old_package_name`, `uninstall_type`) stands between the prepared pieces. JSON is the same on the native API and on
//! the gateway.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::xml::write_element;
use crate::catalog::app::App;
use crate::catalog::release::{RecallMode, Release, ReleaseState};

/// How an offer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Xml,
}

/// What stands in the JSON behind the digits of `md5`.
const AFTER_MD5: &[u8] = b"\",\"auto_install\":";
const MD5_DIGITS: usize = 32;

/// Where a release's prepared bytes stand among its app's: JSON, then XML.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Prepared {
    start: usize,
    json: u32,
    xml: u32,
}

impl Prepared {
    /// Writes everything of a release up to the value of `auto_install` behind the bytes that are there.
    pub(super) fn write(bytes: &mut Vec<u8>, app: &App, release: &Release) -> Self {
        let members = members(app, release);
        let start = bytes.len();
        write_json(bytes, &members);
        let json_end = bytes.len();
        write_xml(bytes, &members);
        Self {
            start,
            json: length(json_end - start),
            xml: length(bytes.len() - json_end),
        }
    }

    pub(super) fn of(self, bytes: &[u8], form: Form) -> &[u8] {
        let json_end = self.start + self.json as usize;
        match form {
            Form::Json => &bytes[self.start..json_end],
            Form::Xml => &bytes[json_end..json_end + self.xml as usize],
        }
    }

    /// The digest's digits, which the JSON has before its last member's name.
    pub(super) fn md5(self, bytes: &[u8]) -> &[u8] {
        let json = self.of(bytes, Form::Json);
        let end = json.len().saturating_sub(AFTER_MD5.len());
        &json[end.saturating_sub(MD5_DIGITS)..end]
    }
}

/// A release's texts are limited to far less than 4 GiB by `catalog::text`.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
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
    // Offered for nothing but to be removed.
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
        ("version_code", Value::Number(content.version_code)),
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
    // The last member ends with a comma already.
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

/// An app's own members, from the end of `auto_install` to the value of `old_package_name`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PreparedNames {
    json: Box<[u8]>,
    xml: Box<[u8]>,
}

impl PreparedNames {
    pub(super) fn new(app: &App) -> Self {
        // Package names hold nothing that either form would escape.
        let name = app.app_name.as_str();
        let package = app.package_name.as_str();
        let mut json = Vec::new();
        append(
            &mut json,
            format_args!(
                ",\"app_name\":{},\"package_name\":\"{package}\",\"old_package_name\":\"",
                json_text(name)
            ),
        );
        let mut xml = b"</auto_install>".to_vec();
        write_element(&mut xml, "app_name", name);
        append(
            &mut xml,
            format_args!("<package_name>{package}</package_name><old_package_name>"),
        );
        Self {
            json: json.into(),
            xml: xml.into(),
        }
    }

    pub(super) fn of(&self, form: Form) -> &[u8] {
        match form {
            Form::Json => &self.json,
            Form::Xml => &self.xml,
        }
    }

    pub(super) fn byte_count(&self) -> usize {
        self.json.len() + self.xml.len()
    }
}
