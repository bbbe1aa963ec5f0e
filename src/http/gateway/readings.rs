//! Other readings of a signature.
//!
//! The signed text is names and values with nothing in between, so the text of one request is also that of others:
//! `device_id` `1` with `device_type` `2` reads as `device_id` `1device_type2`. Whoever records a request could send it
//! again with another meaning. For the parameters that a method reads, a request is therefore refused when its text
//! has a reading (these parameters, in their order, the required ones among them, each with a value that it could have)
//! in which a parameter begins inside one of its plain values.
//!
//! Of two readings at most one is so accepted. Where they first differ they have the same name at the same place, since
//! no name that is read begins with another, but for `v`, whose value tells it from `version_code`. So its two values
//! end at different places, and where the shorter one ends the one reading has a parameter that begins inside the
//! longer value of the other. That value is plain, since one JSON value has one end. Parameters that nobody reads
//! divide a text into runs, and this holds within each run.

use std::collections::HashMap;
use std::ops::Range;

use super::sign::ParameterSet;
use super::value_kind::{Ends, ValueKind};

/// A parameter that is read, and what it can be.
pub(super) type ReadParameter = (&'static str, ValueKind);

/// What decides something of a call.
pub(super) struct ReadParameters {
    /// Sorted by name.
    pub(super) all: Vec<ReadParameter>,
    /// Those without which a call is refused.
    pub(super) required: Vec<&'static str>,
}

/// Whether a parameter that is read could begin inside a plain value: without that there is no other reading.
///
/// `text` begins with the signed text of `params`.
pub(super) fn may_hide_a_parameter(
    params: &ParameterSet<'_>,
    text: &str,
    read: impl Iterator<Item = ReadParameter> + Clone,
) -> bool {
    let bytes = text.as_bytes();
    let beginnings = Beginnings::of(read.clone(), params);
    let begins_at = |place: usize| {
        beginnings.may_begin(&bytes[place..])
            && read
                .clone()
                .any(|parameter| can_begin(parameter, &text.as_bytes()[place..], params))
    };
    let is_json = |name: &str| {
        let mut read = read.clone();
        read.any(|(known, kind)| known == name && kind == ValueKind::Json)
    };
    let mut end = 0;
    params.signed().any(|(name, value)| {
        let start = end + name.len();
        end = start + value.len();
        !is_json(name) && (start..end).any(begins_at)
    })
}

/// Whether a text begins with this parameter, and with its value where it can only be one.
fn can_begin((name, kind): ReadParameter, text: &[u8], params: &ParameterSet<'_>) -> bool {
    let Some(rest) = text.strip_prefix(name.as_bytes()) else {
        return false;
    };
    let own = params.signed().find(|(own, _)| *own == name);
    kind != ValueKind::Fixed || own.is_some_and(|(_, value)| rest.starts_with(value.as_bytes()))
}

/// The characters that parameters begin with, and those that come second, so that most places are passed over.
struct Beginnings {
    first: u128,
    second: u128,
}

impl Beginnings {
    fn of(read: impl Iterator<Item = ReadParameter>, params: &ParameterSet<'_>) -> Self {
        let mut beginnings = Self { first: 0, second: 0 };
        for (name, kind) in read {
            beginnings.first |= bit(name.as_bytes()[0]);
            beginnings.second |= match name.as_bytes().get(1) {
                Some(second) => bit(*second),
                // After `v` comes its value.
                None => after_name(name, kind, params),
            };
        }
        beginnings
    }

    fn may_begin(&self, text: &[u8]) -> bool {
        self.first & bit(text[0]) != 0 && text.get(1).is_some_and(|second| self.second & bit(*second) != 0)
    }
}

/// The characters that a parameter's value can begin with.
fn after_name(name: &str, kind: ValueKind, params: &ParameterSet<'_>) -> u128 {
    let own = params.signed().find(|(own, _)| *own == name);
    match (kind, own) {
        (ValueKind::Fixed, Some((_, value))) => value.bytes().next().map_or(u128::MAX, bit),
        _ => u128::MAX,
    }
}

/// A set of one ASCII character; empty for any other byte.
const fn bit(byte: u8) -> u128 {
    if byte.is_ascii() { 1 << byte } else { 0 }
}

/// The name of a parameter whose value makes the request readable in another way; `None` when there is no such way.
///
/// `params` is the signed set without `sign`.
pub(super) fn ambiguous_parameter<'a>(params: &ParameterSet<'a>, read: &ReadParameters) -> Option<&'a str> {
    let mut run: Vec<(&str, &str)> = Vec::new();
    let mut lower = "";
    for (name, value) in params.signed() {
        if read.all.iter().any(|(known, _)| *known == name) {
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
    read: &ReadParameters,
) -> Option<&'a str> {
    let text: String = run.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let within = |name: &str| name > lower && upper.is_none_or(|upper| name < upper);
    let names: Vec<_> = read
        .all
        .iter()
        .filter(|(name, _)| within(name))
        .copied()
        .collect();
    let is_required = |(name, _): &ReadParameter| read.required.contains(name);
    let required: Vec<_> = names.iter().map(is_required).collect();
    let mut own = Vec::with_capacity(run.len());
    let mut end = 0;
    for (name, value) in run {
        let start = end + name.len();
        end = start + value.len();
        let value = start..end;
        own.push(OwnParameter { name, value });
    }
    Readings::of(&text, (&names, &required), &own).parameter_that_hides_another()
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

/// Where a parameter can begin.
#[derive(Clone, Copy)]
struct Place {
    position: usize,
    readable: Readable,
}

/// All readings of one text, found from right to left: whether a parameter can begin at a place is told by where its
/// value can end, and by what can begin there. Each value is looked at once, so the time grows with the text's length
/// times the number of names. (Values of two places overlap only inside of JSON texts, and there at most two at a time:
/// where one has a name inside of a string, the other has it outside, which is no JSON.)
struct Readings<'t, 'a> {
    text: &'t str,
    names: &'t [ReadParameter],
    /// Which of the names no reading may do without.
    required: &'t [bool],
    own: &'t [OwnParameter<'a>],
    /// By place and index of the name.
    readable: HashMap<(usize, usize), Readable>,
    /// For each name, where it is last readable, and where with a difference: all that a value which may end anywhere
    /// asks of what follows.
    last: Vec<Option<Place>>,
    last_differing: Vec<Option<Place>>,
}

impl<'t, 'a> Readings<'t, 'a> {
    fn of(
        text: &'t str,
        (names, required): (&'t [ReadParameter], &'t [bool]),
        own: &'t [OwnParameter<'a>],
    ) -> Self {
        let mut readings = Self {
            text,
            names,
            required,
            own,
            readable: HashMap::new(),
            last: vec![None; names.len()],
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
        let readable = Readable {
            differs_at: is_hidden.or(rest.differs_at),
        };
        self.readable.insert((position, index), readable);
        let place = Place { position, readable };
        self.last[index].get_or_insert(place);
        if readable.differs_at.is_some() {
            self.last_differing[index].get_or_insert(place);
        }
    }

    /// Whether the text can be read from the value of a parameter on; a reading that differs is preferred.
    fn read_value(&self, start: usize, index: usize) -> Option<Readable> {
        let (name, kind) = self.names[index];
        let own = self.own.iter().find(|own| own.name == name);
        let own = own.map(|own| &self.text[own.value.clone()]);
        match kind.ends(&self.text[start..], own) {
            Ends::Anywhere => self.read_after_any_text(start, index),
            Ends::At(lengths) => lengths
                .into_iter()
                .filter_map(|length| self.read_after(start + length, index))
                .reduce(prefer_differing),
        }
    }

    fn read_after_any_text(&self, start: usize, index: usize) -> Option<Readable> {
        let followers = self.followers(index + 1);
        let places = self.last_differing[followers.clone()]
            .iter()
            .chain(&self.last[followers]);
        places
            .flatten()
            .find(|place| place.position >= start)
            .map(|place| place.readable)
            .or_else(|| self.end_after(index))
    }

    fn read_after(&self, end: usize, index: usize) -> Option<Readable> {
        if end == self.text.len() {
            self.end_after(index)
        } else {
            self.read_from(end, index + 1)
        }
    }

    /// A text can end with any parameter after which none is required.
    fn end_after(&self, index: usize) -> Option<Readable> {
        let none_is_missing = !self.required[index + 1..].contains(&true);
        none_is_missing.then_some(Readable { differs_at: None })
    }

    /// Whether the text can be read from here on with names from an index on.
    fn read_from(&self, position: usize, first: usize) -> Option<Readable> {
        self.followers(first)
            .filter_map(|index| self.readable.get(&(position, index)).copied())
            .reduce(prefer_differing)
    }

    /// The names from an index on that may come next: up to the first that is required.
    fn followers(&self, first: usize) -> Range<usize> {
        let required = self.required[first..].iter().position(|required| *required);
        first..required.map_or(self.names.len(), |offset| first + offset + 1)
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
mod tests;
