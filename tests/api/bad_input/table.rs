//! A request as a table of its fields, from which wrong bodies are derived.

use reqwest::Method;
use serde_json::Value;

use super::kind::{At, Kind};

/// A request and the types of its fields.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    /// A body that is accepted. Every wrong body differs from it in one place.
    pub(super) valid: Value,
    pub(super) fields: Vec<Field>,
}

/// One field of a request.
pub(super) struct Field {
    /// Name in refusals, for example `rollout.percent`.
    name: &'static str,
    kind: Kind,
    may_be_absent: bool,
    may_be_null: bool,
    /// Name in refusals of a value that has the right type.
    values_at: &'static str,
}

/// A wrong body and the problem that it must give.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) body: Vec<u8>,
    pub(super) expected: ExpectedProblem,
}

/// Expected problem document.
#[derive(Debug, Clone)]
pub(super) struct ExpectedProblem {
    pub(super) status: u16,
    pub(super) code: &'static str,
    /// Named fields, in any order.
    pub(super) fields: Vec<String>,
}

impl ExpectedProblem {
    pub(super) fn field(name: impl Into<String>) -> Self {
        Self::fields([name])
    }

    pub(super) fn fields<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            status: 400,
            code: "invalid_parameter",
            fields: names.into_iter().map(Into::into).collect(),
        }
    }

    /// Expects a problem other than that of a field.
    pub(super) fn status(status: u16, code: &'static str) -> Self {
        Self {
            status,
            code,
            fields: Vec::new(),
        }
    }
}

impl Field {
    /// Builds a required field.
    pub(super) fn required(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            may_be_absent: false,
            may_be_null: false,
            values_at: name,
        }
    }

    /// Builds an optional field for which null means absent.
    pub(super) fn optional(name: &'static str, kind: Kind) -> Self {
        Self {
            may_be_absent: true,
            may_be_null: true,
            ..Self::required(name, kind)
        }
    }

    /// Builds an optional field that refuses null.
    pub(super) fn not_null(name: &'static str, kind: Kind) -> Self {
        Self {
            may_be_null: false,
            ..Self::optional(name, kind)
        }
    }

    pub(super) fn values_at(self, name: &'static str) -> Self {
        Self {
            values_at: name,
            ..self
        }
    }
}

impl Operation {
    pub(super) fn new(method: Method, path: impl Into<String>, valid: Value, fields: Vec<Field>) -> Self {
        Self {
            method,
            path: path.into(),
            valid,
            fields,
        }
    }

    /// Returns every wrong body.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self.fields.iter().flat_map(|field| self.rows_of(field)).collect();
        rows.extend(self.rows_of_members());
        rows
    }

    /// Builds a row from the valid body with some members replaced, or removed if given as null.
    pub(super) fn row(&self, changes: &Value, expected: ExpectedProblem) -> Row {
        let mut body = self.valid.clone();
        let members = body.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                members.shift_remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        Row {
            label: cut(&changes.to_string()),
            body: body.to_string().into(),
            expected,
        }
    }

    fn rows_of(&self, field: &Field) -> Vec<Row> {
        let named = |at: &At| match at {
            At::Type(inside) => format!("{}{inside}", field.name),
            At::Value(inside) => format!("{}{inside}", field.values_at),
            At::Body => "body".to_owned(),
        };
        let mut rows: Vec<_> = field
            .kind
            .wrong_values()
            .iter()
            .map(|wrong| self.row_with(field.name, &wrong.json, ExpectedProblem::field(named(&wrong.at))))
            .collect();
        if !field.may_be_null {
            rows.push(self.row_with(field.name, "null", ExpectedProblem::field(field.name)));
        }
        if !field.may_be_absent {
            rows.push(Row {
                label: format!("without {}", field.name),
                body: without(&self.valid, field.name).into(),
                expected: ExpectedProblem::field(field.name),
            });
        }
        rows
    }

    /// Builds a row from the valid body with raw JSON as one of its fields.
    pub(super) fn row_with(&self, field: &str, json: &str, expected: ExpectedProblem) -> Row {
        Row {
            label: format!("{field} = {}", cut(json)),
            body: with(&self.valid, field, json).into(),
            expected,
        }
    }

    /// Builds rows with unknown or repeated members, and with members without names.
    fn rows_of_members(&self) -> Vec<Row> {
        let valid = self.valid.to_string();
        let inside = valid.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
        let comma = if inside.is_empty() { "" } else { "," };
        let row = |label: &str, body: String, named: &str| Row {
            label: label.to_owned(),
            body: body.into(),
            expected: ExpectedProblem::field(named),
        };
        let mut rows = vec![
            row(
                "an unknown member",
                format!("{{\"nonsense\":1{comma}{inside}}}"),
                "nonsense",
            ),
            row(
                "an unknown member last",
                format!("{{{inside}{comma}\"a b\":{{}}}}"),
                "a b",
            ),
            row("an unnamed member", format!("{{\"\":1{comma}{inside}}}"), ""),
        ];
        if let Some((name, value)) = self.valid.as_object().unwrap().iter().next() {
            let twice = format!("{{\"{name}\":{value},{inside}}}");
            rows.push(row("a member twice", twice, name));
            let upper = format!("{{\"{}\":{value},{inside}}}", name.to_uppercase());
            rows.push(row("a member in capitals", upper, &name.to_uppercase()));
        }
        let values: Vec<_> = self.valid.as_object().unwrap().values().collect();
        let unnamed = serde_json::to_string(&values).unwrap();
        rows.push(row("members without names", unnamed, "body"));
        rows
    }
}

/// Returns the body with raw JSON as a field, which may be new.
fn with(body: &Value, field: &str, json: &str) -> String {
    const MARK: &str = "@ here @";
    let mut body = body.clone();
    let mut place = &mut body;
    for step in steps(field) {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = Value::from(MARK);
    body.to_string().replace(&format!("\"{MARK}\""), json)
}

fn without(body: &Value, field: &str) -> String {
    let mut body = body.clone();
    let steps = steps(field);
    let (last, parents) = steps.split_last().unwrap();
    let mut place = &mut body;
    for step in parents {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[*step],
        };
    }
    place.as_object_mut().unwrap().shift_remove(*last);
    body.to_string()
}

fn steps(field: &str) -> Vec<&str> {
    field
        .split(['.', '[', ']'])
        .filter(|step| !step.is_empty())
        .collect()
}

/// Shortens a long text for a message.
pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    let start: String = text.chars().take(80).collect();
    format!("{start}… ({} bytes)", text.len())
}
