//! Statements with their values in their text, for PostgreSQL's simple query protocol.
//!
//! That protocol accepts several statements in one message, and no parameters. A text is written as hexadecimal digits
//! unless it consists of a few harmless characters, so that no value can end its literal.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike as _, Utc};
use sea_orm::{DbErr, Statement, Value};

/// Returns the text of a statement with its values.
pub(super) fn with_values(statement: &Statement) -> Result<String, DbErr> {
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    let sql = statement.sql.as_str();
    let mut text = String::with_capacity(sql.len() + 64 * values.len());
    let mut quote = None;
    let mut rest = sql.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            ('$', None) => {
                let mut number = 0;
                while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
                    number = number * 10 + digit as usize;
                    rest.next();
                }
                let value = number.checked_sub(1).and_then(|index| values.get(index));
                let value = value.ok_or_else(|| error("a placeholder has no value"))?;
                write_literal(value, &mut text)?;
                continue;
            }
            _ => {}
        }
        text.push(character);
    }
    Ok(text)
}

fn write_literal(value: &Value, text: &mut String) -> Result<(), DbErr> {
    let written = match value {
        Value::Bool(Some(flag)) => write!(text, "{}", if *flag { "TRUE" } else { "FALSE" }),
        Value::SmallInt(Some(number)) => write!(text, "({number})"),
        Value::Int(Some(number)) => write!(text, "({number})"),
        Value::BigInt(Some(number)) => write!(text, "({number})"),
        Value::BigUnsigned(Some(number)) => write!(text, "({number})"),
        Value::String(Some(string)) if is_harmless(string) => write!(text, "'{string}'"),
        Value::String(Some(string)) => {
            write!(
                text,
                "convert_from(decode('{}', 'hex'), 'UTF8')",
                hex::encode(string)
            )
        }
        Value::Uuid(Some(id)) => write!(text, "'{id}'::uuid"),
        Value::ChronoDate(Some(day)) if (1..=9_999).contains(&day.year()) => write!(text, "'{day}'::date"),
        Value::ChronoDateTimeUtc(Some(instant)) => write!(text, "{}", timestamp(*instant)?),
        Value::Bool(None)
        | Value::SmallInt(None)
        | Value::Int(None)
        | Value::BigInt(None)
        | Value::String(None)
        | Value::Uuid(None)
        | Value::ChronoDateTimeUtc(None) => write!(text, "NULL"),
        _ => return Err(error("a value has no literal")),
    };
    written.map_err(|_| error("a literal cannot be written"))
}

/// Returns the literal of an instant, in microseconds. The form is that of ISO 8601, which PostgreSQL reads in the same way
/// with every `DateStyle`. Years before the first are counted back from it.
fn timestamp(instant: DateTime<Utc>) -> Result<String, DbErr> {
    // A leap second becomes the next one, as in a parameter.
    let instant = DateTime::from_timestamp_micros(instant.timestamp_micros())
        .ok_or_else(|| error("an instant has no literal"))?;
    let (year, era) = match instant.year() {
        year @ 1.. => (year, ""),
        year => (1 - year, " BC"),
    };
    let rest = instant.format("%m-%d %H:%M:%S%.6f+00");
    Ok(format!("'{year:04}-{rest}{era}'::timestamptz"))
}

/// Returns `true` if a text stands for itself between quotes, whatever the settings of the server are.
fn is_harmless(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':'))
}

fn error(reason: &str) -> DbErr {
    DbErr::Custom(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    fn text(sql: &str, values: impl IntoIterator<Item = Value>) -> Result<String, DbErr> {
        with_values(&Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
    }

    #[test]
    fn values_replace_placeholders_outside_of_quotes() {
        let values = [Value::from(-7_i64), Value::from("a.b"), Value::Bool(None)];
        assert_eq!(
            text(r#"SELECT "$1", '$2 ''$1', $2, $1, $3"#, values).unwrap(),
            r#"SELECT "$1", '$2 ''$1', 'a.b', (-7), NULL"#
        );
    }

    #[test]
    fn no_text_ends_its_literal() {
        for hostile in ["'", "\\'; DROP TABLE apps; --", "$1", "仓库", "", " ", "\0"] {
            let written = text("SELECT $1", [Value::from(hostile)]).unwrap();
            let digits = written
                .strip_prefix("SELECT convert_from(decode('")
                .and_then(|rest| rest.strip_suffix("', 'hex'), 'UTF8')"));
            match digits {
                Some(digits) => assert_eq!(hex::decode(digits).unwrap(), hostile.as_bytes()),
                None => assert_eq!((written.as_str(), hostile), ("SELECT ''", "")),
            }
        }
    }

    #[test]
    fn instants_are_written_in_microseconds_of_any_year() {
        for (instant, literal) in [
            ("1970-01-01T00:00:00Z", "'1970-01-01 00:00:00.000000+00'"),
            (
                "2026-11-30T23:59:59.999999999Z",
                "'2026-11-30 23:59:59.999999+00'",
            ),
            ("1969-12-31T23:59:59.5Z", "'1969-12-31 23:59:59.500000+00'"),
            ("2016-12-31T23:59:60.25Z", "'2017-01-01 00:00:00.250000+00'"),
            ("0001-01-01T00:00:00Z", "'0001-01-01 00:00:00.000000+00'"),
            ("0000-02-29T00:00:00Z", "'0001-02-29 00:00:00.000000+00 BC'"),
            ("+12026-01-01T00:00:00Z", "'12026-01-01 00:00:00.000000+00'"),
        ] {
            let value: DateTime<Utc> = instant.parse().unwrap();
            let written = text("SELECT $1", [Value::from(value)]).unwrap();
            assert_eq!(written, format!("SELECT {literal}::timestamptz"), "{instant}");
        }
    }

    #[test]
    fn a_placeholder_needs_a_value_that_has_a_literal() {
        assert!(text("SELECT $1", []).is_err());
        assert!(text("SELECT $0", [Value::from(1_i64)]).is_err());
        assert!(text("SELECT $1", [Value::Double(Some(0.5))]).is_err());
    }
}
