//! Values with which a form was opened, as short digests. They tell the fields that a person changed from the others, so
//! that a form that is sent late does not restore old values of untouched fields.

use sha2::{Digest, Sha256};

use super::fields::{Field, Form, Kind, instant};
use super::input::Input;

/// Bytes of a digest. A page may show 50 forms; equal digests of different values are unlikely enough.
const BYTES: usize = 4;
/// Characters of a digest.
const CHARACTERS: usize = 2 * BYTES;

/// Digests of a form's fields, in their order.
pub(super) struct OpenedValues(String);

impl OpenedValues {
    /// Returns the digests of the stored values.
    pub(super) fn of(form: &Form, stored: impl Fn(&Field) -> String) -> Self {
        Self(
            form.fields
                .iter()
                .map(|field| digest(field, &stored(field)))
                .collect(),
        )
    }

    /// Parses the digests that a form carries. `None` if they are those of other fields.
    pub(super) fn parse(form: &Form, text: &str) -> Option<Self> {
        let is_complete = text.is_ascii() && text.len() == form.fields.len() * CHARACTERS;
        (is_complete && !text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns `true` if the field at this place of the form was opened with the value.
    pub(super) fn has(&self, index: usize, field: &Field, value: &str) -> bool {
        let start = index * CHARACTERS;
        self.0.get(start..start + CHARACTERS) == Some(&digest(field, value))
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

fn digest(field: &Field, value: &str) -> String {
    hex::encode(&Sha256::digest(sent_value(field, value))[..BYTES])
}

/// Returns a value as a browser sends it from an untouched control.
fn sent_value(field: &Field, value: &str) -> String {
    match field.kind {
        Kind::Flag => (value == "true").to_string(),
        Kind::Instant if !value.is_empty() => instant(value),
        Kind::Choice(options) if options.iter().all(|(option, _)| *option != value) => {
            options.first().map_or("", |(option, _)| option).to_owned()
        }
        _ => value.trim().to_owned(),
    }
}

/// State of a field in a form that is shown again because somebody else has changed the object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// The form keeps the input.
    Kept,
    /// The person did not change the field, so that it takes the stored value.
    Untouched,
    /// The stored value has changed too.
    Conflict,
}

impl Meanwhile {
    /// `late` is the input of a form that was sent after a change of its object, and `index` the field's place in it.
    /// Without opened values, every field may have been changed on both sides.
    pub(super) fn of(
        late: Option<&Input>,
        opened: Option<&OpenedValues>,
        index: usize,
        field: &Field,
        stored: &str,
    ) -> Self {
        let Some(input) = late else {
            return Self::Kept;
        };
        let Some(opened) = opened else {
            return Self::Conflict;
        };
        if opened.has(index, field, &sent(field, input)) {
            Self::Untouched
        } else if opened.has(index, field, stored) {
            Self::Kept
        } else {
            Self::Conflict
        }
    }
}

/// Returns the value of a field that was sent. A browser sends a flag only if it is set.
fn sent(field: &Field, input: &Input) -> String {
    match field.kind {
        Kind::Flag => input.has(field.name).to_string(),
        _ => input.get(field.name).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::fields::Style;

    const FORM: Form = Form {
        key: "settings",
        submit: |t| t.save,
        explanation: None,
        style: Style::Primary,
        fields: &[
            Field::new("name", Kind::Text, |t| t.username),
            Field::new("at", Kind::Instant, |t| t.starts_at),
            Field::new("enabled", Kind::Flag, |t| t.floor),
        ],
    };

    #[test]
    fn values_are_recognized_as_a_browser_sends_them() {
        let stored = |field: &Field| {
            match field.name {
                "name" => "Hema",
                "at" => "2026-03-02T02:00:00Z",
                _ => "",
            }
            .to_owned()
        };
        let text = OpenedValues::of(&FORM, stored).into_text();
        let opened = OpenedValues::parse(&FORM, &text).unwrap();
        for (index, value, expected) in [
            (0, "Hema", true),
            (0, "Hema 2", false),
            (1, "2026-03-02T02:00", true),
            (1, "", false),
            (2, "false", true),
            (2, "true", false),
        ] {
            let is_opened = opened.has(index, &FORM.fields[index], value);
            assert_eq!(is_opened, expected, "{value}");
        }
        for wrong in ["", "00", &format!("{text}00000000")] {
            assert!(OpenedValues::parse(&FORM, wrong).is_none(), "{wrong}");
        }
    }
}
