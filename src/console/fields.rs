//! Fields of forms: their labels, and the members of the API's bodies that they become.

use serde_json::{Map, Number, Value, json};

use super::input::Input;
use super::texts::Texts;
use slipway_domain::catalog::org_path;

/// Text in the language of the page.
pub(super) type Label = fn(&Texts) -> &'static str;

/// Control of a field, and the form of its value in a body.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Name of the person who signs in.
    Username,
    LongText,
    Password,
    NewPassword,
    Integer,
    /// Number with decimals.
    Number,
    /// Check box.
    Flag,
    /// Values, each with its label.
    Choice(&'static [(&'static str, Label)]),
    /// One text per line.
    Lines,
    /// Any JSON value.
    Json,
    /// Time in UTC.
    Instant,
    /// Org scopes, one per line: codes from l1 down, joined by `/`. A level may be left empty.
    OrgScopes,
    /// Codes from l1 down, joined by `/`.
    OrgPath,
    /// Attribute rules, one per line: name, operator, value.
    Rules,
    /// Devices of a push, one per line: id, `@`, project.
    Targets,
    /// File. A form with one is sent as `multipart/form-data` and read while it arrives.
    File,
    /// Value that the page knows.
    Hidden,
}

/// Meaning of a field that is left blank.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blank {
    /// The member is absent.
    Absent,
    /// The member is null, which clears the value.
    Null,
    /// The member is an empty text or an empty list.
    Empty,
}

#[derive(Clone, Copy)]
pub(super) struct Field {
    /// Name in the form and in the body. A dot separates the members of nested objects.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) label: Label,
    pub(super) hint: Option<Label>,
    pub(super) is_required: bool,
    pub(super) blank: Blank,
    /// Value in a new form.
    pub(super) initial: &'static str,
}

impl Field {
    pub(super) const fn new(name: &'static str, kind: Kind, label: Label) -> Self {
        Self {
            name,
            kind,
            label,
            hint: None,
            is_required: false,
            blank: Blank::Absent,
            initial: "",
        }
    }

    pub(super) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    pub(super) const fn hint(mut self, hint: Label) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(super) const fn blank(mut self, blank: Blank) -> Self {
        self.blank = blank;
        self
    }

    pub(super) const fn initial(mut self, initial: &'static str) -> Self {
        self.initial = initial;
        self
    }
}

/// Form with its fields.
pub(super) struct Form {
    /// Identifies the form on its page.
    pub(super) key: &'static str,
    pub(super) submit: Label,
    /// Consequences, shown above the button.
    pub(super) explanation: Option<Label>,
    pub(super) style: Style,
    pub(super) fields: &'static [Field],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Primary,
    /// Stops, deletes or revokes something.
    Danger,
}

impl Form {
    pub(super) fn has_file(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, Kind::File))
    }

    /// Returns the body for the API. A value that does not fit its kind stays a text, which the API's parser rejects by
    /// name.
    pub(super) fn body(&self, input: &Input) -> Value {
        let mut body = Map::new();
        for field in self.fields {
            if let Some(value) = member(field, input) {
                insert(&mut body, field.name, value);
            }
        }
        Value::Object(body)
    }
}

fn insert(body: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        Some((outer, inner)) => {
            let object = body.entry(outer).or_insert_with(|| json!({}));
            if let Value::Object(object) = object {
                insert(object, inner, value);
            }
        }
        None => {
            body.insert(name.to_owned(), value);
        }
    }
}

fn member(field: &Field, input: &Input) -> Option<Value> {
    let given = input.get(field.name);
    if matches!(field.kind, Kind::Flag) {
        return Some(Value::Bool(input.has(field.name)));
    }
    // A password may begin or end with spaces.
    let text = match field.kind {
        Kind::Password | Kind::NewPassword => given,
        _ => given.trim(),
    };
    if text.is_empty() {
        return match field.blank {
            Blank::Absent => None,
            Blank::Null => Some(Value::Null),
            Blank::Empty if field.kind.is_list() => Some(json!([])),
            Blank::Empty if matches!(field.kind, Kind::Json) => Some(json!({})),
            Blank::Empty => Some(json!("")),
        };
    }
    Some(value(field.kind, text))
}

impl Kind {
    const fn is_list(self) -> bool {
        matches!(
            self,
            Self::Lines | Self::OrgScopes | Self::OrgPath | Self::Rules | Self::Targets
        )
    }
}

pub(super) fn value(kind: Kind, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Text
        | Kind::Username
        | Kind::LongText
        | Kind::Password
        | Kind::NewPassword
        | Kind::Choice(_)
        | Kind::File
        | Kind::Hidden => as_text(),
        Kind::Flag => Value::Bool(true),
        Kind::Integer => text.parse::<i64>().map_or_else(|_| as_text(), Value::from),
        Kind::Number => {
            let number: Option<Number> = text.parse().ok();
            number.map_or_else(as_text, Value::Number)
        }
        Kind::Lines => lines(text, |line| Value::String(line.to_owned())),
        Kind::Json => serde_json::from_str(text).unwrap_or_else(|_| as_text()),
        Kind::Instant => Value::String(instant(text)),
        Kind::OrgScopes => lines(text, org_scope),
        Kind::OrgPath => org_path::split(text).into_iter().map(Value::String).collect(),
        Kind::Rules => lines(text, rule),
        Kind::Targets => lines(text, |line| {
            let (device, project) = line.rsplit_once('@').unwrap_or((line, ""));
            json!({"hardware_id": device.trim(), "project_id": project.trim()})
        }),
    }
}

fn lines(text: &str, value: impl Fn(&str) -> Value) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(value).collect()
}

fn org_scope(line: &str) -> Value {
    let mut scope = Map::new();
    for (index, code) in org_path::split(line).into_iter().enumerate() {
        if !code.is_empty() {
            scope.insert(format!("l{}Code", index + 1), Value::String(code));
        }
    }
    Value::Object(scope)
}

fn rule(line: &str) -> Value {
    let mut words = line.splitn(3, char::is_whitespace);
    let (name, op) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let operand = words.next().unwrap_or_default().trim();
    let operand = serde_json::from_str(operand).unwrap_or_else(|_| Value::String(operand.to_owned()));
    json!({"name": name, "op": op, "value": operand})
}

/// Completes the value of a browser's control for times, which has no zone and may have no seconds.
pub(super) fn instant(text: &str) -> String {
    let has_zone = text.ends_with(['Z', 'z']) || text.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
    match text.len() {
        _ if has_zone => text.to_owned(),
        16 => format!("{text}:00Z"),
        _ => format!("{text}Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_the_values_of_a_body() {
        for (kind, text, expected) in [
            (Kind::Integer, "240", json!(240)),
            (Kind::Integer, "2x", json!("2x")),
            (Kind::Number, "12.50", serde_json::from_str("12.50").unwrap()),
            (Kind::Lines, "a\n\n b ", json!(["a", "b"])),
            (Kind::Json, "{\"a\": 1}", json!({"a": 1})),
            (Kind::Json, "{", json!("{")),
            (Kind::Instant, "2026-03-02T02:00", json!("2026-03-02T02:00:00Z")),
            (
                Kind::Instant,
                "2026-03-02T02:00:30",
                json!("2026-03-02T02:00:30Z"),
            ),
            (
                Kind::Instant,
                "2026-03-02T02:00:00+08:00",
                json!("2026-03-02T02:00:00+08:00"),
            ),
            (
                Kind::OrgScopes,
                "HM/HM-SH\n//8007",
                json!([{"l1Code": "HM", "l2Code": "HM-SH"}, {"l3Code": "8007"}]),
            ),
            (Kind::OrgPath, "HM/HM-SH", json!(["HM", "HM-SH"])),
            (
                Kind::Rules,
                "webview semver >=8.0, <12\nram ge 4",
                json!([{"name": "webview", "op": "semver", "value": ">=8.0, <12"}, {"name": "ram", "op": "ge", "value": 4}]),
            ),
            (
                Kind::Targets,
                "PDA001@hema",
                json!([{"hardware_id": "PDA001", "project_id": "hema"}]),
            ),
        ] {
            assert_eq!(value(kind, text), expected, "{text}");
        }
    }
}
