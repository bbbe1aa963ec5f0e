//! From what a device sent to a [`Check`], or to the fields that are wrong.
//!
//! A device never gets a silently different answer because of a typo: what is not understood is an error that names
//! the field.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::check::{Attribute, Check};
use super::read_json::{read_attributes, read_old_versions, read_org_info};
use crate::catalog::field::FieldError;
use crate::catalog::json::{Node, compact_length};
use crate::catalog::membership::Membership;

/// The largest JSON field, in bytes: of the text as sent, or of a plain value's compact form.
pub(super) const MAX_JSON_BYTES: usize = 64 * 1024;
/// The deepest nesting that is read; `{}` has depth 1.
const MAX_DEPTH: usize = 8;

/// One field as it arrived.
#[derive(Debug, Clone, Copy, Default)]
pub enum Given<'a> {
    #[default]
    Absent,
    /// A text: a parameter of the gateway, or a JSON string.
    Text(&'a str),
    /// JSON other than a string or null, as it was written.
    Json(&'a RawValue),
}

impl Given<'_> {
    /// Absent, or a text of nothing but white space.
    pub fn is_blank(self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Json(_) => false,
        }
    }

    pub const fn is_absent(self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// The fields of a check but the tenant, by their names in the seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckFields<'a> {
    pub package_name: Given<'a>,
    pub version_code: Given<'a>,
    pub device_id: Given<'a>,
    pub device_type: Given<'a>,
    pub old_versions: Given<'a>,
    pub org_info: Given<'a>,
    pub attributes: Given<'a>,
}

/// Reads a whole check; the errors name every field that is wrong, in the order of the seed's table.
pub fn read_check<'a>(fields: &CheckFields<'a>) -> Result<Check<'a>, Vec<FieldError>> {
    let package_name = read_required_text("package_name", fields.package_name);
    let version_code = read_integer("version_code", fields.version_code, 0);
    let device_id = read_device_id(fields.device_id);
    let device_type = read_optional_text("device_type", fields.device_type);
    let old_versions = read_json("old_versions", fields.old_versions, read_old_versions);
    let org_info = read_memberships(fields.org_info);
    let attributes = read_device_attributes(fields.attributes);

    let mut errors = Vec::new();
    let mut keep = |error: Option<FieldError>| errors.extend(error);
    keep(package_name.as_ref().err().cloned());
    keep(version_code.as_ref().err().cloned());
    keep(device_id.as_ref().err().cloned());
    keep(device_type.as_ref().err().cloned());
    keep(old_versions.as_ref().err().cloned());
    keep(org_info.as_ref().err().cloned());
    keep(attributes.as_ref().err().cloned());
    match (
        package_name,
        version_code,
        device_id,
        device_type,
        old_versions,
        org_info,
        attributes,
    ) {
        (Ok(package), Ok(version), Ok(device), Ok(device_type), Ok(installed), Ok(orgs), Ok(attributes)) => {
            Ok(Check::new(
                package,
                version,
                device,
                device_type,
                (installed, orgs, attributes),
            ))
        }
        _ => Err(errors),
    }
}

/// Reads an integer from `min` to 2^63 − 1 that came as a number or as ASCII digits with blanks around them.
pub fn read_integer(field: &str, given: Given<'_>, min: i64) -> Result<i64, FieldError> {
    let number = match given {
        Given::Absent => return Err(FieldError::required(field)),
        Given::Text(text) if text.trim().is_empty() => return Err(FieldError::required(field)),
        Given::Text(text) => integer_from_digits(text),
        Given::Json(raw) => raw.get().parse().ok(),
    };
    number.filter(|number| *number >= min).ok_or_else(|| {
        FieldError::invalid(
            field,
            format!(
                "{field} must be an integer from {min} to {}, as a number or as digits",
                i64::MAX
            ),
        )
    })
}

/// Leading zeros are allowed, a sign is not.
pub(super) fn integer_from_digits(text: &str) -> Option<i64> {
    let digits = text.trim();
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// Reads the places that a device belongs to.
pub fn read_memberships(given: Given<'_>) -> Result<Vec<Membership<'_>>, FieldError> {
    read_json("org_info", given, read_org_info)
}

/// Reads what a device says of itself, by flattened names.
pub fn read_device_attributes(given: Given<'_>) -> Result<Vec<Attribute<'_>>, FieldError> {
    read_json("attributes", given, read_attributes)
}

fn read_required_text<'a>(field: &str, given: Given<'a>) -> Result<&'a str, FieldError> {
    match given {
        Given::Absent => Err(FieldError::required(field)),
        Given::Text(text) if text.trim().is_empty() => Err(FieldError::required(field)),
        Given::Text(text) => Ok(text),
        Given::Json(_) => Err(FieldError::invalid(
            field,
            format!("{field} must be a JSON string"),
        )),
    }
}

fn read_optional_text<'a>(field: &str, given: Given<'a>) -> Result<Option<&'a str>, FieldError> {
    match given {
        Given::Absent => Ok(None),
        Given::Text(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
        Given::Json(_) => Err(FieldError::invalid(
            field,
            format!("{field} must be a JSON string"),
        )),
    }
}

fn read_device_id(given: Given<'_>) -> Result<&str, FieldError> {
    let device_id = read_required_text("device_id", given)?;
    if device_id.chars().count() > 128 || device_id.chars().any(char::is_control) {
        return Err(FieldError::invalid(
            "device_id",
            "device_id must be 1 to 128 characters without control characters",
        ));
    }
    Ok(device_id)
}

/// Reads one of the three JSON fields: text is unwrapped, what means *nothing given* becomes the default.
fn read_json<'a, T: Default>(
    field: &str,
    given: Given<'a>,
    read: fn(Node<'a>) -> Result<T, String>,
) -> Result<T, FieldError> {
    json_node(given)
        .and_then(|node| node.map_or_else(|| Ok(T::default()), read))
        .map_err(|problem| FieldError::invalid(field, format!("{field} {problem}")))
}

fn json_node(given: Given<'_>) -> Result<Option<Node<'_>>, String> {
    let node = match given {
        Given::Absent => return Ok(None),
        Given::Text(text) => {
            if text.len() > MAX_JSON_BYTES {
                return Err(too_large(text.len()));
            }
            if text.trim().is_empty() {
                return Ok(None);
            }
            unwrapped_once(Node::parse(text, MAX_DEPTH)?)?
        }
        Given::Json(raw) => {
            if raw.get().len() > MAX_JSON_BYTES {
                let length = compact_length(raw);
                if length > MAX_JSON_BYTES {
                    return Err(too_large(length));
                }
            }
            Node::of_raw(raw, MAX_DEPTH)?
        }
    };
    Ok(Some(node).filter(|node| !means_nothing(node)))
}

/// Some clients encode twice: a JSON string that holds JSON is that JSON.
fn unwrapped_once(node: Node<'_>) -> Result<Node<'_>, String> {
    match node {
        Node::Text(inner) if inner.trim().is_empty() => Ok(Node::Null),
        Node::Text(Cow::Borrowed(inner)) => Node::parse(inner, MAX_DEPTH),
        Node::Text(Cow::Owned(inner)) => Ok(Node::parse(&inner, MAX_DEPTH)?.into_owned()),
        other => Ok(other),
    }
}

fn means_nothing(node: &Node<'_>) -> bool {
    match node {
        Node::Null => true,
        Node::Array(items) => items.is_empty(),
        Node::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn too_large(length: usize) -> String {
    format!("is {length} bytes; at most {MAX_JSON_BYTES} are read")
}
