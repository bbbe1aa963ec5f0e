//! Tables that a person sends as CSV: their rows, with the numbers of their lines.

use super::input::{FILE, Input};
use super::table::plain;
use super::texts::without_name;
use crate::http::problem::Problem;
use slipway_domain::catalog::field::FieldError;

/// Field of a form that contains a table.
const FIELD: &str = "csv";

/// Byte-order mark, which spreadsheets write before UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Text of a table that was pasted or sent as a file.
pub(super) struct TableText {
    pub(super) text: String,
    /// Field of the form that has the text.
    field: &'static str,
}

impl TableText {
    /// Returns the table in a form, which has either the file or the text.
    pub(super) fn of(input: &Input) -> Result<Self, Problem> {
        let pasted = input.get(FIELD);
        let Some(file) = input.file() else {
            return Ok(Self {
                text: pasted.to_owned(),
                field: FIELD,
            });
        };
        let refusal = |message: &str| Problem::invalid(vec![FieldError::invalid(FILE, message)]);
        if !pasted.trim().is_empty() {
            return Err(refusal("must be given without a pasted text"));
        }
        let text = std::str::from_utf8(file);
        let text = text.map_err(|_| refusal("must be UTF-8; save the file as CSV UTF-8"))?;
        Ok(Self {
            text: text.to_owned(),
            field: FILE,
        })
    }

    /// Names the field of the form in errors on the table.
    pub(super) fn at_own_field(field: &'static str, problem: Problem) -> Problem {
        if field == FIELD || problem.field_errors().is_empty() {
            return problem;
        }
        let errors = problem.field_errors().iter().map(|error| {
            let place = error.field.strip_prefix(FIELD);
            let place = place.map_or_else(|| error.field.clone(), |place| format!("{field}{place}"));
            FieldError {
                message: without_name(error).to_owned(),
                field: place,
                ..error.clone()
            }
        });
        Problem::invalid(errors.collect())
    }

    pub(super) fn field(&self) -> &'static str {
        self.field
    }
}

/// Columns of a table.
pub(super) struct Columns {
    /// Accepted names of each column in a header. The first one is shown in errors.
    pub(super) names: &'static [&'static [&'static str]],
    /// Number of columns that every row has.
    pub(super) required: usize,
}

/// Row of a table. Blank and absent cells are `None`.
pub(super) struct Row<'a> {
    cells: Vec<Option<&'a str>>,
}

/// Rows of a table, each with the line where it begins.
pub(super) struct Rows(Vec<(usize, csv::StringRecord)>);

impl Rows {
    /// Parses a table. A header is skipped; a row with another number of columns is refused.
    pub(super) fn parse(text: &str, columns: &Columns) -> Result<Self, Problem> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if text.trim().is_empty() {
            return Err(Problem::invalid(vec![FieldError::required(FIELD)]));
        }
        let mut records = read_records(text)?;
        if let Some((line, first)) = records.first()
            && columns.begin_header(first)
        {
            columns.require_header(*line, first)?;
            records.remove(0);
        }
        let wrong = records
            .iter()
            .filter_map(|(line, row)| columns.error_in(*line, row));
        let wrong: Vec<_> = wrong.collect();
        if wrong.is_empty() {
            Ok(Self(records))
        } else {
            Err(Problem::invalid(wrong))
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().map(|(_, record)| Row {
            cells: record
                .iter()
                .map(|cell| Some(plain(cell)).filter(|cell| !cell.is_empty()))
                .collect(),
        })
    }

    /// Names the lines in the errors of a body whose items were made of the rows.
    pub(super) fn errors_by_line(&self, problem: Problem) -> Problem {
        // A refusal or a conflict is not about the rows.
        if problem.field_errors().is_empty() {
            return problem;
        }
        let errors = problem.field_errors().iter();
        Problem::invalid(errors.map(|error| self.error_by_line(error)).collect())
    }

    fn error_by_line(&self, error: &FieldError) -> FieldError {
        let rest = error.field.split_once('[').map(|(_, rest)| rest);
        let item = rest.and_then(|rest| rest.split_once(']'));
        let row =
            item.and_then(|(index, member)| Some((self.0.get(index.parse::<usize>().ok()?)?.0, member)));
        match row {
            Some((line, member)) => {
                let member = member.trim_start_matches('.');
                // Some messages begin with the field.
                let message = error.message.strip_prefix(&error.field).unwrap_or(&error.message);
                error_at(line, format!("{member} {}", message.trim_start()))
            }
            None => FieldError::invalid(FIELD, error.message.clone()),
        }
    }
}

impl Row<'_> {
    pub(super) fn cell(&self, column: usize) -> Option<&str> {
        self.cells.get(column).copied().flatten()
    }
}

impl Columns {
    fn begin_header(&self, row: &csv::StringRecord) -> bool {
        let first = row.get(0).zip(self.names.first());
        first.is_some_and(|(cell, names)| is_named(cell, names))
    }

    /// Requires that a header names the columns in their order. Others would be read as the wrong fields.
    fn require_header(&self, line: usize, row: &csv::StringRecord) -> Result<(), Problem> {
        let is_header = self.has_columns(row)
            && row
                .iter()
                .zip(self.names)
                .all(|(cell, names)| is_named(cell, names));
        if is_header {
            return Ok(());
        }
        let message = format!("must name these columns in this order: {}", self.in_words());
        Err(Problem::invalid(vec![error_at(line, message)]))
    }

    fn has_columns(&self, row: &csv::StringRecord) -> bool {
        (self.required..=self.names.len()).contains(&row.len())
    }

    fn error_in(&self, line: usize, row: &csv::StringRecord) -> Option<FieldError> {
        if self.has_columns(row) {
            return None;
        }
        let columns = self.in_words();
        if row.iter().any(|cell| cell.contains(';')) {
            let message =
                format!("columns are separated by commas, not semicolons; the columns are {columns}");
            return Some(error_at(line, message));
        }
        let (given, least, most) = (row.len(), self.required, self.names.len());
        let expected = if least == most {
            most.to_string()
        } else {
            format!("{least} to {most}")
        };
        let message = format!("has {given} columns, not {expected}: {columns}");
        Some(error_at(line, message))
    }

    fn in_words(&self) -> String {
        let names = self.names.iter().filter_map(|names| names.first().copied());
        names.collect::<Vec<_>>().join(",")
    }
}

fn is_named(cell: &str, names: &[&str]) -> bool {
    let cell = cell.trim().to_lowercase();
    names.contains(&cell.as_str())
}

/// Returns an error on a line of the table. Errors of a form count lines from 0, as items of a list.
fn error_at(line: usize, message: String) -> FieldError {
    FieldError::invalid(format!("{FIELD}[{}]", line.saturating_sub(1)), message)
}

fn read_records(text: &str) -> Result<Vec<(usize, csv::StringRecord)>, Problem> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut lines = LineCounter::default();
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            let line = usize::try_from(line).unwrap_or(usize::MAX);
            Problem::invalid(vec![error_at(line, "is not valid CSV".to_owned())])
        })?;
        let start = record.position().map_or(0, csv::Position::byte);
        records.push((lines.line_at(text, usize::try_from(start).unwrap_or(0)), record));
    }
    Ok(records)
}

/// Counts the lines up to a record. The position of the library is that of the blank lines before it.
#[derive(Default)]
struct LineCounter {
    breaks: usize,
    counted: usize,
}

impl LineCounter {
    fn line_at(&mut self, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        let rest = bytes.get(start..).unwrap_or_default();
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'))
            .count();
        let between = bytes.get(self.counted..start + blank).unwrap_or_default();
        self.breaks += between.split(|byte| *byte == b'\n').count() - 1;
        self.counted = start + blank;
        self.breaks + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        names: &[&["id", "device_id"], &["project"], &["type"]],
        required: 2,
    };

    fn message(text: &str) -> (String, String) {
        let problem = Rows::parse(text, &COLUMNS).err().unwrap();
        let error = &problem.field_errors()[0];
        (error.field.clone(), error.message.clone())
    }

    #[test]
    fn rows_have_the_lines_of_the_text() {
        let rows = Rows::parse("ID, project\n\na,b\n\n\"c\nc\",d,e\nf,\n", &COLUMNS).unwrap();
        let lines: Vec<_> = rows.0.iter().map(|(line, record)| (*line, &record[0])).collect();
        assert_eq!(lines, [(3, "a"), (5, "c\nc"), (7, "f")]);
    }

    #[test]
    fn a_row_with_other_columns_is_refused() {
        let has_one = "has 1 columns, not 2 to 3: id,project,type".to_owned();
        assert_eq!(message("a,b\n\nc\n"), ("csv[2]".to_owned(), has_one));
        assert!(message("a,b,c,d").1.starts_with("has 4 columns"));
        assert!(message("a;b;c").1.starts_with("columns are separated by commas"));
        assert!(message("id,type\na,b").1.starts_with("must name these columns"));
        assert_eq!(message(" \n").0, "csv");
    }
}
