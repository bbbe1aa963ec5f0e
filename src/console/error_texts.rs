//! Errors of fields in the words of the console. The parsers name the fields and the types of the API.

use super::fields::{Field, Kind};
use super::texts::{Texts, without_name};
use crate::http::problem::Problem;
use slipway_domain::catalog::field::{FieldError, FieldErrorCode};

/// Maximum number of messages at one field.
const MAX_MESSAGES: usize = 20;

/// Returns the messages on a field, on its items, and on its members. Items are named by their lines in the input.
pub(super) fn error_of(t: &Texts, field: &Field, input: &str, problem: &Problem) -> Option<String> {
    let errors = problem.field_errors().iter();
    let messages = errors.filter_map(|error| {
        let rest = error.field.strip_prefix(field.name)?;
        let item = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
        let message = message(t, field.kind, input, error);
        match item {
            Some(index) => Some(format!(
                "{} {}: {message}",
                t.line,
                line_of(field.kind, input, index)
            )),
            None if rest.is_empty() || rest.starts_with('.') => Some(message),
            None => None,
        }
    });
    let messages: Vec<_> = messages.take(MAX_MESSAGES).collect();
    (!messages.is_empty()).then(|| messages.join("; "))
}

/// Returns the errors of a problem that are not about one of these fields.
pub(super) fn other_errors(t: &Texts, fields: &[Field], problem: &Problem) -> Vec<String> {
    let is_of = |error: &FieldError, field: &Field| {
        let rest = error.field.strip_prefix(field.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
    };
    let errors = problem.field_errors().iter();
    let others = errors.filter(|error| !fields.iter().any(|field| is_of(error, field)));
    others
        .map(|error| format!("{} {}", error.field, t.message(without_name(error))))
        .collect()
}

fn message(t: &Texts, kind: Kind, input: &str, error: &FieldError) -> String {
    let own = without_name(error);
    if error.code == FieldErrorCode::Required {
        return t.is_required.to_owned();
    }
    match kind {
        Kind::Number if own.starts_with("must be a number") => t.must_be_a_share.to_owned(),
        Kind::Integer if own.starts_with("must be an integer") && own.contains(", not ") => {
            t.must_be_a_whole_number.to_owned()
        }
        Kind::Targets if error.field.ends_with(".project_id") && lacks_project(input, &error.field) => {
            t.target_lacks_project.to_owned()
        }
        _ => t.message(own).into_owned(),
    }
}

/// Returns `true` if the line of an item has nothing after its last `@`.
fn lacks_project(input: &str, field: &str) -> bool {
    let index = field
        .split(['[', ']'])
        .nth(1)
        .and_then(|index| index.parse().ok());
    let line = index.and_then(|index| item_lines(input).nth(index));
    line.is_some_and(|(_, line)| {
        line.rsplit_once('@')
            .is_none_or(|(_, project)| project.trim().is_empty())
    })
}

/// Returns the line of an item, counted from 1. Blank lines are no items.
fn line_of(kind: Kind, input: &str, index: usize) -> usize {
    let has_lines = matches!(kind, Kind::Lines | Kind::OrgScopes | Kind::Rules | Kind::Targets);
    let found = item_lines(input).nth(index).filter(|_| has_lines);
    found.map_or(index, |(line, _)| line) + 1
}

fn item_lines(input: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = input.lines().enumerate();
    lines.filter(|(_, line)| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_domain::catalog::language::Language;

    fn shown(field: &Field, input: &str, error: FieldError) -> Option<String> {
        let t = Texts::of(Language::English);
        error_of(t, field, input, &Problem::invalid(vec![error]))
    }

    #[test]
    fn errors_are_in_the_words_of_the_page() {
        let share = Field::new("rollout.percent", Kind::Number, |t| t.percent);
        let wrong = FieldError::invalid("rollout.percent", "must be a number, not a string");
        let text = "must be a number from 0 to 100, for example 10.5";
        assert_eq!(shown(&share, "abc", wrong).as_deref(), Some(text));
        let code = Field::new("version_code", Kind::Integer, |t| t.version_code);
        let wrong = FieldError::invalid("version_code", "must be an integer up to 9, not a string");
        assert_eq!(
            shown(&code, "x", wrong).as_deref(),
            Some("must be a whole number")
        );
        let name = Field::new("package_name", Kind::Text, |t| t.package_name);
        let wrong = FieldError::required("package_name");
        assert_eq!(shown(&name, "", wrong).as_deref(), Some("is required"));
    }

    #[test]
    fn an_item_is_named_by_its_line() {
        let targets = Field::new("target_info", Kind::Targets, |t| t.push_targets);
        let too_short = |field: &str| FieldError::invalid(field, "must be 1 to 128 characters long, not 0");
        let message = shown(&targets, "\na@b\n\nc\n", too_short("target_info[1].project_id")).unwrap();
        assert!(message.starts_with("line 4: ") && message.contains("FM8007PDA001@handhelds"));
        let message = shown(&targets, "@b", too_short("target_info[0].hardware_id")).unwrap();
        assert_eq!(message, "line 1: must be 1 to 128 characters long, not 0");
    }
}
