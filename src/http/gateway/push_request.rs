//! Parser for the two business parameters of a push. It returns a request, or the errors of all invalid members.
//!
//! Unknown members are ignored, because clients add their own. If a member is repeated, the last one counts.

use slipway_domain::catalog::field::{FieldError, Invalid};
use slipway_domain::catalog::json::{Members, Node};
use slipway_domain::catalog::push::{
    MAX_LISTED_TARGETS, PushContent, PushRequest, PushTarget, PushTargets, RepeatKey,
};
use slipway_domain::catalog::text::{
    DeviceId, MiniAppId, MiniAppType, ProjectId, PushAction, PushUrl, TraceId,
};

/// Maximum length of `alipay_context` in bytes.
const MAX_CONTEXT_BYTES: usize = 4_096;
/// Members of `alipay_context`, all of them texts that may be empty.
const CONTEXT_MEMBERS: [&str; 3] = ["havanaId", "loginId", "masterId"];
/// Maximum nesting depth, which also applies to members that clients add.
const MAX_DEPTH: usize = 100;

/// Parses both parameters. Errors name each invalid member by its path, such as `req.target_info[0].hardware_id`.
pub(super) fn read_push(
    alipay_context: &str,
    req: &str,
    signature: &str,
) -> Result<PushRequest, Vec<FieldError>> {
    let mut reader = Reader::default();
    reader.check_context(alipay_context);
    let read = reader.read_req(req);
    match read {
        Some((targets, pushed)) if reader.errors.is_empty() => Ok(PushRequest {
            content: pushed,
            targets,
            context: Some(alipay_context.to_owned()),
            repeat_key: RepeatKey::ByTraceIdOrSignature(signature.to_ascii_lowercase()),
        }),
        _ => Err(reader.errors),
    }
}

/// Reads members and collects their errors.
#[derive(Default)]
struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    fn check_context(&mut self, text: &str) {
        const FIELD: &str = "alipay_context";
        if text.len() > MAX_CONTEXT_BYTES {
            self.add_error(FIELD, &format!("must be at most {MAX_CONTEXT_BYTES} bytes long"));
            return;
        }
        let Some(members) = self.read_object(FIELD, text) else {
            return;
        };
        for name in CONTEXT_MEMBERS {
            match find(&members, name) {
                None | Some(Node::Null | Node::Text(_)) => {}
                Some(other) => self.add_type_error(&format!("{FIELD}.{name}"), "a text", other),
            }
        }
    }

    fn read_req(&mut self, text: &str) -> Option<(PushTargets, PushContent)> {
        let req = self.read_object("req", text)?;
        let targets = self.read_targets(&req);
        let info = self.read_info(&req);
        let action = self.required(&req, "req", "action", PushAction::parse);
        let trace_id = self.optional(&req, "req", "trace_id", TraceId::parse);
        let source_url = self.optional(&req, "req", "source_url", PushUrl::parse);
        let (pack_url, app_type, app_id) = info?;
        let content = PushContent {
            action: action?,
            app_id,
            app_type,
            pack_url,
            source_url,
            trace_id,
        };
        Some((targets?, content))
    }

    fn read_targets(&mut self, req: &Members<'_>) -> Option<PushTargets> {
        const FIELD: &str = "req.target_info";
        let given = match self.present(FIELD, find(req, "target_info"))? {
            Node::Array(given) => given,
            other => {
                self.add_type_error(FIELD, "an array of devices", other);
                return None;
            }
        };
        if given.len() > MAX_LISTED_TARGETS {
            self.add_error(FIELD, &format!("must list at most {MAX_LISTED_TARGETS} devices"));
            return None;
        }
        let places = given.iter().enumerate();
        let listed: Vec<_> = places
            .filter_map(|(index, target)| self.read_target(&format!("{FIELD}[{index}]"), target))
            .collect();
        if listed.len() < given.len() {
            return None;
        }
        self.record(FIELD, PushTargets::new(listed))
    }

    fn read_target(&mut self, place: &str, target: &Node<'_>) -> Option<PushTarget> {
        let Node::Object(target) = target else {
            let expected = r#"a device such as {"hardware_id":"111","project_id":"projectId"}"#;
            self.add_type_error(place, expected, target);
            return None;
        };
        let device = self.required(target, place, "hardware_id", DeviceId::parse);
        let project = self.required(target, place, "project_id", ProjectId::parse);
        Some(PushTarget {
            device: device?,
            project: project?,
        })
    }

    fn read_info(&mut self, req: &Members<'_>) -> Option<(PushUrl, MiniAppType, MiniAppId)> {
        const FIELD: &str = "req.package_push_info";
        let info = match self.present(FIELD, find(req, "package_push_info"))? {
            Node::Object(info) => info,
            other => {
                self.add_type_error(FIELD, "an object", other);
                return None;
            }
        };
        let pack_url = self.required(info, FIELD, "pack_url", PushUrl::parse);
        let app_type = self.required(info, FIELD, "app_type", MiniAppType::parse);
        let app_id = self.required(info, FIELD, "app_id", MiniAppId::parse);
        Some((pack_url?, app_type?, app_id?))
    }

    fn read_object<'t>(&mut self, field: &str, text: &'t str) -> Option<Members<'t>> {
        if let Ok(Node::Object(members)) = Node::parse(text, MAX_DEPTH) {
            Some(members)
        } else {
            // Message defined by the protocol.
            let message = format!("{field}: not a JSON object");
            self.errors.push(FieldError::invalid(field, message));
            None
        }
    }

    /// Reads a text that must be present and not blank.
    fn required<T>(
        &mut self,
        members: &Members<'_>,
        place: &str,
        name: &str,
        parse: fn(String) -> Result<T, Invalid>,
    ) -> Option<T> {
        let given = find(members, name).filter(|value| !is_blank(value));
        self.present(&format!("{place}.{name}"), given)?;
        self.optional(members, place, name, parse)
    }

    /// Requires a member that is present and not null.
    fn present<'a>(&mut self, field: &str, given: Option<&'a Node<'a>>) -> Option<&'a Node<'a>> {
        let present = given.filter(|value| **value != Node::Null);
        if present.is_none() {
            self.errors.push(FieldError::required(field));
        }
        present
    }

    fn optional<T>(
        &mut self,
        members: &Members<'_>,
        place: &str,
        name: &str,
        parse: fn(String) -> Result<T, Invalid>,
    ) -> Option<T> {
        let field = || format!("{place}.{name}");
        match find(members, name).filter(|value| !is_blank(value))? {
            Node::Text(text) => self.record(&field(), parse(text.to_string())),
            other => {
                self.add_type_error(&field(), "a text", other);
                None
            }
        }
    }

    fn record<T>(&mut self, field: &str, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|why| self.add_error(field, &why.0)).ok()
    }

    fn add_type_error(&mut self, field: &str, expected: &str, given: &Node<'_>) {
        self.add_error(field, &format!("must be {expected}, not {}", given.kind()));
    }

    fn add_error(&mut self, field: &str, why: &str) {
        self.errors
            .push(FieldError::invalid(field, format!("{field} {why}")));
    }
}

/// Returns the last member of this name.
fn find<'m>(members: &'m Members<'m>, name: &str) -> Option<&'m Node<'m>> {
    let mut last_first = members.iter().rev();
    last_first.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Returns true for null, and for a text of white space only.
fn is_blank(value: &Node<'_>) -> bool {
    match value {
        Node::Null => true,
        Node::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CONTEXT: &str = r#"{"havanaId":"","loginId":"","masterId":""}"#;

    fn req() -> Value {
        json!({
            "action": "preview",
            "package_push_info": {"app_id": "111", "app_type": "tinyApp", "pack_url": "scheme://pkg"},
            "source_url": "http://src.example/a",
            "target_info": [{"hardware_id": "111", "project_id": "projectId"}],
            "trace_id": "11111",
        })
    }

    /// Returns the paths of the invalid members; those of missing members end with a question mark.
    fn wrong(context: &str, req: &str) -> Vec<String> {
        let errors = read_push(context, req, "abc").err().unwrap_or_default();
        let named = errors.into_iter().map(|error| {
            let mark = if error.message.ends_with("is required") {
                "?"
            } else {
                ""
            };
            assert!(error.message.starts_with(&error.field), "{error:?}");
            error.field + mark
        });
        named.collect()
    }

    #[test]
    fn a_push_is_read_whole() {
        let read = read_push(CONTEXT, &req().to_string(), "abc").unwrap();
        assert_eq!(read.context.as_deref(), Some(CONTEXT));
        assert_eq!(read.content.trace_id.unwrap().as_str(), "11111");
        assert_eq!(read.content.source_url.unwrap().as_str(), "http://src.example/a");
        assert_eq!(read.targets.as_slice()[0].project.as_str(), "projectId");
        let mut least = req();
        let members = least.as_object_mut().unwrap();
        members.remove("trace_id");
        members.insert("source_url".to_owned(), json!(" "));
        members.insert("another".to_owned(), json!([1]));
        let read = read_push("{}", &least.to_string(), "abc").unwrap();
        assert_eq!((read.content.trace_id, read.content.source_url), (None, None));
    }

    #[test]
    fn every_wrong_member_is_named_by_its_path() {
        for (path, value, named) in [
            ("/target_info", json!(["uuid"]), "req.target_info[0]"),
            ("/target_info", json!([]), "req.target_info"),
            ("/target_info", json!("111"), "req.target_info"),
            ("/target_info", Value::Null, "req.target_info?"),
            (
                "/target_info/0/hardware_id",
                json!(111),
                "req.target_info[0].hardware_id",
            ),
            (
                "/target_info/0/hardware_id",
                json!(" "),
                "req.target_info[0].hardware_id?",
            ),
            (
                "/target_info/0/project_id",
                json!("x".repeat(129)),
                "req.target_info[0].project_id",
            ),
            ("/package_push_info", json!([]), "req.package_push_info"),
            ("/package_push_info", Value::Null, "req.package_push_info?"),
            (
                "/package_push_info/pack_url",
                json!(""),
                "req.package_push_info.pack_url?",
            ),
            (
                "/package_push_info/pack_url",
                json!("x\ty:z"),
                "req.package_push_info.pack_url",
            ),
            (
                "/package_push_info/app_type",
                json!({}),
                "req.package_push_info.app_type",
            ),
            (
                "/package_push_info/app_id",
                json!(true),
                "req.package_push_info.app_id",
            ),
            ("/action", Value::Null, "req.action?"),
            ("/trace_id", json!(11111), "req.trace_id"),
            ("/source_url", json!("x".repeat(2_049)), "req.source_url"),
        ] {
            let mut req = req();
            *req.pointer_mut(path).unwrap() = value;
            assert_eq!(wrong(CONTEXT, &req.to_string()), [named], "{path}");
        }
        assert_eq!(
            wrong("{}", "{}"),
            ["req.target_info?", "req.package_push_info?", "req.action?"]
        );
        for text in ["[]", "null", "\"{}\"", "{", "{}{}", "x", &"[".repeat(10_000)] {
            assert_eq!(wrong(CONTEXT, text), ["req"]);
            assert_eq!(wrong(text, &req().to_string()), ["alipay_context"][..1]);
        }
        let numbers = r#"{"havanaId":1,"loginId":null,"masterId":[]}"#;
        let named = ["alipay_context.havanaId", "alipay_context.masterId"];
        assert_eq!(wrong(numbers, &req().to_string()), named);
    }
}
