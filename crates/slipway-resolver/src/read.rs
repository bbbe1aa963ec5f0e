//! Parser that turns the fields of a device into a [`Check`], or into errors for the invalid fields.
//!
//! A typo must not change an answer silently, so a value that cannot be interpreted is an error that names the field.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::check::{Attribute, Check};
use super::integer::integer_from_digits;
use super::read_json::{read_attributes, read_old_versions, read_org_info};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::json::{Node, compact_length};
use slipway_domain::catalog::membership::Membership;
use slipway_domain::catalog::version::VersionCode;

/// Maximum size of a JSON field in bytes: of the text as sent, or of the compact form of a plain value.
pub(super) const MAX_JSON_BYTES: usize = 64 * 1024;
/// Maximum nesting depth; `{}` has depth 1.
const MAX_DEPTH: usize = 8;

/// One field as received.
#[derive(Debug, Clone, Copy, Default)]
pub enum RawField<'a> {
    #[default]
    Absent,
    /// Text: a parameter of the gateway, or a JSON string.
    Text(&'a str),
    /// JSON other than a string or null, as sent.
    Json(&'a RawValue),
}

impl RawField<'_> {
    /// Returns `true` if the field is absent or contains only white space.
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

/// Fields of a check except the tenant, named as in the specification.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckFields<'a> {
    pub package_name: RawField<'a>,
    pub version_code: RawField<'a>,
    pub device_id: RawField<'a>,
    pub device_type: RawField<'a>,
    pub old_versions: RawField<'a>,
    pub org_info: RawField<'a>,
    pub attributes: RawField<'a>,
}

/// Parses a check. The errors name every invalid field, in the order of the specification's table.
pub fn read_check<'a>(fields: &CheckFields<'a>) -> Result<Check<'a>, Vec<FieldError>> {
    let package_name = read_required_text("package_name", fields.package_name);
    let version_code = read_version_code(fields.version_code);
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
                installed,
                orgs,
                attributes,
            ))
        }
        _ => Err(errors),
    }
}

/// Parses an integer from `min` to 2^63 − 1, sent as a number or as ASCII digits with optional blanks around them.
pub fn read_integer(field: &str, given: RawField<'_>, min: i64) -> Result<i64, FieldError> {
    let number = match given {
        RawField::Absent => return Err(FieldError::required(field)),
        RawField::Text(text) if text.trim().is_empty() => return Err(FieldError::required(field)),
        RawField::Text(text) => integer_from_digits(text),
        RawField::Json(raw) => raw.get().parse().ok(),
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

fn read_version_code(given: RawField<'_>) -> Result<VersionCode, FieldError> {
    let number = read_integer("version_code", given, 0)?;
    VersionCode::new(number).map_err(|invalid| invalid.at("version_code"))
}

/// Parses the org places of a device.
pub fn read_memberships(given: RawField<'_>) -> Result<Vec<Membership<'_>>, FieldError> {
    read_json("org_info", given, read_org_info)
}

/// Parses the attributes that a device reports, by flattened names.
pub fn read_device_attributes(given: RawField<'_>) -> Result<Vec<Attribute<'_>>, FieldError> {
    read_json("attributes", given, read_attributes)
}

fn read_required_text<'a>(field: &str, given: RawField<'a>) -> Result<&'a str, FieldError> {
    match given {
        RawField::Absent => Err(FieldError::required(field)),
        RawField::Text(text) if text.trim().is_empty() => Err(FieldError::required(field)),
        RawField::Text(text) => Ok(text),
        RawField::Json(_) => Err(FieldError::invalid(
            field,
            format!("{field} must be a JSON string"),
        )),
    }
}

fn read_optional_text<'a>(field: &str, given: RawField<'a>) -> Result<Option<&'a str>, FieldError> {
    match given {
        RawField::Absent => Ok(None),
        RawField::Text(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
        RawField::Json(_) => Err(FieldError::invalid(
            field,
            format!("{field} must be a JSON string"),
        )),
    }
}

fn read_device_id(given: RawField<'_>) -> Result<&str, FieldError> {
    let device_id = read_required_text("device_id", given)?;
    if device_id.chars().count() > 128 || device_id.chars().any(char::is_control) {
        return Err(FieldError::invalid(
            "device_id",
            "device_id must be 1 to 128 characters without control characters",
        ));
    }
    Ok(device_id)
}

/// Parses one of the three JSON fields. A text is unwrapped first, and a value that means *nothing given* yields the
/// default.
fn read_json<'a, T: Default>(
    field: &str,
    given: RawField<'a>,
    read: fn(Node<'a>) -> Result<T, String>,
) -> Result<T, FieldError> {
    json_node(given)
        .and_then(|node| node.map_or_else(|| Ok(T::default()), read))
        .map_err(|problem| FieldError::invalid(field, format!("{field} {problem}")))
}

fn json_node(given: RawField<'_>) -> Result<Option<Node<'_>>, String> {
    let node = match given {
        RawField::Absent => return Ok(None),
        RawField::Text(text) => {
            if text.len() > MAX_JSON_BYTES {
                return Err(too_large(text.len()));
            }
            if text.trim().is_empty() {
                return Ok(None);
            }
            unwrapped_once(Node::parse(text, MAX_DEPTH)?)?
        }
        RawField::Json(raw) => {
            if raw.get().len() > MAX_JSON_BYTES {
                let length = compact_length(raw);
                if length > MAX_JSON_BYTES {
                    return Err(too_large(length));
                }
            }
            Node::of_raw(raw, MAX_DEPTH)?
        }
    };
    Ok(Some(node).filter(|node| !is_empty(node)))
}

/// Unwraps a JSON string that contains JSON, because some clients encode twice.
fn unwrapped_once(node: Node<'_>) -> Result<Node<'_>, String> {
    match node {
        Node::Text(inner) if inner.trim().is_empty() => Ok(Node::Null),
        Node::Text(Cow::Borrowed(inner)) => Node::parse(inner, MAX_DEPTH),
        Node::Text(Cow::Owned(inner)) => Ok(Node::parse(&inner, MAX_DEPTH)?.into_owned()),
        other => Ok(other),
    }
}

fn is_empty(node: &Node<'_>) -> bool {
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
