//! Answers as the gateway wraps them: one tree, written as JSON, simplified JSON or XML.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde_json::{Map, Value};

use super::compression::{accepts_gzip, gzip};
use super::error::GatewayError;

/// In which form an answer is written; the `format` and `simplify` parameters alone decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    /// Without the root and the wrappers of lists.
    SimplifiedJson,
    Xml,
}

impl Format {
    /// Reads the two parameters; `None` for a format that does not exist. Only the literal `true` simplifies.
    pub(super) fn parse(format: Option<&str>, simplify: Option<&str>) -> Option<Self> {
        match (format, simplify) {
            (None | Some("" | "xml"), _) => Some(Self::Xml),
            (Some("json"), Some("true")) => Some(Self::SimplifiedJson),
            (Some("json"), _) => Some(Self::Json),
            _ => None,
        }
    }

    /// The form of an error that comes before the format could be read.
    pub(super) fn of_early_error(format_in_query: Option<&str>) -> Self {
        if format_in_query == Some("json") {
            Self::Json
        } else {
            Self::Xml
        }
    }
}

/// A part of an answer. Members keep their order; what is absent has no member.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Structure(Vec<(&'static str, Node)>),
    /// A list of structures, wrapped in this name.
    List(&'static str, Vec<Node>),
}

/// Writes a successful answer of a method.
pub(super) fn success(
    format: Format,
    method: &str,
    mut members: Vec<(&'static str, Node)>,
    id: &str,
) -> String {
    members.push(("request_id", Node::Text(id.to_owned())));
    let root = format!(
        "{}_response",
        method.strip_prefix("taobao.").unwrap_or(method).replace('.', "_")
    );
    write(
        format,
        &root,
        &Node::Structure(members),
        format != Format::SimplifiedJson,
    )
}

/// Writes an error; it keeps its wrapper when simplified.
pub(super) fn failure(format: Format, error: &GatewayError, id: &str) -> String {
    let mut members = vec![
        ("code", Node::Integer(i64::from(error.code))),
        ("msg", Node::Text(error.message.clone())),
    ];
    if let Some(sub_code) = &error.sub_code {
        members.push(("sub_code", Node::Text(sub_code.clone())));
    }
    if let Some(sub_message) = &error.sub_message {
        members.push(("sub_msg", Node::Text(sub_message.clone())));
    }
    members.push(("request_id", Node::Text(id.to_owned())));
    write(format, "error_response", &Node::Structure(members), true)
}

/// An HTTP answer with the type that every client reads rightly, compressed if the request asks for it.
pub(super) fn respond(request: &HttpRequest, format: Format, body: String) -> HttpResponse {
    let content_type = match format {
        Format::Json | Format::SimplifiedJson => "application/json;charset=UTF-8",
        Format::Xml => "text/xml;charset=UTF-8",
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)))
        .insert_header((VARY, HeaderValue::from_static("Accept-Encoding")));
    if accepts_gzip(request) {
        response
            .insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")))
            .body(gzip(&body))
    } else {
        response.body(body)
    }
}

fn write(format: Format, root: &str, node: &Node, wrapped: bool) -> String {
    match format {
        Format::Xml => write_xml(root, node),
        Format::Json | Format::SimplifiedJson => {
            let body = to_json(node, format == Format::SimplifiedJson);
            let json = if wrapped {
                Value::Object(Map::from_iter([(root.to_owned(), body)]))
            } else {
                body
            };
            json.to_string()
        }
    }
}

fn to_json(node: &Node, simplified: bool) -> Value {
    match node {
        Node::Text(text) => Value::from(text.as_str()),
        Node::Integer(number) => Value::from(*number),
        Node::Boolean(flag) => Value::from(*flag),
        Node::Structure(members) => {
            let members = members
                .iter()
                .map(|(name, node)| ((*name).to_owned(), to_json(node, simplified)));
            Value::Object(members.collect())
        }
        Node::List(wrapper, items) => {
            let list: Value = items.iter().map(|item| to_json(item, simplified)).collect();
            match (simplified, items.is_empty()) {
                (true, _) => list,
                // What the live gateway sends for an empty list.
                (false, true) => Value::Object(Map::new()),
                (false, false) => Value::Object(Map::from_iter([((*wrapper).to_owned(), list)])),
            }
        }
    }
}

fn write_xml(root: &str, node: &Node) -> String {
    let mut writer = Writer::new(Vec::new());
    let written = writer
        .write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8 "), None)))
        .and_then(|()| write_element(&mut writer, root, node));
    // Writing to memory does not fail, and all that is written is text.
    debug_assert!(written.is_ok());
    String::from_utf8(writer.into_inner())
        .unwrap_or_default()
        .replacen("\"utf-8 \"?>", "\"utf-8\" ?>", 1)
}

fn write_element(writer: &mut Writer<Vec<u8>>, name: &str, node: &Node) -> std::io::Result<()> {
    writer.write_event(Event::Start(BytesStart::new(name)))?;
    match node {
        Node::Text(text) => write_text(writer, text)?,
        Node::Integer(number) => write_text(writer, &number.to_string())?,
        Node::Boolean(flag) => write_text(writer, if *flag { "true" } else { "false" })?,
        Node::Structure(members) => {
            for (name, node) in members {
                write_element(writer, name, node)?;
            }
        }
        Node::List(wrapper, items) => {
            for item in items {
                write_element(writer, wrapper, item)?;
            }
        }
    }
    writer.write_event(Event::End(BytesEnd::new(name)))
}

/// Drops what XML 1.0 forbids (section 2.2, Char), and keeps carriage returns, which a parser would make line feeds
/// (section 2.11), as references.
fn write_text(writer: &mut Writer<Vec<u8>>, text: &str) -> std::io::Result<()> {
    let allowed: String = text.chars().filter(|c| is_xml_char(*c)).collect();
    let escaped = partial_escape(&allowed).replace('\r', "&#13;");
    writer.write_event(Event::Text(BytesText::from_escaped(escaped)))
}

const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<(&'static str, Node)> {
        let item = Node::Structure(vec![
            (
                "name",
                Node::Text("<a> & 'b'\u{0}\u{b}\r\n杭🚀\u{fffe}".to_owned()),
            ),
            ("size", Node::Integer(i64::MAX)),
            ("auto_install", Node::Boolean(true)),
            ("qrcode", Node::Text(String::new())),
        ]);
        vec![
            ("data", Node::List("d_t_o", vec![item])),
            ("succeed", Node::Text("true".to_owned())),
        ]
    }

    #[test]
    fn one_answer_in_three_forms() {
        assert_eq!(
            success(Format::Json, "wdk.rexout.check", answer(), "id1"),
            "{\"wdk_rexout_check_response\":{\"data\":{\"d_t_o\":[{\"name\":\"<a> & 'b'\\u0000\\u000b\\r\\n杭🚀\u{fffe}\",\
             \"size\":9223372036854775807,\"auto_install\":true,\"qrcode\":\"\"}]},\"succeed\":\"true\",\"request_id\":\"id1\"}}"
        );
        let simplified = success(Format::SimplifiedJson, "wdk.rexout.check", answer(), "id1");
        assert!(simplified.starts_with("{\"data\":[{\"name\":"), "{simplified}");
        assert_eq!(
            success(Format::Xml, "taobao.wdk.check", answer(), "id1"),
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><wdk_check_response><data><d_t_o><name>&lt;a&gt; &amp; 'b'&#13;\n\
             杭🚀</name><size>9223372036854775807</size><auto_install>true</auto_install><qrcode></qrcode></d_t_o></data>\
             <succeed>true</succeed><request_id>id1</request_id></wdk_check_response>"
        );
    }

    #[test]
    fn empty_lists_in_three_forms() {
        let empty = || vec![("data", Node::List("d_t_o", Vec::new()))];
        assert_eq!(
            success(Format::Json, "m", empty(), "i"),
            r#"{"m_response":{"data":{},"request_id":"i"}}"#
        );
        assert_eq!(
            success(Format::SimplifiedJson, "m", empty(), "i"),
            r#"{"data":[],"request_id":"i"}"#
        );
        let xml = success(Format::Xml, "m", empty(), "i");
        assert!(
            xml.ends_with("<m_response><data></data><request_id>i</request_id></m_response>"),
            "{xml}"
        );
    }

    #[test]
    fn errors_keep_their_wrapper() {
        let error = GatewayError::invalid_app_key();
        let expected = r#"{"error_response":{"code":29,"msg":"Invalid app Key","sub_code":"isv.appkey-not-exists","request_id":"i"}}"#;
        assert_eq!(failure(Format::Json, &error, "i"), expected);
        assert_eq!(failure(Format::SimplifiedJson, &error, "i"), expected);
        assert_eq!(
            failure(Format::Xml, &error, "i"),
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><error_response><code>29</code><msg>Invalid app Key</msg>\
             <sub_code>isv.appkey-not-exists</sub_code><request_id>i</request_id></error_response>"
        );
    }

    #[test]
    fn only_the_literal_true_simplifies() {
        assert_eq!(
            Format::parse(Some("json"), Some("true")),
            Some(Format::SimplifiedJson)
        );
        assert_eq!(Format::parse(Some("json"), Some("1")), Some(Format::Json));
        assert_eq!(Format::parse(Some("xml"), Some("true")), Some(Format::Xml));
        assert_eq!(Format::parse(None, None), Some(Format::Xml));
        assert_eq!(Format::parse(Some("JSON"), None), None);
    }
}
