//! Response envelope of the gateway, written member by member as JSON, simplified JSON or XML.

use super::error::GatewayError;
use super::xml;

/// Response format, determined only by the parameters `format` and `simplify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    /// JSON without the root and the list wrappers.
    SimplifiedJson,
    Xml,
}

impl Format {
    /// Content type that all clients parse correctly.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::SimplifiedJson => "application/json;charset=UTF-8",
            Self::Xml => "text/xml;charset=UTF-8",
        }
    }

    /// Parses the two parameters; `None` for an unknown format. Only the literal `true` selects the simplified form.
    pub fn parse(format: Option<&str>, simplify: Option<&str>) -> Option<Self> {
        match (format, simplify) {
            (None | Some("" | "xml"), _) => Some(Self::Xml),
            (Some("json"), Some("true")) => Some(Self::SimplifiedJson),
            (Some("json"), _) => Some(Self::Json),
            _ => None,
        }
    }

    /// Returns the format of an error that occurs before the format is parsed.
    pub fn of_early_error(format_in_query: Option<&str>) -> Self {
        if format_in_query == Some("json") {
            Self::Json
        } else {
            Self::Xml
        }
    }
}

/// Initial capacity, sufficient for most responses with one or two offers.
const USUAL_BYTES: usize = 2_048;

/// Response under construction. Members are written in order; absent values are omitted.
pub struct Envelope {
    format: Format,
    root: String,
    is_wrapped: bool,
    out: Vec<u8>,
    needs_comma: bool,
}

impl Envelope {
    /// Starts the successful response of a method.
    pub fn success(format: Format, method: &str) -> Self {
        let method = method.strip_prefix("taobao.").unwrap_or(method);
        let mut root = String::with_capacity(method.len() + "_response".len());
        root.extend(
            method
                .chars()
                .map(|character| if character == '.' { '_' } else { character }),
        );
        root.push_str("_response");
        Self::open(format, root, format != Format::SimplifiedJson)
    }

    fn open(format: Format, root: String, is_wrapped: bool) -> Self {
        let mut envelope = Self {
            format,
            root,
            is_wrapped,
            out: Vec::with_capacity(USUAL_BYTES),
            needs_comma: false,
        };
        match format {
            Format::Xml => {
                envelope.push("<?xml version=\"1.0\" encoding=\"utf-8\" ?><");
                envelope.push_root();
                envelope.push(">");
            }
            Format::Json | Format::SimplifiedJson if is_wrapped => {
                envelope.push("{\"");
                envelope.push_root();
                envelope.push("\":{");
            }
            Format::Json | Format::SimplifiedJson => envelope.push("{"),
        }
        envelope
    }

    /// Finishes the response with its request id.
    pub fn close(mut self, id: &str) -> Vec<u8> {
        self.text("request_id", id);
        match self.format {
            Format::Xml => {
                self.push("</");
                self.push_root();
                self.push(">");
            }
            Format::Json | Format::SimplifiedJson if self.is_wrapped => self.push("}}"),
            Format::Json | Format::SimplifiedJson => self.push("}"),
        }
        self.out
    }

    pub fn text(&mut self, name: &str, text: &str) {
        match self.format {
            Format::Xml => xml::write_element(&mut self.out, name, text),
            Format::Json | Format::SimplifiedJson => {
                self.begin_json(name);
                // Serializing a text into memory cannot fail.
                let _ = serde_json::to_writer(&mut self.out, text);
            }
        }
    }

    pub fn integer(&mut self, name: &str, number: i64) {
        let number = number.to_string();
        match self.format {
            Format::Xml => xml::write_element(&mut self.out, name, &number),
            Format::Json | Format::SimplifiedJson => {
                self.begin_json(name);
                self.push(&number);
            }
        }
    }

    pub fn boolean(&mut self, name: &str, value: bool) {
        let value = if value { "true" } else { "false" };
        match self.format {
            Format::Xml => xml::write_element(&mut self.out, name, value),
            Format::Json | Format::SimplifiedJson => {
                self.begin_json(name);
                self.push(value);
            }
        }
    }

    /// Writes a structure, whose members `write` adds.
    pub fn structure(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        match self.format {
            Format::Xml => {
                self.push(&format!("<{name}>"));
                write(self);
                self.push(&format!("</{name}>"));
            }
            Format::Json | Format::SimplifiedJson => {
                self.begin_json(name);
                self.push("{");
                self.needs_comma = false;
                write(self);
                self.push("}");
                self.needs_comma = true;
            }
        }
    }

    /// Writes a list of structures, each wrapped in `wrapper`. `write` appends each structure between the two texts
    /// that it receives. In JSON this leaves a trailing comma, which is removed.
    pub fn list(
        &mut self,
        name: &str,
        wrapper: &str,
        is_empty: bool,
        write: impl FnOnce((&[u8], &[u8]), &mut Vec<u8>),
    ) {
        match self.format {
            Format::Xml => {
                let (before, after) = (format!("<{wrapper}>"), format!("</{wrapper}>"));
                self.push(&format!("<{name}>"));
                write((before.as_bytes(), after.as_bytes()), &mut self.out);
                self.push(&format!("</{name}>"));
            }
            // The original gateway sends this for an empty list.
            Format::Json if is_empty => {
                self.begin_json(name);
                self.push("{}");
            }
            Format::Json | Format::SimplifiedJson => {
                self.begin_json(name);
                let is_simplified = self.format == Format::SimplifiedJson;
                if !is_simplified {
                    self.push("{\"");
                    self.push(wrapper);
                    self.push("\":");
                }
                self.push("[");
                if !is_empty {
                    write((b"", b","), &mut self.out);
                    self.out.pop();
                }
                self.push(if is_simplified { "]" } else { "]}" });
            }
        }
    }

    fn begin_json(&mut self, name: &str) {
        self.push(if self.needs_comma { ",\"" } else { "\"" });
        self.push(name);
        self.push("\":");
        self.needs_comma = true;
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn push_root(&mut self) {
        self.out.extend_from_slice(self.root.as_bytes());
    }
}

/// Writes an error, which keeps its wrapper in simplified JSON.
pub fn failure(format: Format, error: &GatewayError, id: &str) -> Vec<u8> {
    let mut envelope = Envelope::open(format, "error_response".to_owned(), true);
    envelope.integer("code", i64::from(error.code));
    envelope.text("msg", &error.message);
    if let Some(sub_code) = &error.sub_code {
        envelope.text("sub_code", sub_code);
    }
    if let Some(sub_message) = &error.sub_message {
        envelope.text("sub_msg", sub_message);
    }
    envelope.close(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a response with one structure or none.
    fn answer(format: Format, method: &str, item: Option<&str>) -> String {
        let mut envelope = Envelope::success(format, method);
        envelope.list("data", "d_t_o", item.is_none(), |(before, after), out| {
            if let Some(item) = item {
                out.extend_from_slice(before);
                out.extend_from_slice(item.as_bytes());
                out.extend_from_slice(after);
            }
        });
        envelope.text("succeed", "true");
        String::from_utf8(envelope.close("id1")).unwrap()
    }

    #[test]
    fn one_answer_in_three_forms() {
        assert_eq!(
            answer(Format::Json, "wdk.rexout.check", Some(r#"{"size":1}"#)),
            r#"{"wdk_rexout_check_response":{"data":{"d_t_o":[{"size":1}]},"succeed":"true","request_id":"id1"}}"#
        );
        assert_eq!(
            answer(Format::SimplifiedJson, "wdk.rexout.check", Some(r#"{"size":1}"#)),
            r#"{"data":[{"size":1}],"succeed":"true","request_id":"id1"}"#
        );
        assert_eq!(
            answer(Format::Xml, "taobao.wdk.check", Some("<size>1</size>")),
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><wdk_check_response><data><d_t_o><size>1</size></d_t_o></data>\
             <succeed>true</succeed><request_id>id1</request_id></wdk_check_response>"
        );
    }

    #[test]
    fn structures_in_three_forms() {
        let answer = |format| {
            let mut envelope = Envelope::success(format, "m");
            envelope.structure("result", |result| {
                result.boolean("result", true);
                result.text("result_code", "200");
            });
            String::from_utf8(envelope.close("id1")).unwrap()
        };
        assert_eq!(
            answer(Format::Json),
            r#"{"m_response":{"result":{"result":true,"result_code":"200"},"request_id":"id1"}}"#
        );
        assert_eq!(
            answer(Format::SimplifiedJson),
            r#"{"result":{"result":true,"result_code":"200"},"request_id":"id1"}"#
        );
        assert_eq!(
            answer(Format::Xml),
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><m_response><result><result>true</result>\
             <result_code>200</result_code></result><request_id>id1</request_id></m_response>"
        );
    }

    #[test]
    fn empty_lists_in_three_forms() {
        assert_eq!(
            answer(Format::Json, "m", None),
            r#"{"m_response":{"data":{},"succeed":"true","request_id":"id1"}}"#
        );
        assert_eq!(
            answer(Format::SimplifiedJson, "m", None),
            r#"{"data":[],"succeed":"true","request_id":"id1"}"#
        );
        let xml = answer(Format::Xml, "m", None);
        assert!(xml.contains("<m_response><data></data><succeed>"), "{xml}");
    }

    #[test]
    fn errors_keep_their_wrapper() {
        let error = GatewayError::invalid_app_key();
        let expected = r#"{"error_response":{"code":29,"msg":"Invalid app Key","sub_code":"isv.appkey-not-exists","request_id":"i"}}"#;
        let text = |format| String::from_utf8(failure(format, &error, "i")).unwrap();
        assert_eq!(text(Format::Json), expected);
        assert_eq!(text(Format::SimplifiedJson), expected);
        assert_eq!(
            text(Format::Xml),
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
