//! Fields of a request's body: absent, null or given; read one by one, so that every wrong one is named at once.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::problem::Problem;
use crate::catalog::field::{FieldError, FieldErrorCode, Invalid};
use crate::storage::in_micros;

/// A member of a body. Absent, null and a value mean three things in a PATCH.
#[derive(Debug, Clone, Default)]
pub(super) enum Patch<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

impl<T> Patch<T> {
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

/// A JSON object. Structs alone would also be read from arrays, member by member.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A list that is not read beyond `MAX` items, whatever the body holds.
#[derive(Debug, Default)]
pub(super) struct Bounded<T, const MAX: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_seq(BoundedVisitor::<T, MAX>(PhantomData))
            .map(Self)
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            if read.len() == MAX {
                return Err(A::Error::custom(format_args!("must hold at most {MAX} items")));
            }
            read.push(item);
        }
        Ok(read)
    }
}

/// Nobody reads more mistakes than this at once; a large body could have millions.
const MAX_ERRORS: usize = 100;

/// Reads fields and collects what is wrong with them.
#[derive(Default)]
pub(super) struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    /// A field that must be given.
    pub(super) fn required<R, T>(
        &mut self,
        field: &str,
        given: Patch<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        match given {
            Patch::Value(value) => self.keep(field, parse(value)),
            Patch::Absent | Patch::Null => {
                self.error(FieldError::required(field));
                None
            }
        }
    }

    /// A field that may be absent or null.
    pub(super) fn optional<R, T>(
        &mut self,
        field: &str,
        given: Patch<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        given.value().and_then(|value| self.keep(field, parse(value)))
    }

    /// A field that may be left out but has no null.
    pub(super) fn changed<R, T>(
        &mut self,
        field: &str,
        given: Patch<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        match given {
            Patch::Absent => None,
            Patch::Null => self.keep(
                field,
                Err(Invalid::new("must not be null; leave it out to keep it")),
            ),
            Patch::Value(value) => self.keep(field, parse(value)),
        }
    }

    /// A field that null makes absent.
    #[expect(clippy::option_option, reason = "left as it is, made absent, or given")]
    pub(super) fn nullable<R, T>(
        &mut self,
        field: &str,
        given: Patch<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        match given {
            Patch::Absent => None,
            Patch::Null => Some(None),
            Patch::Value(value) => self.keep(field, parse(value)).map(Some),
        }
    }

    /// The items of a list; errors name the item, `field[3]`.
    pub(super) fn list<R, T>(
        &mut self,
        field: &str,
        given: Patch<Vec<R>>,
        mut parse: impl FnMut(R) -> Result<T, Invalid>,
    ) -> Option<Vec<T>> {
        let items = self.changed(field, given, Ok)?;
        let parsed: Vec<_> = items
            .into_iter()
            .enumerate()
            .filter_map(|(index, item)| self.keep(&format!("{field}[{index}]"), parse(item)))
            .collect();
        Some(parsed)
    }

    /// A query parameter that may be absent.
    pub(super) fn given<R, T>(
        &mut self,
        field: &str,
        given: Option<R>,
        parse: impl FnOnce(R) -> Result<T, Invalid>,
    ) -> Option<T> {
        given.and_then(|value| self.keep(field, parse(value)))
    }

    /// Adds an error unless the field has one already, which then says more.
    pub(super) fn error_unless_named(&mut self, error: FieldError) {
        if self.errors.iter().all(|known| known.field != error.field) {
            self.error(error);
        }
    }

    pub(super) fn error(&mut self, error: FieldError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    /// `Ok` when nothing was wrong so far.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }

    /// The answer when a required field could not be read.
    pub(super) fn refusal(self) -> Problem {
        Problem::invalid(self.errors)
    }

    fn keep<T>(&mut self, field: &str, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|invalid| self.error(invalid.at(field))).ok()
    }
}

/// An instant as RFC 3339 writes it, in the years 1970 to 9999, cut to microseconds (what both databases keep).
pub(super) fn parse_instant(text: String) -> Result<DateTime<Utc>, Invalid> {
    let refusal = || Invalid::new("must be an instant of RFC 3339 such as 2026-03-02T02:00:00Z");
    let instant = DateTime::parse_from_rfc3339(&text)
        .map_err(|_| refusal())?
        .to_utc();
    let earliest = DateTime::UNIX_EPOCH;
    let latest = DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    if instant < earliest || instant > latest {
        return Err(refusal());
    }
    Ok(in_micros(instant))
}

/// What serde says of a body, as a field and what is wrong with it.
pub(super) fn explain_serde(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    if error.inner().is_syntax() || error.inner().is_eof() || error.inner().is_io() {
        return FieldError::invalid("body", format!("is not valid JSON: {message}"));
    }
    let without_position = message.split(" at line ").next().unwrap_or(&message);
    let inside = if path == "." { String::new() } else { path };
    if let Some(name) = quoted(without_position, "unknown field `") {
        return FieldError {
            field: unknown_field_path(&inside, name),
            code: FieldErrorCode::Unknown,
            message: without_position.to_owned(),
        };
    }
    if let Some(name) = quoted(without_position, "duplicate field `") {
        return FieldError::invalid(join(&inside, name), "must not be given twice");
    }
    if let Some(name) = quoted(without_position, "missing field `") {
        return FieldError::required(join(&inside, name));
    }
    let field = if inside.is_empty() {
        "body".to_owned()
    } else {
        inside
    };
    FieldError::invalid(field, in_json_words(without_position))
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

/// The path of an unknown field: the tracked path ends with it or stops before it.
fn unknown_field_path(path: &str, name: &str) -> String {
    if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        join(path, name)
    }
}

/// serde names Rust's types; a caller knows JSON's.
fn in_json_words(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("expected i64", "expected an integer up to 9223372036854775807"),
        ("expected a sequence", "expected an array"),
        ("sequence", "array"),
        ("expected a map", "expected an object"),
        ("map", "object"),
        ("unit", "null"),
        ("floating point", "number"),
        ("expected struct ", "expected an object for "),
    ];
    let mut words = message.to_owned();
    for (rust, json) in WORDS {
        words = words.replace(rust, json);
    }
    if words.starts_with("must ") {
        return words;
    }
    format!("is of the wrong type: {words}")
}
