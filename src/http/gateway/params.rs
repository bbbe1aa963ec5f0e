//! The parameters of a request: query and body are one set, decoded once, and used exactly as decoded.

use std::collections::BTreeMap;

use percent_encoding::percent_decode;

use super::error::GatewayError;
use super::multipart;

/// More parameters than any client sends.
const MAX_PARAMETERS: usize = 100;

/// A request's parameters, before the two places are made one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params {
    query: Vec<(String, String)>,
    body: Vec<(String, String)>,
}

/// How a body holds parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyKind {
    Form,
    Multipart {
        boundary: String,
    },
    /// A type that holds no parameters.
    Other,
}

impl BodyKind {
    /// The charset of the type does not matter: values are UTF-8 whatever a client calls them.
    pub(super) fn of(content_type: Option<&str>) -> Self {
        let Some(content_type) = content_type else {
            return Self::Form;
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") || essence.is_empty() {
            Self::Form
        } else if essence.eq_ignore_ascii_case("multipart/form-data") {
            multipart::boundary(content_type).map_or(Self::Other, |boundary| Self::Multipart { boundary })
        } else {
            Self::Other
        }
    }
}

impl Params {
    /// Decodes both places. Errors: 47 where a text is no UTF-8, 43 where there are too many.
    pub(super) fn read(query: &str, body: &[u8], kind: &BodyKind) -> Result<Self, GatewayError> {
        let query = read_form(query.as_bytes())?;
        let body = match kind {
            BodyKind::Form => read_form(body)?,
            BodyKind::Multipart { boundary } => multipart::read(body, boundary)?,
            BodyKind::Other => Vec::new(),
        };
        if query.len() + body.len() > MAX_PARAMETERS {
            return Err(GatewayError::too_large("at most 100 parameters are read"));
        }
        Ok(Self { query, body })
    }

    /// Those of the query alone, for a batch.
    pub(super) fn of_query(query: &str) -> Result<Self, GatewayError> {
        Self::read(query, &[], &BodyKind::Form)
    }

    /// A parameter's value; the body's counts where both places have one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let find = |place: &'_ [(String, String)]| place.iter().position(|(own, _)| own == name);
        match (find(&self.body), find(&self.query)) {
            (Some(index), _) => Some(&self.body[index].1),
            (None, Some(index)) => Some(&self.query[index].1),
            (None, None) => None,
        }
    }

    /// A value that is there and not blank.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// The one set, sorted by name; `None` where a name stands twice in the query or twice in the body.
    pub(super) fn as_one_set(&self) -> Option<BTreeMap<&str, &str>> {
        let mut set = unique(&self.query)?;
        set.extend(unique(&self.body)?);
        Some(set)
    }
}

fn unique(place: &[(String, String)]) -> Option<BTreeMap<&str, &str>> {
    let set: BTreeMap<_, _> = place
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    (set.len() == place.len()).then_some(set)
}

/// `application/x-www-form-urlencoded`: a space arrives as `+` or as `%20`.
fn read_form(text: &[u8]) -> Result<Vec<(String, String)>, GatewayError> {
    text.split(|byte| *byte == b'&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let middle = piece.iter().position(|byte| *byte == b'=');
            let (name, value) = match middle {
                Some(index) => (&piece[..index], &piece[index + 1..]),
                None => (piece, &b""[..]),
            };
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &[u8]) -> Result<String, GatewayError> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    String::from_utf8(percent_decode(&spaced).collect()).map_err(|_| GatewayError::invalid_encoding())
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
        assert_eq!(
            set.into_iter().collect::<Vec<_>>(),
            [("a", "2"), ("b", "x y"), ("c", ""), ("d", "杭 ")]
        );
    }

    #[test]
    fn a_name_twice_in_one_place_is_no_set() {
        assert!(
            Params::read("a=1&a=1", b"", &BodyKind::Form)
                .unwrap()
                .as_one_set()
                .is_none()
        );
        assert!(
            Params::read("", b"a=1&a=1", &BodyKind::Form)
                .unwrap()
                .as_one_set()
                .is_none()
        );
        assert!(
            Params::read("a=1", b"a=1", &BodyKind::Form)
                .unwrap()
                .as_one_set()
                .is_some()
        );
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
