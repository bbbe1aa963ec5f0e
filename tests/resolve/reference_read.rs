//! Reading of a request according to section 2 of the design, under *Reading it*, *What is installed* and *Fine
//! points*. Deliberately slow and obvious, and without code of the product.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// "64 KiB count the text as sent, or a plain JSON value in compact form."
const MOST_BYTES: usize = 65_536;
/// "nested deeper than 8 is an invalid-parameter error"; "`{}` has depth 1".
const MOST_DEPTH: usize = 8;
/// "An array is several memberships (at most 8)."
const MOST_MEMBERSHIPS: usize = 8;
/// "After flattening there are at most 256 attributes, with names of at most 256 characters."
const MOST_ATTRIBUTES: usize = 256;
const LONGEST_ATTRIBUTE: usize = 256;

/// A parsed check.
pub(crate) struct ParsedCheck {
    pub package_name: String,
    pub version_code: i64,
    pub device_id: String,
    pub device_type: Option<String>,
    pub old_versions: Vec<Entry>,
    pub memberships: Vec<Levels>,
    pub attributes: BTreeMap<String, String>,
}

/// One mention of an identifier in `old_versions`. An identifier may occur several times.
pub(crate) struct Entry {
    pub identifier: String,
    pub version_code: i64,
    pub md5: Option<String>,
}

/// Codes of one membership, `l1Code` first. An absent level is `None`.
pub(crate) type Levels = [Option<String>; 5];

/// An invalid field. The answer names only the field, so nothing else is kept.
struct Wrong;

/// Reads the fields in the order of the design. The error is the name of the first invalid one.
pub(crate) fn read(request: &Value) -> Result<ParsedCheck, &'static str> {
    Ok(ParsedCheck {
        package_name: package_name(&request["package_name"]).map_err(|Wrong| "package_name")?,
        version_code: version_code(&request["version_code"]).map_err(|Wrong| "version_code")?,
        device_id: device_id(&request["device_id"]).map_err(|Wrong| "device_id")?,
        device_type: device_type(&request["device_type"]).map_err(|Wrong| "device_type")?,
        old_versions: old_versions(&request["old_versions"]).map_err(|Wrong| "old_versions")?,
        memberships: org_info(&request["org_info"]).map_err(|Wrong| "org_info")?,
        attributes: attributes(&request["attributes"]).map_err(|Wrong| "attributes")?,
    })
}

/// "Texts are taken as sent and must be JSON strings"; "a missing or blank required field
/// likewise" is an error.
fn package_name(sent: &Value) -> Result<String, Wrong> {
    match sent {
        Value::String(text) if !is_blank(text) => Ok(text.clone()),
        _ => Err(Wrong),
    }
}

/// "`version_code` (of the host app, ≥ 0)."
fn version_code(sent: &Value) -> Result<i64, Wrong> {
    integer(&plain(sent)?)
}

/// "`device_id` (1–128 characters, no control characters)."
fn device_id(sent: &Value) -> Result<String, Wrong> {
    match sent {
        Value::String(text)
            if !is_blank(text) && text.chars().count() <= 128 && !text.chars().any(char::is_control) =>
        {
            Ok(text.clone())
        }
        _ => Err(Wrong),
    }
}

/// "a blank or null `device_type` is absent."
fn device_type(sent: &Value) -> Result<Option<String>, Wrong> {
    match sent {
        Value::Null => Ok(None),
        Value::String(text) if is_blank(text) => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(Wrong),
    }
}

/// "Integers arrive as numbers or digit strings": "1 (or 0 where allowed) to 2^63 − 1, blanks
/// around digits trimmed; `50.0` is an error"; "ASCII digits, leading zeros allowed, no sign".
fn integer(node: &Node) -> Result<i64, Wrong> {
    match node {
        Node::Number(number) if number.starts_with('-') => Err(Wrong),
        Node::Number(number) => number.parse().map_err(|_| Wrong),
        Node::Text(text) => {
            let digits = text.trim();
            if digits.is_empty() || !digits.chars().all(|it| it.is_ascii_digit()) {
                return Err(Wrong);
            }
            digits.parse().map_err(|_| Wrong)
        }
        _ => Err(Wrong),
    }
}

/// "`old_versions` comes in every shape seen in the field."
fn old_versions(sent: &Value) -> Result<Vec<Entry>, Wrong> {
    match json_field(sent)? {
        None => Ok(Vec::new()),
        Some(Node::List(elements)) => elements.iter().map(entry).collect(),
        Some(Node::Object(members)) if is_one_entry(&members) => Ok(vec![entry(&Node::Object(members))?]),
        Some(Node::Object(members)) => members.iter().map(map_member).collect(),
        Some(_) => Err(Wrong),
    }
}

/// Returns true if an object has any of the keys of an entry. Otherwise it is a map.
fn is_one_entry(members: &Members) -> bool {
    [
        "packageName",
        "package_name",
        "identifier",
        "versionCode",
        "version_code",
    ]
    .iter()
    .any(|key| last(members, key).is_some())
}

/// "one entry `{"packageName": "com.a.b", "versionCode": 3}` (`identifier` may stand for
/// `packageName`)"; "`identifier` beats `packageName`"; "an entry without a name" is an error.
fn entry(node: &Node) -> Result<Entry, Wrong> {
    let Node::Object(members) = node else {
        return Err(Wrong);
    };
    let mut identifier = None;
    for key in ["identifier", "packageName", "package_name"] {
        match last(members, key) {
            None | Some(Node::Null) => {}
            Some(Node::Text(text)) if !is_blank(text) => {
                identifier = Some(text.clone());
                break;
            }
            Some(_) => return Err(Wrong),
        }
    }
    Ok(Entry {
        identifier: identifier.ok_or(Wrong)?,
        version_code: entry_version(members)?,
        md5: entry_md5(members)?,
    })
}

/// "`{"com.a.b": 3}`; `{"com.a.b": {"versionCode": 3, "md5": "…"}}`."
fn map_member((identifier, node): &(String, Node)) -> Result<Entry, Wrong> {
    let (version_code, md5) = match node {
        Node::Object(members) => (entry_version(members)?, entry_md5(members)?),
        other => (integer(other)?, None),
    };
    Ok(Entry {
        identifier: identifier.clone(),
        version_code,
        md5,
    })
}

/// Returns `versionCode`, or else `version_code`: the first one present decides.
fn entry_version(members: &Members) -> Result<i64, Wrong> {
    match (last(members, "versionCode"), last(members, "version_code")) {
        (Some(version), _) | (None, Some(version)) => integer(version),
        (None, None) => Err(Wrong),
    }
}

/// "a blank `md5` is not sent."
fn entry_md5(members: &Members) -> Result<Option<String>, Wrong> {
    match last(members, "md5") {
        None | Some(Node::Null) => Ok(None),
        Some(Node::Text(text)) if is_blank(text) => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Wrong),
    }
}

/// "`org_info`: `l1Code`…`l5Code` …; an array is several memberships (at most 8)."
fn org_info(sent: &Value) -> Result<Vec<Levels>, Wrong> {
    match json_field(sent)? {
        None => Ok(Vec::new()),
        Some(Node::List(elements)) if elements.len() > MOST_MEMBERSHIPS => Err(Wrong),
        Some(Node::List(elements)) => elements.iter().map(membership).collect(),
        Some(object) => Ok(vec![membership(&object)?]),
    }
}

/// "of two spellings of one level `l1Code` beats `l1_code` beats `l1`"; "a blank or null level is
/// not given"; "other keys are ignored".
fn membership(node: &Node) -> Result<Levels, Wrong> {
    let Node::Object(members) = node else {
        return Err(Wrong);
    };
    let mut levels = Levels::default();
    for (level, code) in (1..).zip(&mut levels) {
        for key in [
            format!("l{level}Code"),
            format!("l{level}_code"),
            format!("l{level}"),
        ] {
            let given = match last(members, &key) {
                None => None,
                Some(node) => org_code(node)?,
            };
            if code.is_none() {
                *code = given;
            }
        }
    }
    Ok(levels)
}

/// "values strings or numbers, compared as trimmed strings"; "a fractional number is an error".
fn org_code(node: &Node) -> Result<Option<String>, Wrong> {
    match node {
        Node::Null => Ok(None),
        Node::Text(text) if is_blank(text) => Ok(None),
        Node::Text(text) => Ok(Some(text.trim().to_owned())),
        // 64 bits, and not `-0`, which is a fraction.
        Node::Number(number) if number.parse::<u64>().is_ok() => Ok(Some(number.clone())),
        Node::Number(number) if number != "-0" && number.parse::<i64>().is_ok() => Ok(Some(number.clone())),
        _ => Err(Wrong),
    }
}

/// "`attributes`: a flat object of scalars (nested objects are flattened with dots)."
fn attributes(sent: &Value) -> Result<BTreeMap<String, String>, Wrong> {
    let mut found = BTreeMap::new();
    match json_field(sent)? {
        None => {}
        Some(Node::Object(members)) => flatten("", &members, &mut found)?,
        Some(_) => return Err(Wrong),
    }
    let is_long = |name: &String| name.chars().count() > LONGEST_ATTRIBUTE;
    if found.len() > MOST_ATTRIBUTES || found.keys().any(is_long) {
        return Err(Wrong);
    }
    Ok(found)
}

/// "null is not sent"; "a name that nesting gives twice is an error"; "the last of a repeated key
/// counts".
fn flatten(prefix: &str, members: &Members, found: &mut BTreeMap<String, String>) -> Result<(), Wrong> {
    for (position, (key, node)) in members.iter().enumerate() {
        if members[position + 1..].iter().any(|(later, _)| later == key) {
            continue;
        }
        let name = format!("{prefix}{key}");
        let text = match node {
            Node::Null => continue,
            Node::Object(inner) => {
                flatten(&format!("{name}."), inner, found)?;
                continue;
            }
            Node::List(_) => return Err(Wrong),
            Node::Text(text) => text.clone(),
            Node::Number(number) => number.clone(),
            Node::Bool(truth) => truth.to_string(),
        };
        if found.insert(name, text).is_some() {
            return Err(Wrong);
        }
    }
    Ok(())
}

/// "The three JSON fields mean *nothing given* when absent, blank, `null`, `{}` or `[]`; a JSON
/// string that holds JSON is unwrapped once."
fn json_field(sent: &Value) -> Result<Option<Node>, Wrong> {
    let node = match sent {
        Value::String(text) => {
            if text.len() > MOST_BYTES {
                return Err(Wrong);
            }
            if is_blank(text) {
                return Ok(None);
            }
            match parse(text)? {
                Node::Text(inner) if is_blank(&inner) => return Ok(None),
                Node::Text(inner) => match parse(&inner)? {
                    Node::Text(_) => return Err(Wrong),
                    node => node,
                },
                node => node,
            }
        }
        other => {
            if other.to_string().len() > MOST_BYTES {
                return Err(Wrong);
            }
            plain(other)?
        }
    };
    if depth(&node) > MOST_DEPTH {
        return Err(Wrong);
    }
    match node {
        Node::Null => Ok(None),
        Node::Object(members) if members.is_empty() => Ok(None),
        Node::List(elements) if elements.is_empty() => Ok(None),
        node => Ok(Some(node)),
    }
}

/// "*blank* and *trimmed* mean Unicode white space."
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// "`{}` has depth 1"; a scalar has depth 0.
fn depth(node: &Node) -> usize {
    match node {
        Node::List(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Node::Object(members) => 1 + members.iter().map(|it| depth(&it.1)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns the last member of that name.
fn last<'a>(members: &'a Members, key: &str) -> Option<&'a Node> {
    members
        .iter()
        .rev()
        .find(|(name, _)| name == key)
        .map(|(_, node)| node)
}

fn parse(text: &str) -> Result<Node, Wrong> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| Wrong)?;
    node_of(raw)
}

fn plain(value: &Value) -> Result<Node, Wrong> {
    parse(&value.to_string())
}

/// JSON that preserves repeated keys and the text of numbers.
enum Node {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

type Members = [(String, Node)];

/// Parses one level. The pieces stay text until they are needed.
fn node_of(raw: &RawValue) -> Result<Node, Wrong> {
    let text = raw.get();
    match text.chars().next().ok_or(Wrong)? {
        'n' => Ok(Node::Null),
        't' => Ok(Node::Bool(true)),
        'f' => Ok(Node::Bool(false)),
        '"' => serde_json::from_str(text).map(Node::Text).map_err(|_| Wrong),
        '[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Wrong)?;
            let elements: Result<_, _> = elements.into_iter().map(node_of).collect();
            elements.map(Node::List)
        }
        '{' => {
            let Pieces(pieces) = serde_json::from_str(text).map_err(|_| Wrong)?;
            let members: Result<_, _> = pieces
                .into_iter()
                .map(|(key, raw)| node_of(&raw).map(|node| (key, node)))
                .collect();
            members.map(Node::Object)
        }
        _ => Ok(Node::Number(text.to_owned())),
    }
}

struct Pieces(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PiecesVisitor)
    }
}

struct PiecesVisitor;

impl<'de> Visitor<'de> for PiecesVisitor {
    type Value = Pieces;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pieces, A::Error> {
        let mut pieces = Vec::new();
        while let Some(piece) = map.next_entry()? {
            pieces.push(piece);
        }
        Ok(Pieces(pieces))
    }
}
