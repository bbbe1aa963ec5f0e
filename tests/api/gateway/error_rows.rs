//! Rows of the table of errors, byte for byte in both formats. Only the request id is replaced.

use std::collections::HashSet;

use serde_json::json;

use crate::api::harness::{Answer, TopCall, TopClient};

/// An expected error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) code: u16,
    pub(super) msg: &'a str,
    pub(super) sub_code: &'a str,
    pub(super) sub_msg: &'a str,
}

pub(super) const fn plain(code: u16, msg: &str) -> Row<'_> {
    Row {
        code,
        msg,
        sub_code: "",
        sub_msg: "",
    }
}

pub(super) const NOT_PERMITTED: Row<'_> = Row {
    sub_code: "isv.permission-api-package-limit",
    ..plain(11, "Insufficient isv permissions")
};
impl Row<'_> {
    fn json(self, id: &str) -> String {
        let mut error = json!({"code": self.code, "msg": self.msg});
        for (name, text) in [("sub_code", self.sub_code), ("sub_msg", self.sub_msg)] {
            if !text.is_empty() {
                error[name] = json!(text);
            }
        }
        error["request_id"] = json!(id);
        json!({"error_response": error}).to_string()
    }

    fn xml(self, id: &str) -> String {
        let escaped = |text: &str| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        };
        let code = self.code.to_string();
        let members = [
            ("code", code.as_str()),
            ("msg", self.msg),
            ("sub_code", self.sub_code),
            ("sub_msg", self.sub_msg),
            ("request_id", id),
        ];
        let members: Vec<_> = members
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| format!("<{name}>{}</{name}>", escaped(text)))
            .collect();
        let members = members.concat();
        format!("<?xml version=\"1.0\" encoding=\"utf-8\" ?><error_response>{members}</error_response>")
    }
}

/// Compares errors, and checks that all request ids differ.
#[derive(Default)]
pub(super) struct Judge(HashSet<String>);

impl Judge {
    #[track_caller]
    pub(super) fn judge_json(&mut self, answer: &Answer, expected: Row<'_>) {
        assert_eq!(
            answer.header("content-type"),
            "application/json;charset=UTF-8",
            "{}",
            answer.text
        );
        let id = self.id(answer, "\"request_id\":\"");
        assert_eq!(answer.text, expected.json(&id));
    }

    #[track_caller]
    pub(super) fn judge_xml(&mut self, answer: &Answer, expected: Row<'_>) {
        assert_eq!(
            answer.header("content-type"),
            "text/xml;charset=UTF-8",
            "{}",
            answer.text
        );
        let id = self.id(answer, "<request_id>");
        assert_eq!(answer.text, expected.xml(&id));
    }

    #[track_caller]
    fn id(&mut self, answer: &Answer, before: &str) -> String {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let (_, rest) = answer
            .text
            .split_once(before)
            .unwrap_or_else(|| panic!("{}", answer.text));
        let is_part = |c: &char| c.is_ascii_digit() || c.is_ascii_lowercase();
        let id: String = rest.chars().take_while(is_part).collect();
        assert!((11..=14).contains(&id.len()), "{id}");
        assert!(self.0.insert(id.clone()), "{id} again");
        id
    }

    pub(super) async fn try_call(&mut self, client: &TopClient, call: TopCall, expected: Row<'_>) {
        self.judge_json(&client.send(&call).await, expected);
        self.judge_json(&client.get(&call).await, expected);
        self.judge_json(
            &client.send(&call.clone().with("simplify", "true")).await,
            expected,
        );
        self.judge_xml(&client.send(&call.clone().with("format", "xml")).await, expected);
        self.judge_xml(&client.send(&call.clone().with("format", " ")).await, expected);
        self.judge_xml(&client.get(&call.without("format")).await, expected);
    }
}
