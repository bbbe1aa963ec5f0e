//! Other readings of a signature.
//!
//! The signed text is names and values with nothing in between, so the text of one request is also that of others:
//! `device_id` `1` with `device_type` `2` reads as `device_id` `1device_type2`. Whoever records a request could send it
//! again with another meaning. For the parameters that a method reads, a request is therefore refused when its text
//! has a reading (these parameters, in their order, each with a value that it could have) in which a parameter begins
//! inside one of its plain values.
//!
//! Of two readings at most one is so accepted. Where they first differ they have the same name at the same place, since
//! no name that is read begins with another, but for `v`, whose value tells it from `version_code`. So its two values
//! end at different places, and where the shorter one ends the one reading has a parameter that begins inside the
//! longer value of the other. That value is plain, since one JSON value has one end. Parameters that nobody reads
//! divide a text into runs, and this holds within each run.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::value_kind::{Ends, ValueKind};

/// A parameter that is read, and what it can be.
pub(super) type ReadParameter = (&'static str, ValueKind);

/// The name of a parameter whose value makes the request readable in another way; `None` when there is no such way.
///
/// `params` is the signed set without `sign`, `read` what the method reads, sorted by name.
pub(super) fn ambiguous_parameter<'a>(
    params: &BTreeMap<&'a str, &'a str>,
    read: &[ReadParameter],
) -> Option<&'a str> {
    let mut run: Vec<(&str, &str)> = Vec::new();
    let mut lower = "";
    for (name, value) in params {
        if read.iter().any(|(known, _)| known == name) {
            run.push((name, value));
        } else {
            // A parameter that nobody reads ends a run: text may move into it, but not through it.
            if let Some(found) = ambiguous_in_run(&run, lower, Some(name), read) {
                return Some(found);
            }
            run.clear();
            lower = name;
        }
    }
    ambiguous_in_run(&run, lower, None, read)
}

fn ambiguous_in_run<'a>(
    run: &[(&'a str, &'a str)],
    lower: &str,
    upper: Option<&str>,
    read: &[ReadParameter],
) -> Option<&'a str> {
    let text: String = run.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let within = |name: &str| name > lower && upper.is_none_or(|upper| name < upper);
    let names: Vec<_> = read.iter().filter(|(name, _)| within(name)).copied().collect();
    let mut own = Vec::with_capacity(run.len());
    let mut end = 0;
    for (name, value) in run {
        let start = end + name.len();
        end = start + value.len();
        let value = start..end;
        own.push(OwnParameter { name, value });
    }
    Readings::of(&text, &names, &own).parameter_that_hides_another()
}

/// A parameter of the request itself.
struct OwnParameter<'a> {
    name: &'a str,
    /// Where its value is in the text.
    value: Range<usize>,
}

/// A parameter can begin at a place, and the text from there be read to its end.
#[derive(Clone, Copy)]
struct Readable {
    /// Where a reading of it has a parameter that begins inside a plain value of the request, if one has.
    differs_at: Option<usize>,
}

/// All readings of one text, found from right to left: whether a parameter can begin at a place is told by where its
/// value can end, and by what can begin there. Each value is looked at once, so the time grows with the text's length
/// times the number of names. (Values of two places overlap only inside of JSON texts, and there at most two at a time:
/// where one has a name inside of a string, the other has it outside, which is no JSON.)
struct Readings<'t, 'a> {
    text: &'t str,
    names: &'t [ReadParameter],
    own: &'t [OwnParameter<'a>],
    /// By place and index of the name.
    readable: HashMap<(usize, usize), Readable>,
    /// For each name, where it is last readable with a difference, and that difference: all that a value which may end
    /// anywhere asks of what follows.
    last_differing: Vec<Option<(usize, usize)>>,
}

impl<'t, 'a> Readings<'t, 'a> {
    fn of(text: &'t str, names: &'t [ReadParameter], own: &'t [OwnParameter<'a>]) -> Self {
        let mut readings = Self {
            text,
            names,
            own,
            readable: HashMap::new(),
            last_differing: vec![None; names.len()],
        };
        for position in (0..text.len()).rev() {
            for (index, (name, _)) in names.iter().enumerate() {
                if text.as_bytes()[position..].starts_with(name.as_bytes()) {
                    readings.note(position, index);
                }
            }
        }
        readings
    }

    fn note(&mut self, position: usize, index: usize) {
        let Some(rest) = self.read_value(position + self.names[index].0.len(), index) else {
            return;
        };
        let is_hidden = self.own_plain_value_at(position).map(|_| position);
        let differs_at = is_hidden.or(rest.differs_at);
        self.readable.insert((position, index), Readable { differs_at });
        if let (None, Some(differs_at)) = (self.last_differing[index], differs_at) {
            self.last_differing[index] = Some((position, differs_at));
        }
    }

    /// Whether the text can be read from the value of a parameter on; a reading that differs is preferred.
    fn read_value(&self, start: usize, index: usize) -> Option<Readable> {
        let (name, kind) = self.names[index];
        let own = self.own.iter().find(|own| own.name == name);
        let own = own.map(|own| &self.text[own.value.clone()]);
        match kind.ends(&self.text[start..], own) {
            Ends::Anywhere => {
                let later = self.last_differing[index + 1..].iter().flatten();
                let differing = later.copied().find(|(position, _)| *position >= start);
                // The value can always be the whole rest.
                let differs_at = differing.map(|(_, differs_at)| differs_at);
                Some(Readable { differs_at })
            }
            Ends::At(lengths) => lengths
                .into_iter()
                .filter_map(|length| self.read_after(start + length, index))
                .reduce(prefer_differing),
        }
    }

    /// Whether the text can be read from here on, where the value of a parameter ends.
    fn read_after(&self, end: usize, index: usize) -> Option<Readable> {
        if end == self.text.len() {
            return Some(Readable { differs_at: None });
        }
        self.read_from(end, index + 1)
    }

    /// Whether the text can be read from here on with names from an index on.
    fn read_from(&self, position: usize, first: usize) -> Option<Readable> {
        (first..self.names.len())
            .filter_map(|index| self.readable.get(&(position, index)).copied())
            .reduce(prefer_differing)
    }

    fn parameter_that_hides_another(&self) -> Option<&'a str> {
        let differs_at = self.read_from(0, 0)?.differs_at?;
        self.own_plain_value_at(differs_at).map(|own| own.name)
    }

    /// The parameter of the request whose plain value a place is inside of.
    fn own_plain_value_at(&self, position: usize) -> Option<&'t OwnParameter<'a>> {
        let next = self.own.partition_point(|own| own.value.end <= position);
        let holder = self.own.get(next).filter(|own| own.value.contains(&position))?;
        let is_json = self
            .names
            .iter()
            .any(|(name, kind)| *name == holder.name && *kind == ValueKind::Json);
        (!is_json).then_some(holder)
    }
}

fn prefer_differing(one: Readable, other: Readable) -> Readable {
    if one.differs_at.is_some() { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[ReadParameter] = &[
        ("attributes", ValueKind::Json),
        ("device_id", ValueKind::Text),
        ("device_type", ValueKind::Text),
        ("old_versions", ValueKind::Json),
        ("package_name", ValueKind::Text),
        ("tenant_id", ValueKind::Integer),
        ("version_code", ValueKind::Integer),
    ];

    fn ambiguous<'a>(params: &[(&'a str, &'a str)]) -> Option<&'a str> {
        ambiguous_parameter(&params.iter().copied().collect(), READ)
    }

    #[test]
    fn honest_values_are_read_in_one_way() {
        assert_eq!(
            ambiguous(&[
                ("attributes", r#"{"device_id":"1","version_code":2}"#),
                ("device_id", "12345"),
                ("device_type", "10013"),
                ("old_versions", r#"{"a":{"version_code":3},"tenant_id":4}"#),
                ("package_name", "com.vendor.app"),
                ("tenant_id", "10000000"),
                ("version_code", "1"),
            ]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", "device_id"), ("version_code", "1")]),
            None
        );
        assert_eq!(
            ambiguous(&[("package_name", "com.version_code.app"), ("version_code", "1")]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", "attributes5"), ("version_code", "1")]),
            None
        );
    }

    #[test]
    fn a_value_that_hides_a_parameter_is_found() {
        assert_eq!(
            ambiguous(&[("device_id", "1device_type2"), ("version_code", "1")]),
            Some("device_id")
        );
        assert_eq!(
            ambiguous(&[("device_id", "1old_versions{}"), ("version_code", "1")]),
            Some("device_id")
        );
        assert_eq!(
            ambiguous(&[("package_name", "atenant_id7"), ("version_code", "1")]),
            Some("package_name")
        );
        assert_eq!(
            ambiguous(&[("device_id", "1device_type2old_versions{}")]),
            Some("device_id")
        );
        assert_eq!(
            ambiguous(&[
                ("device_id", "1"),
                ("old_versions", r#"{"package_name":"a","version_code":"3"}"#)
            ]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", r#"1old_versions{""#), ("package_name", r#"":"a"}"#)]),
            Some("device_id")
        );
        // The border between two parameters that are both there moves.
        assert_eq!(
            ambiguous(&[("device_id", "1device_type9"), ("device_type", "2")]),
            Some("device_id")
        );
    }

    #[test]
    fn a_parameter_that_nobody_reads_ends_a_run() {
        assert_eq!(
            ambiguous(&[("device_id", "1version_code2"), ("other", "x")]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", "1device_type2"), ("other", "x")]),
            Some("device_id")
        );
    }

    #[test]
    fn json_that_is_no_object_ends_too() {
        assert_eq!(
            ambiguous(&[("attributes", "null"), ("device_id", "1device_type2")]),
            Some("device_id")
        );
        assert_eq!(ambiguous(&[("attributes", "null"), ("device_id", "1")]), None);
    }

    /// Texts of the largest size that a reading could be slow for. Trying every combination would not come to an end.
    #[test]
    fn long_texts_of_names_are_read_once() {
        let pieces = [
            "device_id1device_type2old_versions{}package_nameatenant_id7version_code1",
            "device_idattributesdevice_typeattributes",
            "attributes[\"attributes[\",",
            "attributes\"",
            "old_versions{\"",
            "tenant_id1version_code",
            "version_code ",
        ];
        for piece in pieces {
            let long = piece.repeat(300_000 / piece.len());
            let hidden = format!("{long}version_code");
            for value in [&long, &hidden] {
                let params = BTreeMap::from([("device_id", value.as_str()), ("version_code", "1")]);
                ambiguous_parameter(&params, READ);
            }
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(ambiguous(&[("attributes", deep.as_str())]), None);
        let long = "device_type".repeat(90_000);
        let params = BTreeMap::from([("device_id", long.as_str()), ("version_code", "1")]);
        assert_eq!(ambiguous_parameter(&params, READ), Some("device_id"));
    }
}
