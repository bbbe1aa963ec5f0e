//! Reader of request fields. They are parsed one by one, so that a response can report every invalid field.

use chrono::{DateTime, Utc};

use super::object::Object;
use super::problem::{MAX_ERRORS, Problem};
use super::request_fields::{Member, Nullable, Optional, Required};
use slipway_domain::catalog::field::{FieldError, FieldErrorCode, Invalid};
use slipway_domain::catalog::instant::in_micros;

/// Reads fields and collects their errors, up to [`MAX_ERRORS`].
#[derive(Default)]
pub(super) struct FieldReader {
    errors: Vec<FieldError>,
    /// Meaning of an absent field.
    absent: AbsentField,
    /// Fields that were null although they have no null value.
    nulls: Vec<String>,
}

/// Meaning of a field that is absent from a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AbsentField {
    /// The default value, in a create or an action.
    #[default]
    Default,
    /// The current value, in an update.
    Keep,
}

impl FieldReader {
    /// Creates a reader for an update, in which absent fields keep their values.
    pub(super) fn for_update() -> Self {
        Self {
            absent: AbsentField::Keep,
            ..Self::default()
        }
    }

    /// Reads a required field.
    pub(super) fn required<R, T>(
        &mut self,
        field: &str,
        given: Required<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        match given.0 {
            Member::Value(value) => self.record(field, parse(value)),
            Member::Absent | Member::Null => {
                self.add_error(FieldError::required(field));
                None
            }
        }
    }

    /// Reads a field that may be absent or null.
    pub(super) fn optional<R, T>(
        &mut self,
        field: &str,
        given: Nullable<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.nullable(field, given, parse).flatten()
    }

    /// Reads a field that may be absent but not null.
    pub(super) fn optional_non_null<R, T>(
        &mut self,
        field: &str,
        given: Optional<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        match given.0 {
            Member::Absent => None,
            Member::Null => {
                self.nulls.push(field.to_owned());
                self.record(field, Err(self.null_refused()))
            }
            Member::Value(value) => self.record(field, parse(value)),
        }
    }

    fn null_refused(&self) -> Invalid {
        Invalid::new(match self.absent {
            AbsentField::Default => "must not be null; leave it out to get the default",
            AbsentField::Keep => "must not be null; leave it out to keep it",
        })
    }

    /// Reads a field that null clears.
    #[expect(clippy::option_option, reason = "left as it is, made absent, or given")]
    pub(super) fn nullable<R, T>(
        &mut self,
        field: &str,
        given: Nullable<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        match given.0 {
            Member::Absent => None,
            Member::Null => Some(None),
            Member::Value(value) => self.record(field, parse(value)).map(Some),
        }
    }

    /// Reads a field that null or an empty value clears.
    #[expect(clippy::option_option, reason = "left as it is, made absent, or given")]
    pub(super) fn clearable<R, T>(
        &mut self,
        field: &str,
        given: Nullable<R>,
        parse: impl FnOnce(R) -> Result<Option<T>, Invalid>,
    ) -> Option<Option<T>> {
        self.nullable(field, given, parse).map(Option::flatten)
    }

    /// Reads an object by its own fields, whose errors name it too, such as `field.member`.
    pub(super) fn object<R, T>(
        &mut self,
        field: &str,
        given: Optional<Object<R>>,
        read: impl FnOnce(R, &str, &mut Self) -> T,
    ) -> Option<T> {
        let Object(object) = self.optional_non_null(field, given, Ok)?;
        Some(read(object, &format!("{field}."), self))
    }

    /// Reads the items of a list. Errors name the item, such as `field[3]`.
    pub(super) fn list<R, T>(
        &mut self,
        field: &str,
        given: Optional<Vec<R>>,
        parse: impl FnMut(R) -> Result<T, Invalid>,
    ) -> Option<Vec<T>> {
        let items = self.optional_non_null(field, given, Ok)?;
        Some(self.items(field, items, parse))
    }

    /// Reads the items of a given list, without those that are invalid.
    pub(super) fn items<R, T>(
        &mut self,
        field: &str,
        items: Vec<R>,
        mut parse: impl FnMut(R) -> Result<T, Invalid>,
    ) -> Vec<T> {
        items
            .into_iter()
            .enumerate()
            .filter_map(|(index, item)| self.record(&format!("{field}[{index}]"), parse(item)))
            .collect()
    }

    /// Reads an optional query parameter.
    pub(super) fn query_param<R, T>(
        &mut self,
        field: &str,
        given: Option<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        given.and_then(|value| self.record(field, parse(value)))
    }

    /// Returns true if the field already has an error.
    pub(super) fn has_error(&self, field: &str) -> bool {
        self.errors.iter().any(|known| known.field == field)
    }

    /// Adds the error of a missing field, unless the field already has a more specific error. An error for null is
    /// replaced, because its advice to leave the field out does not apply to a required field.
    pub(super) fn add_missing(&mut self, error: FieldError) {
        if self.nulls.contains(&error.field) {
            self.errors.retain(|known| known.field != error.field);
        }
        if !self.has_error(&error.field) {
            self.add_error(error);
        }
    }

    pub(super) fn add_error(&mut self, error: FieldError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    /// Returns `Ok` if there were no errors.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }

    /// Returns the value made of the fields if there were no errors. The value is absent only if a field has an error.
    pub(super) fn complete<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(self.into_problem()),
        }
    }

    /// Returns the problem after a required field could not be read.
    pub(super) fn into_problem(self) -> Problem {
        Problem::invalid(self.errors)
    }

    /// Returns a parsed value, or records the error of its field.
    pub(super) fn record<T>(&mut self, field: &str, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|invalid| self.add_error(invalid.at(field))).ok()
    }
}

/// Parses an RFC 3339 timestamp in the years 1970 to 9999, truncated to microseconds (the precision of both databases).
pub(super) fn parse_instant(text: String) -> Result<DateTime<Utc>, Invalid> {
    let refusal = || Invalid::new("must be an RFC 3339 timestamp such as 2026-03-02T02:00:00Z");
    let instant = DateTime::parse_from_rfc3339(&text)
        .map_err(|_| refusal())?
        .to_utc();
    let earliest = DateTime::UNIX_EPOCH;
    let latest = DateTime::from_timestamp(253_402_300_799, 999_999_999).unwrap_or(DateTime::<Utc>::MAX_UTC);
    if instant < earliest || instant > latest {
        return Err(refusal());
    }
    Ok(in_micros(instant))
}

/// Converts a serde error into a field error.
pub(super) fn field_error_from_serde(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    if error.inner().is_syntax() || error.inner().is_eof() || error.inner().is_io() {
        return FieldError::invalid("body", format!("is not valid JSON: {message}"));
    }
    let without_position = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(before, _)| before);
    let inside = if path == "." { String::new() } else { path };
    if let Some(error) = explain_members(&inside, without_position) {
        return error;
    }
    let field = if inside.is_empty() {
        "body".to_owned()
    } else {
        inside
    };
    FieldError::invalid(field, to_json_terms(without_position))
}

/// Converts a serde error about the members of an object into a field error; `None` for other errors. `inside` is the
/// path of the object.
pub(super) fn explain_members(inside: &str, message: &str) -> Option<FieldError> {
    if let Some(unknown) = message.strip_prefix("unknown field `") {
        let (name, accepted) = unknown
            .rsplit_once("`, expected ")
            .unwrap_or((unknown.trim_end_matches("`, there are no fields"), "none"));
        return Some(FieldError {
            field: unknown_field_path(inside, name),
            code: FieldErrorCode::Unknown,
            message: format!("is unknown here; expected {accepted}"),
        });
    }
    if let Some(name) = quoted(message, "duplicate field `") {
        return Some(FieldError::invalid(join(inside, name), "must not be given twice"));
    }
    quoted(message, "missing field `").map(|name| FieldError::required(join(inside, name)))
}

fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.split('`').next()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Returns the path of an unknown field. The tracked path either ends with the field or stops before it.
fn unknown_field_path(path: &str, name: &str) -> String {
    if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        join(path, name)
    }
}

/// Rewrites a serde message, which names Rust types, in JSON terms. The given value is described by its kind, and a
/// number by its value.
fn to_json_terms(message: &str) -> String {
    let Some((given, expected)) = message.rsplit_once(", expected ") else {
        // Messages of this crate need no prefix.
        let is_own = message.starts_with("must ");
        return if is_own {
            message.to_owned()
        } else {
            format!("is not accepted: {message}")
        };
    };
    let expected = match expected {
        "i64" => "an integer up to 9223372036854775807",
        "a sequence" => "an array",
        "a JSON number" => "a number",
        other => other,
    };
    let given = given.split_once(": ").map_or(given, |(_, given)| given);
    let given = match given.split(' ').next().unwrap_or_default() {
        "string" => "a string",
        "boolean" => "a boolean",
        "sequence" => "an array",
        "map" => "an object",
        "integer" | "floating" => given.split('`').nth(1).unwrap_or("a number"),
        _ => given,
    };
    format!("must be {expected}, not {given}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_named_in_the_words_of_json() {
        for (serde, json) in [
            (
                "invalid type: string \"a map, expected i64\", expected a boolean",
                "must be a boolean, not a string",
            ),
            (
                "invalid type: sequence, expected a string",
                "must be a string, not an array",
            ),
            (
                "invalid type: map, expected a sequence",
                "must be an array, not an object",
            ),
            (
                "invalid type: null, expected an object",
                "must be an object, not null",
            ),
            (
                "invalid type: floating point `5.0`, expected i64",
                "must be an integer up to 9223372036854775807, not 5.0",
            ),
            (
                "invalid value: integer `9223372036854775808`, expected i64",
                "must be an integer up to 9223372036854775807, not 9223372036854775808",
            ),
        ] {
            assert_eq!(to_json_terms(serde), json);
        }
    }
}
