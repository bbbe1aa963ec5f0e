//! Detection of ambiguous signatures.
//!
//! The signed text is a sequence of names and values without separators, so different requests can have the same text.
//! For example, `device_id` `1` with `device_type` `2` has the same text as `device_id` `1device_type2`. An attacker
//! who records a request could send it again with another meaning.
//!
//! A reading splits a text into parameters that the method reads, in their order. It includes the required ones, and
//! each value must be possible for its parameter. A request is rejected if its text has a reading in which a parameter
//! begins inside one of the request's plain values.
//!
//! This rule accepts at most one of two readings. Consider the first difference between them. Both have the same name
//! at this position, because no name that is read is a prefix of another. (The exception is `v`, whose value
//! distinguishes it from `version_code`.) The two values therefore end at different positions. At the end of the
//! shorter value, its reading has a parameter that begins inside the longer value of the other reading. The longer
//! value is plain, because a JSON value has only one end. Parameters that are not read divide the text into runs, and
//! the argument holds within each run.

use std::collections::HashMap;
use std::ops::Range;

use super::sign::ParameterSet;
use super::value_kind::{ValueEnds, ValueKind};

/// Parameter that is read, with the kind of its value.
pub type ReadParameter = (&'static str, ValueKind);

/// Parameters that affect a call.
pub struct ReadParameters {
    /// Sorted by name.
    pub all: Vec<ReadParameter>,
    /// Parameters that the call requires.
    pub required: Vec<&'static str>,
}

/// Returns true if a parameter that is read could begin inside a plain value. If not, the text has no other reading.
///
/// `text` begins with the signed text of `params`.
pub fn may_be_ambiguous(
    params: &ParameterSet<'_>,
    text: &str,
    read: impl Iterator<Item = ReadParameter> + Clone,
) -> bool {
    let bytes = text.as_bytes();
    let prefixes = PrefixFilter::of(read.clone(), params);
    let begins_at = |place: usize| {
        let candidates = prefixes.candidates(&bytes[place..]);
        candidates != 0
            && read
                .clone()
                .enumerate()
                .filter(|(index, _)| candidates & bit(*index) != 0)
                .any(|(_, parameter)| can_begin(parameter, &bytes[place..], params))
    };
    let is_json = |name: &str| {
        let mut read = read.clone();
        read.any(|(known, kind)| known == name && kind == ValueKind::Json)
    };
    let mut end = 0;
    params.signed().any(|(name, value)| {
        let start = end + name.len();
        end = start + value.len();
        // Long JSON is skipped. Other values are searched first, because few contain a parameter.
        let is_long_json = value.starts_with(['{', '[']) && is_json(name);
        !is_long_json && (start..end).any(begins_at) && !is_json(name)
    })
}

/// Returns true if a text begins with this parameter, and with its value if the value is fixed.
fn can_begin(parameter: ReadParameter, text: &[u8], params: &ParameterSet<'_>) -> bool {
    let (name, kind) = parameter;
    let Some(rest) = text.strip_prefix(name.as_bytes()) else {
        return false;
    };
    let own = params.signed().find(|(own, _)| *own == name);
    kind != ValueKind::Fixed || own.is_some_and(|(_, value)| rest.starts_with(value.as_bytes()))
}

/// Set of parameters, one bit for each.
type Bits = u32;

/// Returns the bit of the parameter with this index. Parameters beyond the last bit share it.
fn bit(index: usize) -> Bits {
    1 << index.min(Bits::BITS as usize - 1)
}

/// Parameters by their first two bytes, used to skip nearly all positions.
struct PrefixFilter {
    by_first: [Bits; 256],
    by_second: [Bits; 256],
}

impl PrefixFilter {
    fn of(read: impl Iterator<Item = ReadParameter>, params: &ParameterSet<'_>) -> Self {
        let mut prefixes = Self {
            by_first: [0; 256],
            by_second: [0; 256],
        };
        for (index, (name, kind)) in read.enumerate() {
            let name = name.as_bytes();
            prefixes.by_first[usize::from(name[0])] |= bit(index);
            // The name `v` is followed by its value.
            match name
                .get(1)
                .copied()
                .or_else(|| fixed_value_start(name, kind, params))
            {
                Some(second) => prefixes.by_second[usize::from(second)] |= bit(index),
                None => prefixes.by_second.iter_mut().for_each(|bits| *bits |= bit(index)),
            }
        }
        prefixes
    }

    /// Returns the parameters whose first two bytes the text begins with.
    fn candidates(&self, text: &[u8]) -> Bits {
        match text {
            [first, second, ..] => self.by_first[usize::from(*first)] & self.by_second[usize::from(*second)],
            _ => 0,
        }
    }
}

/// Returns the byte that a parameter's value begins with if the value is fixed.
fn fixed_value_start(name: &[u8], kind: ValueKind, params: &ParameterSet<'_>) -> Option<u8> {
    if kind != ValueKind::Fixed {
        return None;
    }
    let mut signed = params.signed();
    let (_, value) = signed.find(|(own, _)| own.as_bytes() == name)?;
    value.bytes().next()
}

/// Returns the name of a parameter whose value makes the request ambiguous; `None` if the request is unambiguous.
///
/// `params` is the signed set without `sign`.
pub fn ambiguous_parameter<'a>(params: &ParameterSet<'a>, read: &ReadParameters) -> Option<&'a str> {
    let mut run: Vec<(&str, &str)> = Vec::new();
    let mut lower = "";
    for (name, value) in params.signed() {
        if read.all.iter().any(|(known, _)| *known == name) {
            run.push((name, value));
        } else {
            // A parameter that is not read ends a run. Text may move into it, but not across it.
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
        own.push(RequestParam { name, value });
    }
    ReadingSearch::of(&text, &names, &required, &own).find_ambiguous_param()
}

/// Parameter of the request.
struct RequestParam<'a> {
    name: &'a str,
    /// Position of its value in the text.
    value: Range<usize>,
}

/// Suffix of the text that begins with a parameter and can be read to its end.
#[derive(Clone, Copy)]
struct ReadableSuffix {
    /// Position of a parameter inside a plain value of the request, if a reading of the suffix has one.
    differs_at: Option<usize>,
}

/// Position of a parameter in a reading.
#[derive(Clone, Copy)]
struct Place {
    position: usize,
    readable: ReadableSuffix,
}

/// Search for all readings of a text, from right to left. A parameter can begin at a position if its value can end
/// before another parameter or at the end of the text.
///
/// Each value is examined once, so the time is proportional to the length of the text times the number of names. The
/// values of two positions overlap only inside JSON texts, at most two at a time. If one of the two has a name inside a
/// string, the other has it outside, which is not valid JSON.
struct ReadingSearch<'t, 'a> {
    text: &'t str,
    names: &'t [ReadParameter],
    /// For each name, true if every reading must contain it.
    required: &'t [bool],
    own: &'t [RequestParam<'a>],
    /// By position and index of the name.
    readable: HashMap<(usize, usize), ReadableSuffix>,
    /// For each name, the last readable position, and the last one with a difference. A value that may end anywhere
    /// needs no other information about the rest of the text.
    last: Vec<Option<Place>>,
    last_differing: Vec<Option<Place>>,
}

impl<'t, 'a> ReadingSearch<'t, 'a> {
    fn of(
        text: &'t str,
        names: &'t [ReadParameter],
        required: &'t [bool],
        own: &'t [RequestParam<'a>],
    ) -> Self {
        let mut search = Self {
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
                    search.note(position, index);
                }
            }
        }
        search
    }

    fn note(&mut self, position: usize, index: usize) {
        let Some(rest) = self.read_value(position + self.names[index].0.len(), index) else {
            return;
        };
        let is_hidden = self.own_plain_value_at(position).map(|_| position);
        let readable = ReadableSuffix {
            differs_at: is_hidden.or(rest.differs_at),
        };
        self.readable.insert((position, index), readable);
        let place = Place { position, readable };
        self.last[index].get_or_insert(place);
        if readable.differs_at.is_some() {
            self.last_differing[index].get_or_insert(place);
        }
    }

    /// Returns the readable suffix from the value of a parameter on, preferably one with a difference.
    fn read_value(&self, start: usize, index: usize) -> Option<ReadableSuffix> {
        let (name, kind) = self.names[index];
        let own = self.own.iter().find(|own| own.name == name);
        let own = own.map(|own| &self.text[own.value.clone()]);
        match kind.ends(&self.text[start..], own) {
            ValueEnds::Anywhere => self.read_after_any_text(start, index),
            ValueEnds::At(lengths) => lengths
                .into_iter()
                .filter_map(|length| self.read_after(start + length, index))
                .reduce(prefer_differing),
        }
    }

    fn read_after_any_text(&self, start: usize, index: usize) -> Option<ReadableSuffix> {
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

    fn read_after(&self, end: usize, index: usize) -> Option<ReadableSuffix> {
        if end == self.text.len() {
            self.end_after(index)
        } else {
            self.read_from(end, index + 1)
        }
    }

    /// Returns a suffix if the text may end after this parameter, because no later parameter is required.
    fn end_after(&self, index: usize) -> Option<ReadableSuffix> {
        let none_is_missing = !self.required[index + 1..].contains(&true);
        none_is_missing.then_some(ReadableSuffix { differs_at: None })
    }

    /// Returns the readable suffix at a position whose first name has at least this index.
    fn read_from(&self, position: usize, first: usize) -> Option<ReadableSuffix> {
        self.followers(first)
            .filter_map(|index| self.readable.get(&(position, index)).copied())
            .reduce(prefer_differing)
    }

    /// Returns the names from an index on that may come next: all up to the first required one.
    fn followers(&self, first: usize) -> Range<usize> {
        let required = self.required[first..].iter().position(|required| *required);
        first..required.map_or(self.names.len(), |offset| first + offset + 1)
    }

    fn find_ambiguous_param(&self) -> Option<&'a str> {
        let differs_at = self.read_from(0, 0)?.differs_at?;
        self.own_plain_value_at(differs_at).map(|own| own.name)
    }

    /// Returns the parameter of the request whose plain value contains a position.
    fn own_plain_value_at(&self, position: usize) -> Option<&'t RequestParam<'a>> {
        let next = self.own.partition_point(|own| own.value.end <= position);
        let holder = self.own.get(next).filter(|own| own.value.contains(&position))?;
        let is_json = self
            .names
            .iter()
            .any(|(name, kind)| *name == holder.name && *kind == ValueKind::Json);
        (!is_json).then_some(holder)
    }
}

fn prefer_differing(one: ReadableSuffix, other: ReadableSuffix) -> ReadableSuffix {
    if one.differs_at.is_some() { one } else { other }
}

#[cfg(test)]
mod tests;
