//! Parameters of a request. Query and body form one set, which is decoded once and used exactly as decoded.

use std::borrow::Cow;

use memchr::memchr_iter;

use super::error::GatewayError;
use super::form::{Pair, read_form};
use super::multipart;
use super::sign::ParameterSet;

/// Maximum number of parameters, which exceeds what clients send.
const MAX_PARAMETERS: usize = 100;

/// Maximum number of pieces between `&`, including empty ones. No client sends as many.
const MAX_PIECES: usize = 1_000;

/// Parameters of a request, borrowed from it unless they had to be decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// Sorted by name. The body takes precedence over the query.
    set: Vec<Pair<'a>>,
    /// True if a name is repeated within the query or within the body.
    has_repeated_name: bool,
}

/// Encoding of the parameters in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyKind {
    Form,
    Multipart {
        boundary: String,
    },
    /// Content type without parameters.
    Other,
}

impl BodyKind {
    /// Determines the encoding from the content type. Its charset is ignored: values are always UTF-8.
    pub fn of(content_type: Option<&str>) -> Self {
        let Some(content_type) = content_type else {
            return Self::Form;
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") || essence.is_empty() {
            Self::Form
        } else if essence.eq_ignore_ascii_case("multipart/form-data") {
            multipart::parse_boundary(content_type)
                .map_or(Self::Other, |boundary| Self::Multipart { boundary })
        } else {
            Self::Other
        }
    }
}

/// Returns the content of the file with this name in a form; `None` if there is none.
pub fn find_file<'a>(body: &'a [u8], kind: &BodyKind, name: &str) -> Option<&'a [u8]> {
    match kind {
        BodyKind::Multipart { boundary } => multipart::find_file(body, boundary, name),
        BodyKind::Form | BodyKind::Other => None,
    }
}

impl<'a> Params<'a> {
    /// Decodes query and body. Returns error 47 for invalid UTF-8 and error 43 for too many parameters.
    pub fn read(query: &'a str, body: &'a [u8], kind: &BodyKind) -> Result<Self, GatewayError> {
        if exceeds_piece_limit(query.as_bytes()) || (*kind == BodyKind::Form && exceeds_piece_limit(body)) {
            return Err(GatewayError::too_large("at most 100 parameters are read"));
        }
        let of_query = read_form(query.as_bytes()).map_err(|_| GatewayError::invalid_encoding())?;
        let of_body = match kind {
            BodyKind::Form => read_form(body).map_err(|_| GatewayError::invalid_encoding())?,
            BodyKind::Multipart { boundary } => multipart::read(body, boundary)?
                .into_iter()
                .map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)))
                .collect(),
            BodyKind::Other => Vec::new(),
        };
        if of_query.len() + of_body.len() > MAX_PARAMETERS {
            return Err(GatewayError::too_large("at most 100 parameters are read"));
        }
        Ok(Self::of_both(of_query, of_body))
    }

    /// Decodes the query only, for a batch.
    pub fn of_query(query: &'a str) -> Result<Self, GatewayError> {
        Self::read(query, &[], &BodyKind::Form)
    }

    /// Merges query and body. The sort is stable, so the body's pair precedes the query's pair of the same name.
    fn of_both(mut query: Vec<Pair<'a>>, body: Vec<Pair<'a>>) -> Self {
        let mut set = body;
        let mut has_repeated_name = sort_and_detect_repeats(&mut set);
        if !query.is_empty() {
            has_repeated_name |= sort_and_detect_repeats(&mut query);
            set.extend(query);
            sort_and_detect_repeats(&mut set);
        }
        set.dedup_by(|later, earlier| later.0 == earlier.0);
        Self {
            set,
            has_repeated_name,
        }
    }

    /// Returns the value of a parameter; the body takes precedence over the query.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Most names differ in length, so a linear scan is faster than a binary search.
        let found = self.set.iter().find(|(own, _)| own.as_ref() == name);
        found.map(|(_, value)| value.as_ref())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.set.iter().map(|(name, _)| name.as_ref())
    }

    /// Returns a value unless it is blank.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// Returns the set; `None` if a name is repeated within the query or within the body.
    pub fn as_one_set(&self) -> Option<ParameterSet<'_>> {
        let pairs = self
            .set
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()));
        (!self.has_repeated_name).then(|| ParameterSet::of_sorted(pairs))
    }
}

fn exceeds_piece_limit(form: &[u8]) -> bool {
    memchr_iter(b'&', form).nth(MAX_PIECES).is_some()
}

/// Sorts the pairs, and returns true if a name is repeated.
fn sort_and_detect_repeats(pairs: &mut [Pair<'_>]) -> bool {
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    pairs.windows(2).any(|pair| pair[0].0 == pair[1].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_are_one_set_and_the_body_wins() {
        let params = Params::read("a=1&b=x+y&c", b"a=2&d=%E6%9D%AD%20", &BodyKind::Form).unwrap();
        assert_eq!(params.get("a"), Some("2"));
        assert_eq!(params.get("b"), Some("x y"));
        assert_eq!(params.get("c"), Some(""));
        assert_eq!(params.get("d"), Some("杭 "));
        let set = params.as_one_set().unwrap();
        let expected = [("a", "2"), ("b", "x y"), ("c", ""), ("d", "杭 ")];
        assert_eq!(set, expected.into_iter().collect());
    }

    #[test]
    fn a_name_twice_in_one_place_is_no_set() {
        let has_set = |query, body: &'static [u8]| {
            let params = Params::read(query, body, &BodyKind::Form).unwrap();
            params.as_one_set().is_some()
        };
        assert!(!has_set("a=1&a=1", b""));
        assert!(!has_set("", b"a=1&b=2&a=1"));
        assert!(!has_set("a=1&b=2&a=2", b"a=1"));
        assert!(has_set("a=1", b"a=1"));
    }

    #[test]
    fn what_is_no_text_or_too_much_is_refused() {
        assert_eq!(Params::of_query("a=%FF").unwrap_err().code, 47);
        let many: Vec<_> = (0..101).map(|n| format!("p{n}=1")).collect();
        assert_eq!(Params::of_query(&many.join("&")).unwrap_err().code, 43);
    }

    #[test]
    fn kinds_of_bodies_are_told_by_the_type_alone() {
        let form = BodyKind::Form;
        assert_eq!(BodyKind::of(None), form);
        assert_eq!(
            BodyKind::of(Some("Application/X-WWW-Form-Urlencoded;charset=gbk")),
            form
        );
        assert_eq!(BodyKind::of(Some("application/json")), BodyKind::Other);
        let boundary = "123".to_owned();
        assert_eq!(
            BodyKind::of(Some("multipart/form-data; boundary=123")),
            BodyKind::Multipart { boundary }
        );
    }
}
