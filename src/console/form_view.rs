//! Form as a page shows it: with its stored values, or with the input and the errors of the last attempt.

use std::fmt;

use askama::Template;

use super::attempt::Attempt;
use super::error_texts::{error_of, other_errors};
use super::fields::{Field, Form, Kind, Style, instant};
use super::fragment::Fragment;
use super::input::{ETAG, FORM_ID, OPENED};
use super::kept_form;
use super::missing_form::MissingForm;
use super::opened_values::{Meanwhile, OpenedValues};
use super::texts::Texts;
use crate::http::problem::{Problem, ProblemCode};
use crate::random;

#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct FormView {
    id: String,
    action: String,
    token: String,
    form_id: String,
    etag: Option<String>,
    /// Entity tag and opened values of the last attempt, if they still apply.
    kept: Option<(String, String)>,
    /// Digests of the values with which the form is opened, if it is conditional on them.
    opened: String,
    fields: Vec<FieldView>,
    submit: &'static str,
    explanation: Option<&'static str>,
    is_danger: bool,
    /// `true` for a form with a file.
    is_upload: bool,
    upload_failed: &'static str,
    /// Heading of a form that is opened on demand.
    disclosure: Option<&'static str>,
    is_open: bool,
    /// Problem of the last attempt.
    problem: Option<ProblemView>,
    required: &'static str,
    now_stored: &'static str,
    /// Button that the Enter key presses, if it is not that of the form.
    enter: Option<Button>,
    /// Controls below the button of the form.
    further: Option<Fragment>,
}

/// Problem above the fields.
struct ProblemView {
    title: Option<&'static str>,
    detail: String,
}

impl ProblemView {
    /// `has_values` is true for a form that shows the values of an object.
    fn of(t: &Texts, problem: &Problem, has_values: bool, summary: impl FnOnce() -> String) -> Self {
        let text = match problem.code() {
            ProblemCode::Stale if has_values => Some(t.stale_values),
            ProblemCode::Stale => Some(t.stale_action),
            code => t.problem_of_form(code),
        };
        match text {
            Some(text) => Self {
                title: None,
                detail: text.to_owned(),
            },
            None => Self {
                title: Some(t.problem_title(problem.code())),
                detail: summary(),
            },
        }
    }
}

/// Button that sends the form to another address.
pub(super) struct Button {
    pub(super) action: String,
    pub(super) name: &'static str,
    /// `true` if the form may be incomplete.
    pub(super) accepts_incomplete: bool,
}

/// Control with its label.
struct FieldView {
    id: String,
    name: &'static str,
    label: &'static str,
    hint: Option<&'static str>,
    control: &'static str,
    value: String,
    is_checked: bool,
    is_required: bool,
    options: Vec<OptionView>,
    error: Option<String>,
    /// Value that somebody else stored meanwhile.
    stored: Option<String>,
    /// Controls below this one.
    below: Option<Fragment>,
}

struct OptionView {
    value: &'static str,
    label: &'static str,
    is_selected: bool,
}

impl FieldView {
    fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if self.hint.is_some() {
            ids.push(format!("{}-hint", self.id));
        }
        if self.error.is_some() {
            ids.push(format!("{}-error", self.id));
        }
        ids.join(" ")
    }
}

/// Stored values of a form's fields, by name.
pub(super) type Values = Vec<(&'static str, String)>;

/// Inserts a form into the page of a template.
impl askama::filters::HtmlSafe for FormView {}

/// Place of a form: its address, the token of the session, the last attempt.
pub(super) struct FormContext<'a> {
    pub(super) t: &'static Texts,
    pub(super) token: &'a str,
    pub(super) missing_form: &'a MissingForm,
    pub(super) attempt: Option<&'a Attempt>,
    /// `true` if the attempt succeeded, and is shown to be repeated with other input.
    pub(super) is_done: bool,
}

impl FormContext<'_> {
    /// Shows the input of the attempt without a problem.
    pub(super) fn without_problem(mut self) -> Self {
        self.is_done = true;
        self.missing_form.set_shown();
        self
    }

    /// Builds an empty form.
    pub(super) fn form(&self, form: &Form, action: impl fmt::Display) -> FormView {
        self.form_of(form, "", action, Vec::new())
    }

    /// Builds the form of an object with its stored values. `object` tells the forms of several objects apart.
    pub(super) fn form_of(
        &self,
        form: &Form,
        object: &str,
        action: impl fmt::Display,
        values: Values,
    ) -> FormView {
        let t = self.t;
        let id = if object.is_empty() {
            form.key.to_owned()
        } else {
            format!("{}-{object}", form.key)
        };
        let attempt = self.attempt.filter(|attempt| attempt.form == id);
        let stored = |field: &Field| {
            let stored = values.iter().find(|(name, _)| *name == field.name);
            stored.map_or(field.initial.to_owned(), |(_, value)| value.clone())
        };
        if attempt.is_some() {
            self.missing_form.set_shown();
        }
        let is_stale = attempt.is_some_and(|attempt| attempt.problem.code() == ProblemCode::Stale);
        let opened_before = attempt.and_then(|attempt| OpenedValues::parse(form, attempt.input.get(OPENED)));
        let opened = opened_before.as_ref();
        let late = attempt.filter(|_| is_stale).map(|attempt| &attempt.input);
        let fields = form.fields.iter().enumerate();
        let fields: Vec<_> = fields
            .map(|(index, field)| {
                let stored = stored(field);
                let meanwhile = Meanwhile::of(late, opened, index, field, &stored);
                field_view(t, &id, field, stored, attempt, meanwhile)
            })
            .collect();
        FormView {
            action: action.to_string(),
            token: self.token.to_owned(),
            form_id: form_id(attempt),
            etag: None,
            kept: attempt.filter(|_| !is_stale).and_then(condition_of),
            opened: OpenedValues::of(form, stored).into_text(),
            submit: (form.submit)(t),
            explanation: form.explanation.map(|explanation| explanation(t)),
            is_danger: form.style == Style::Danger,
            is_upload: form.has_file(),
            upload_failed: t.upload_failed,
            disclosure: None,
            is_open: attempt.is_some(),
            problem: attempt.filter(|_| !self.is_done).map(|attempt| {
                let problem = &attempt.problem;
                ProblemView::of(t, problem, !values.is_empty(), || {
                    summary(t, &fields, form, problem)
                })
            }),
            fields,
            required: t.required,
            now_stored: t.now_stored,
            enter: None,
            further: None,
            id,
        }
    }
}

/// Returns the condition of an attempt that was not compared with the stored object, with the values that it was opened
/// with. The current tag would let the next attempt overwrite what somebody else has stored meanwhile.
fn condition_of(attempt: &Attempt) -> Option<(String, String)> {
    let input = &attempt.input;
    let etag = input.get(ETAG);
    (!etag.is_empty()).then(|| (etag.to_owned(), input.get(OPENED).to_owned()))
}

/// A form that is sent again after an unknown outcome keeps its id, so that nothing is created twice.
fn form_id(attempt: Option<&Attempt>) -> String {
    let earlier = attempt.filter(|attempt| attempt.problem.code() != ProblemCode::IdempotencyKeyReused);
    let earlier = earlier.map(|attempt| attempt.input.get(FORM_ID).to_owned());
    earlier
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| random::uuid().simple().to_string())
}

impl FormView {
    /// Makes the form conditional on the object's current state.
    pub(super) fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        if let Some((etag, opened)) = self.kept.take() {
            self.etag = Some(etag);
            self.opened = opened;
        }
        self
    }

    /// Replaces the text of the button.
    pub(super) fn submit(mut self, text: &'static str) -> Self {
        self.submit = text;
        self
    }

    /// Hides the form behind a button with this text.
    pub(super) fn behind(mut self, text: &'static str) -> Self {
        self.disclosure = Some(text);
        self
    }

    /// Shows the form at once if it has a value from the page that led to it.
    pub(super) fn open_if(mut self, is_prefilled: bool) -> Self {
        self.is_open |= is_prefilled;
        self
    }

    /// Adds controls below a field.
    pub(super) fn below(mut self, field: &str, controls: Fragment) -> Self {
        if let Some(field) = self.fields.iter_mut().find(|own| own.name == field) {
            field.below = Some(controls);
        }
        self
    }

    /// Adds controls below the button of the form.
    pub(super) fn further(mut self, controls: Fragment) -> Self {
        self.further = Some(controls);
        self
    }

    /// Makes the Enter key press another button than that of the form.
    pub(super) fn enter(mut self, button: Button) -> Self {
        self.enter = Some(button);
        self
    }

    fn etag_field() -> &'static str {
        ETAG
    }

    fn opened_field() -> &'static str {
        OPENED
    }
}

fn field_view(
    t: &Texts,
    form: &str,
    field: &Field,
    stored: String,
    attempt: Option<&Attempt>,
    meanwhile: Meanwhile,
) -> FieldView {
    let entered = attempt.filter(|_| meanwhile != Meanwhile::Untouched);
    let is_secret = matches!(field.kind, Kind::Password | Kind::NewPassword);
    debug_assert_eq!(is_secret, kept_form::is_secret(field.name), "{}", field.name);
    let given = entered.map(|attempt| attempt.input.get(field.name).to_owned());
    let is_flag = matches!(field.kind, Kind::Flag);
    let is_checked = match entered {
        Some(attempt) => attempt.input.has(field.name),
        None => stored == "true",
    };
    let value = if is_secret {
        String::new()
    } else {
        given.unwrap_or_else(|| stored.clone())
    };
    let differs = if is_flag {
        is_checked != (stored == "true")
    } else if matches!(field.kind, Kind::Instant) && !value.is_empty() {
        instant(&value) != stored
    } else {
        value != stored
    };
    FieldView {
        id: format!("{form}-{}", field.name.replace('.', "-")),
        name: field.name,
        label: (field.label)(t),
        hint: field.hint.map(|hint| hint(t)),
        control: control(field.kind),
        options: match field.kind {
            Kind::Choice(options) => options
                .iter()
                .map(|(option, label)| OptionView {
                    value: option,
                    label: label(t),
                    is_selected: *option == value,
                })
                .collect(),
            _ => Vec::new(),
        },
        stored: (meanwhile == Meanwhile::Conflict && differs && !is_secret).then(|| {
            match (is_flag, stored.as_str()) {
                (true, "true") => t.yes.to_owned(),
                (true, _) => t.no.to_owned(),
                (false, "") => t.nothing.to_owned(),
                (false, text) => text.to_owned(),
            }
        }),
        value: match field.kind {
            Kind::Instant => value.trim_end_matches('Z').to_owned(),
            _ => value,
        },
        is_checked,
        is_required: field.is_required,
        below: None,
        error: attempt
            .and_then(|attempt| error_of(t, field, attempt.input.get(field.name), &attempt.problem)),
    }
}

const fn control(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::OrgPath => "text",
        Kind::Username => "username",
        Kind::LongText | Kind::Lines | Kind::Json | Kind::OrgScopes | Kind::Rules | Kind::Targets => "area",
        Kind::Password => "password",
        Kind::NewPassword => "new-password",
        Kind::Integer => "integer",
        Kind::Number => "decimal",
        Kind::Flag => "flag",
        Kind::Choice(_) => "choice",
        Kind::Instant => "instant",
        Kind::File => "file",
        Kind::Hidden => "hidden",
    }
}

/// Returns the problem of an attempt in one sentence, with the labels of the fields.
fn summary(t: &Texts, fields: &[FieldView], of: &Form, problem: &Problem) -> String {
    if problem.code() != ProblemCode::InvalidParameter || problem.field_errors().is_empty() {
        return t.detail(problem);
    }
    let at_field = |field: &FieldView| {
        let error = field.error.as_ref()?;
        Some(format!("{}: {error}", field.label))
    };
    let mut messages: Vec<_> = fields.iter().filter_map(at_field).collect();
    messages.extend(other_errors(t, of.fields, problem));
    messages.join("; ")
}
