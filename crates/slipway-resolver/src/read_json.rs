//! Parsers of the three JSON fields of a check, in every form seen in production.
//!
//! Each parser takes a value that is neither null nor empty. An error is a phrase that follows the name of the field.

use std::borrow::Cow;
use std::collections::HashSet;

use super::check::{Attribute, Installed, InstalledEntry};
use super::integer::integer_from_digits;
use slipway_domain::catalog::field::excerpt;
use slipway_domain::catalog::json::{Members, Node, is_integer, last_of_each};
use slipway_domain::catalog::membership::Membership;
use slipway_domain::catalog::org::Level;
use slipway_domain::catalog::version::VersionCode;

/// Maximum number of org places of a device.
const MAX_MEMBERSHIPS: usize = 8;

const ENTRY_NAMES: [&str; 3] = ["identifier", "packageName", "package_name"];
const ENTRY_VERSIONS: [&str; 2] = ["versionCode", "version_code"];

/// Parses `old_versions`: a map from identifier to version or entry, one entry, or an array of entries.
pub(super) fn read_old_versions(node: Node<'_>) -> Result<Installed<'_>, String> {
    let entries = match node {
        Node::Array(items) => items.into_iter().map(read_listed_entry).collect(),
        Node::Object(members) if is_entry(&members) => read_entry(members).map(|entry| vec![entry]),
        Node::Object(members) => members
            .into_iter()
            .map(|(identifier, value)| read_map_entry(identifier, value))
            .collect(),
        other => Err(format!(
            "must be an object or an array of entries, not {}",
            other.kind()
        )),
    };
    entries.map(Installed::new)
}

fn is_entry(members: &Members<'_>) -> bool {
    members
        .iter()
        .any(|(key, _)| ENTRY_NAMES.contains(&key.as_ref()) || ENTRY_VERSIONS.contains(&key.as_ref()))
}

fn read_listed_entry(item: Node<'_>) -> Result<InstalledEntry<'_>, String> {
    match item {
        Node::Object(members) => read_entry(members),
        other => Err(format!(
            "must list entries such as {ENTRY_EXAMPLE}, not {}",
            other.kind()
        )),
    }
}

const ENTRY_EXAMPLE: &str = r#"{"packageName": "com.a.b", "versionCode": 3}"#;

fn read_entry(members: Members<'_>) -> Result<InstalledEntry<'_>, String> {
    let members = last_of_each(members);
    let identifier = match first_given(&members, &ENTRY_NAMES) {
        Some(Node::Text(name)) if !name.trim().is_empty() => name.clone(),
        _ => {
            return Err(format!(
                "has an entry without a name; an entry is {ENTRY_EXAMPLE}"
            ));
        }
    };
    entry_of(identifier, &members)
}

/// Parses a member of the map form: `"com.a.b": 3` or `"com.a.b": {"versionCode": 3, "md5": "…"}`.
fn read_map_entry<'a>(identifier: Cow<'a, str>, value: Node<'a>) -> Result<InstalledEntry<'a>, String> {
    match value {
        Node::Object(members) => entry_of(identifier, &last_of_each(members)),
        version => {
            let version_code = read_version(&identifier, Some(&version))?;
            Ok(InstalledEntry {
                identifier,
                version_code,
                md5: None,
            })
        }
    }
}

fn entry_of<'a>(identifier: Cow<'a, str>, members: &Members<'a>) -> Result<InstalledEntry<'a>, String> {
    let version_code = read_version(&identifier, first_given(members, &ENTRY_VERSIONS))?;
    let md5 = match first_given(members, &["md5"]) {
        None => None,
        Some(Node::Text(md5)) => Some(md5.clone()).filter(|md5| !md5.trim().is_empty()),
        Some(other) => {
            return Err(format!(
                "has an md5 of {} that is {}, not a text",
                excerpt(&identifier),
                other.kind()
            ));
        }
    };
    Ok(InstalledEntry {
        identifier,
        version_code,
        md5,
    })
}

/// Returns the value of the first of these names that is present and not null.
fn first_given<'m, 'a>(members: &'m Members<'a>, names: &[&str]) -> Option<&'m Node<'a>> {
    names.iter().find_map(|name| {
        members
            .iter()
            .find(|(key, value)| key == name && *value != Node::Null)
            .map(|(_, value)| value)
    })
}

fn read_version(identifier: &str, version: Option<&Node<'_>>) -> Result<VersionCode, String> {
    let number = match version {
        Some(Node::Number(number)) if is_integer(number) => number.parse().ok(),
        Some(Node::Text(text)) => integer_from_digits(text),
        _ => None,
    };
    number
        .and_then(|number| VersionCode::new(number).ok())
        .ok_or_else(|| {
            format!(
                "needs a version of {} that is an integer from 0 to {}, as a number or as digits",
                excerpt(identifier),
                i64::MAX
            )
        })
}

/// Parses `org_info`: one membership, or an array of at most 8.
pub(super) fn read_org_info(node: Node<'_>) -> Result<Vec<Membership<'_>>, String> {
    match node {
        Node::Object(members) => read_membership(members).map(|membership| vec![membership]),
        Node::Array(items) if items.len() > MAX_MEMBERSHIPS => Err(format!(
            "must list at most {MAX_MEMBERSHIPS} memberships, not {}",
            items.len()
        )),
        Node::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Node::Object(members) => read_membership(members),
                other => Err(format!(
                    r#"must list memberships such as {{"l1Code": "HM"}}, not {}"#,
                    other.kind()
                )),
            })
            .collect(),
        other => Err(format!(
            r#"must be an object such as {{"l1Code": "HM"}} or an array of them, not {}"#,
            other.kind()
        )),
    }
}

/// Spellings of each level, highest precedence first.
const SPELLINGS: [[&str; 3]; 5] = [
    ["l1Code", "l1_code", "l1"],
    ["l2Code", "l2_code", "l2"],
    ["l3Code", "l3_code", "l3"],
    ["l4Code", "l4_code", "l4"],
    ["l5Code", "l5_code", "l5"],
];

fn read_membership(members: Members<'_>) -> Result<Membership<'_>, String> {
    let members = last_of_each(members);
    let mut membership = Membership::default();
    for (level, spellings) in Level::all().zip(SPELLINGS) {
        // Lowest precedence first, so that a stronger spelling overwrites it.
        for spelling in spellings.into_iter().rev() {
            if let Some(code) = read_code(&members, spelling)? {
                membership.set(level, code);
            }
        }
    }
    Ok(membership)
}

fn read_code<'a>(members: &Members<'a>, spelling: &str) -> Result<Option<Cow<'a, str>>, String> {
    let code = match first_given(members, &[spelling]) {
        None => return Ok(None),
        Some(Node::Text(text)) => trimmed(text),
        Some(Node::Number(number)) if is_integer(number) => number.clone(),
        Some(other) => {
            return Err(format!(
                "needs a text or an integer as {spelling}, not {}",
                other.kind()
            ));
        }
    };
    Ok(Some(code).filter(|code| !code.is_empty()))
}

fn trimmed<'a>(text: &Cow<'a, str>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// Maximum number of attributes of a device after flattening.
const MAX_ATTRIBUTES: usize = 256;
/// Maximum length of a flattened name, in characters.
const MAX_ATTRIBUTE_NAME: usize = 256;

/// Parses `attributes`: an object of scalars. Nested objects are flattened with dots.
///
/// Both limits are enforced while names are built, so that a long key with many members costs no memory. Values need no
/// such limit, because each occurs only once in the input.
pub(super) fn read_attributes(node: Node<'_>) -> Result<Vec<Attribute<'_>>, String> {
    let Node::Object(members) = node else {
        return Err(format!("must be an object of scalars, not {}", node.kind()));
    };
    let mut flat = Vec::with_capacity(members.len().min(MAX_ATTRIBUTES));
    flatten(members, "", &mut flat)?;
    match repeated_name(&flat) {
        Some(name) => Err(format!("gives {} twice, once nested", excerpt(name))),
        None => Ok(flat),
    }
}

/// Lists with fewer attributes are compared pairwise; longer ones use a hash set.
const FEW_ATTRIBUTES: usize = 16;

fn repeated_name<'a>(flat: &'a [Attribute<'_>]) -> Option<&'a str> {
    let mut names = HashSet::new();
    let mut stood_before = |index: usize, name: &'a str| {
        if flat.len() < FEW_ATTRIBUTES {
            flat[..index].iter().any(|(earlier, _)| earlier == name)
        } else {
            !names.insert(name)
        }
    };
    let mut all = flat.iter().enumerate();
    all.find(|(index, (name, _))| stood_before(*index, name))
        .map(|(_, (name, _))| name.as_ref())
}

fn flatten<'a>(members: Members<'a>, prefix: &str, flat: &mut Vec<Attribute<'a>>) -> Result<(), String> {
    for (key, value) in last_of_each(members) {
        if is_empty(&value) {
            continue;
        }
        let name = flattened_name(prefix, key)?;
        let text = match value {
            Node::Null => continue,
            Node::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Node::Number(value) | Node::Text(value) => value,
            Node::Object(nested) => {
                flatten(nested, &format!("{name}."), flat)?;
                continue;
            }
            Node::Array(_) => return Err(format!("needs a scalar as {}, not an array", excerpt(&name))),
        };
        if flat.len() == MAX_ATTRIBUTES {
            return Err(format!(
                "holds more than {MAX_ATTRIBUTES} attributes after flattening"
            ));
        }
        flat.push((name, text));
    }
    Ok(())
}

/// Returns `true` for null, and for an object that contains nothing else.
fn is_empty(value: &Node<'_>) -> bool {
    match value {
        Node::Null => true,
        Node::Object(members) => members.iter().all(|(_, value)| is_empty(value)),
        _ => false,
    }
}

fn flattened_name<'a>(prefix: &str, key: Cow<'a, str>) -> Result<Cow<'a, str>, String> {
    let is_long = prefix.len() + key.len() > MAX_ATTRIBUTE_NAME
        && prefix
            .chars()
            .chain(key.chars())
            .nth(MAX_ATTRIBUTE_NAME)
            .is_some();
    if is_long {
        let first = if prefix.is_empty() { &key } else { prefix };
        return Err(format!(
            "has a name of more than {MAX_ATTRIBUTE_NAME} characters after flattening, which begins with {}",
            excerpt(first)
        ));
    }
    Ok(match prefix {
        "" => key,
        prefix => Cow::Owned(format!("{prefix}{key}")),
    })
}
