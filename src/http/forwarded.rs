//! Parsers of what proxies record about a request: `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Recorded client of one hop; `None` if the entry contains no address.
pub(super) type Hop = Option<IpAddr>;

/// Element of a `Forwarded` header, added by one proxy.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element {
    hop: Hop,
    proto: Option<String>,
}

/// Returns true if a proxy recorded the client of the request.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) || headers.contains_key(X_FORWARDED_FOR)
}

/// Parses the hops of every `X-Forwarded-For` header, starting at the client.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops = Vec::new();
    for header in headers.get_all(X_FORWARDED_FOR) {
        let Ok(text) = header.to_str() else {
            hops.push(None);
            continue;
        };
        // Empty elements of a list are ignored (RFC 9110, section 5.6.1).
        let notes = text.split(',').map(str::trim).filter(|note| !note.is_empty());
        hops.extend(notes.map(|note| parse_node(without_quotes(note))));
    }
    hops
}

/// Parses the hops of every `Forwarded` header, starting at the client.
pub(super) fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops = Vec::new();
    for header in headers.get_all(FORWARDED) {
        // A malformed header identifies no client. A client may have opened a quoted string that swallows the entry
        // appended by a proxy.
        match header.to_str().ok().and_then(parse_forwarded) {
            Some(elements) => hops.extend(elements.into_iter().map(|element| element.hop)),
            None => hops.push(None),
        }
    }
    hops
}

/// Returns the protocol that the nearest proxy records in `X-Forwarded-Proto`. An earlier entry may come from the client.
pub(super) fn x_forwarded_proto(headers: &HeaderMap) -> Option<String> {
    let text = headers.get_all(X_FORWARDED_PROTO).last()?.to_str().ok()?;
    let proto = text.rsplit(',').next()?.trim();
    Some(without_quotes(proto).to_owned())
}

/// Returns the protocol that the nearest proxy records in `Forwarded`.
pub(super) fn forwarded_proto(headers: &HeaderMap) -> Option<String> {
    let text = headers.get_all(FORWARDED).last()?.to_str().ok()?;
    parse_forwarded(text)?.pop()?.proto
}

fn without_quotes(note: &str) -> &str {
    note.strip_prefix('"')
        .and_then(|note| note.strip_suffix('"'))
        .unwrap_or(note)
}

/// Parses the elements of a `Forwarded` header (RFC 7239, section 4); `None` if the header is malformed.
fn parse_forwarded(text: &str) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (element, behind) = parse_element(rest)?;
        elements.extend(element);
        rest = match behind.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if behind.is_empty() => behind,
            None => return None,
        };
    }
    Some(elements)
}

/// Parses the pairs up to the next comma. The inner `Option` is `None` for an empty element.
fn parse_element(text: &str) -> Option<(Option<Element>, &str)> {
    let (mut element, mut is_empty, mut named) = (Element::default(), true, false);
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with(',') {
            return Some(((!is_empty).then_some(element), rest));
        }
        if let Some(next) = rest.strip_prefix(';') {
            rest = next;
            continue;
        }
        is_empty = false;
        let (name, value) = rest.split_once('=')?;
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return None;
        }
        let (value, behind) = parse_value(value)?;
        if name.eq_ignore_ascii_case("for") {
            if named {
                return None;
            }
            (named, element.hop) = (true, parse_node(&value));
        } else if name.eq_ignore_ascii_case("proto") {
            if element.proto.is_some() {
                return None;
            }
            element.proto = Some(value);
        }
        rest = behind.trim_start();
        if !(rest.is_empty() || rest.starts_with([',', ';'])) {
            return None;
        }
    }
}

/// Parses a token or a quoted string (RFC 9110, section 5.6). Some proxies omit the quotes around an IPv6 address.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let is_value = !value.is_empty()
            && value
                .bytes()
                .all(|byte| is_token_byte(byte) || b"[]:".contains(&byte));
        return is_value.then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Parses an address in the forms that proxies write: with or without brackets, port and zone. `unknown` and obfuscated
/// names (`_x`) yield `None`.
fn parse_node(text: &str) -> Hop {
    let text = text.trim();
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, behind) = bracketed.split_once(']')?;
        let is_whole = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
        return is_whole.then(|| parse_v6(address)).flatten();
    }
    if let Some((address, port)) = text.split_once(':')
        && !port.contains(':')
    {
        let address: Ipv4Addr = address.parse().ok()?;
        return is_port(port).then_some(IpAddr::V4(address));
    }
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Some(IpAddr::V4(address)),
        Err(_) => parse_v6(text),
    }
}

/// Parses an IPv6 address. The zone is dropped, because it only has a meaning on the host that recorded it.
fn parse_v6(text: &str) -> Hop {
    let address = match text.split_once('%') {
        Some((_, "")) => return None,
        Some((address, _)) => address,
        None => text,
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// Returns true for a port or an obfuscated port (RFC 7239, section 6.2).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => {
            !hidden.is_empty()
                && hidden
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_read_in_every_form() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1:567 ", "192.0.2.1"),
            ("192.0.2.1:_hidden", "192.0.2.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:80", "::1"),
            ("[2001:db8::1]:_x", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::FFFF:c000:201]:80", "192.0.2.1"),
        ] {
            assert_eq!(parse_node(text), Some(address(expected)), "{text}");
        }
        for text in [
            "",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:70000",
            "[::1",
            "[::1]80",
            "[192.0.2.1]",
            "::1%",
            "192.0.2.1.2",
            "a.example",
            "1234",
            "0x7f.1",
            "192.0.2.1 192.0.2.2",
        ] {
            assert_eq!(parse_node(text), None, "{text}");
        }
    }

    #[test]
    fn a_forwarded_header_is_read_by_its_grammar() {
        let hops = |text| -> Option<Vec<Hop>> {
            Some(
                parse_forwarded(text)?
                    .into_iter()
                    .map(|element| element.hop)
                    .collect(),
            )
        };
        assert_eq!(
            hops(
                r#"for=192.0.2.43, For="[2001:db8:cafe::17]:4711";proto=https , by=203.0.113.43;FOR=unknown"#
            ),
            Some(vec![
                Some(address("192.0.2.43")),
                Some(address("2001:db8:cafe::17")),
                None
            ])
        );
        assert_eq!(
            hops(r#"for="192.0.2.4\3:80";;host="a,b;c\"d""#),
            Some(vec![Some(address("192.0.2.43"))])
        );
        assert_eq!(hops("proto=https"), Some(vec![None]));
        assert_eq!(
            hops("for=_hidden, , for=[::1]:80,"),
            Some(vec![None, Some(address("::1"))])
        );
        assert_eq!(hops(""), Some(Vec::new()));
        for malformed in [
            r#"for="192.0.2.1"#,
            r#"for="x, for=192.0.2.1"#,
            r#"for="x, for="[2001:db8::1]""#,
            r#"for="192.0.2.1\"#,
            "for=192.0.2.1;for=192.0.2.2",
            "proto=https;proto=http",
            "for",
            "for=",
            "=192.0.2.1",
            "for=192.0.2.1 proto=https",
            "fo r=192.0.2.1",
        ] {
            assert_eq!(hops(malformed), None, "{malformed}");
        }
    }

    proptest! {
        /// For any client input, the entry appended by a proxy is the last hop, or the whole header is ignored.
        #[test]
        fn what_a_client_writes_hides_no_note_of_a_proxy(sent in "[a-z0-9=;:,\"\\\\\\[\\] .]{0,40}", quoted in any::<bool>()) {
            let noted = if quoted { "for=\"[2001:db8::9]:80\"" } else { "for=203.0.113.9" };
            let expected = address(if quoted { "2001:db8::9" } else { "203.0.113.9" });
            let elements = parse_forwarded(&format!("{sent}, {noted}"));
            prop_assert!(elements.is_none_or(|elements| elements.last().and_then(|last| last.hop) == Some(expected)));
        }
    }
}
