//! Lenient parser for the `multipart/form-data` of the gateway's clients (RFC 7578). A CRLF may precede the first
//! boundary, boundaries may be numbers, parts need no content type, and headers need no spaces.

use super::error::GatewayError;

/// Returns the boundary in a content type.
pub(super) fn parse_boundary(content_type: &str) -> Option<String> {
    let boundary = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    })?;
    (!boundary.is_empty() && boundary.len() <= 200).then(|| boundary.to_owned())
}

/// Part of a form.
struct Part<'a> {
    name: String,
    is_file: bool,
    value: &'a [u8],
}

/// Parses the parts without a file name, in order. Returns error 47 if one is not valid UTF-8. Anything that is not a
/// part is skipped, because the signature detects missing parts.
pub(super) fn read(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, GatewayError> {
    let mut fields = Vec::new();
    for part in read_parts(body, boundary)?
        .into_iter()
        .filter(|part| !part.is_file)
    {
        let value = String::from_utf8(part.value.to_vec()).map_err(|_| GatewayError::invalid_encoding())?;
        fields.push((part.name, value));
    }
    Ok(fields)
}

/// Returns the content of the file with this name; `None` if there is none, or the form is damaged.
pub(super) fn find_file<'a>(body: &'a [u8], boundary: &str, name: &str) -> Option<&'a [u8]> {
    let parts = read_parts(body, boundary).ok()?;
    let file = parts.into_iter().find(|part| part.is_file && part.name == name)?;
    Some(file.value)
}

fn read_parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, GatewayError> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut rest = match find_delimiter(body, &delimiter) {
        Some(start) => &body[start + delimiter.len()..],
        None => return Ok(parts),
    };
    while !rest.starts_with(b"--") {
        let Some(end) = find_delimiter(rest, &delimiter) else {
            break;
        };
        parts.extend(read_part(&rest[..end])?);
        rest = &rest[end + delimiter.len()..];
    }
    Ok(parts)
}

/// Returns the position of the next line that begins with the delimiter. A delimiter within a line is part of the
/// value.
fn find_delimiter(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    (0..text.len().saturating_sub(delimiter.len() - 1)).find(|start| {
        let at_line_start = *start == 0 || text[start - 1] == b'\n';
        at_line_start && text[*start..].starts_with(delimiter)
    })
}

/// Parses a part between two delimiters: line break, headers, empty line, value, line break.
fn read_part(part: &[u8]) -> Result<Option<Part<'_>>, GatewayError> {
    let part = after_line_break(part);
    let Some((head, value)) = split_at_empty_line(part) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(head).map_err(|_| GatewayError::invalid_encoding())?;
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let name = disposition.and_then(|disposition| find_parameter(disposition, "name"));
    let is_file = disposition.is_some_and(|disposition| find_parameter(disposition, "filename").is_some());
    Ok(name.map(|name| Part {
        name,
        is_file,
        value: before_line_break(value),
    }))
}

fn split_at_empty_line(part: &[u8]) -> Option<(&[u8], &[u8])> {
    for separator in [&b"\r\n\r\n"[..], b"\n\n"] {
        let found = part
            .windows(separator.len())
            .position(|window| window == separator);
        if let Some(index) = found {
            return Some((&part[..index], &part[index + separator.len()..]));
        }
    }
    None
}

fn after_line_break(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\r\n")
        .or_else(|| text.strip_prefix(b"\n"))
        .unwrap_or(text)
}

fn before_line_break(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\r\n")
        .or_else(|| text.strip_suffix(b"\n"))
        .unwrap_or(text)
}

/// Returns a parameter of a header, `name="x"` or `name=x`.
fn find_parameter(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_every_client_are_read() {
        let body = "\r\n--123\r\nContent-Disposition:form-data;name=\"a\"\r\n\r\n杭州 1+1\r\n\
            --123\r\nContent-Disposition: form-data; name=\"b\"\r\nContent-Type: text/plain\r\n\r\n\r\n\
            --123\r\ncontent-disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\n\r\nbytes\r\n\
            --123\r\nContent-Disposition: form-data; name=c\r\n\r\nline\r\nline --123\r\n--123--\r\n";
        let parts = read(body.as_bytes(), "123").unwrap();
        let expected = [("a", "杭州 1+1"), ("b", ""), ("c", "line\r\nline --123")];
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(parts, expected);
        assert_eq!(find_file(body.as_bytes(), "123", "f"), Some(&b"bytes"[..]));
        assert_eq!(find_file(body.as_bytes(), "123", "a"), None);
    }

    #[test]
    fn damaged_bodies_give_what_they_hold() {
        assert_eq!(read(b"", "1"), Ok(Vec::new()));
        assert_eq!(read(b"--1", "1"), Ok(Vec::new()));
        assert_eq!(read(b"--1\r\nno header\r\n--1--", "1"), Ok(Vec::new()));
        assert_eq!(
            read(
                b"--1\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--1--",
                "1"
            )
            .unwrap_err()
            .code,
            47
        );
    }

    #[test]
    fn boundaries_are_read_quoted_or_not() {
        assert_eq!(
            parse_boundary("multipart/form-data; boundary=\"a b\"").as_deref(),
            Some("a b")
        );
        assert_eq!(
            parse_boundary("multipart/form-data;Boundary=-1"),
            Some("-1".to_owned())
        );
        assert_eq!(parse_boundary("multipart/form-data"), None);
    }
}
