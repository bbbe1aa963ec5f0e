//! Recorded requests with randomly changed bytes: without the secret none is accepted, and none does harm.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::fixture::{DEVICE_CHECK, TIMESTAMP, fixture};
use crate::api::harness::raw::exchange;
use crate::api::harness::{CHECK, TopClient, form, xml_to_json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::fuzzing::fuzz_cases;

/// Mutation of the bytes of a request.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Repeat(Index, Index),
}

/// Pieces with a meaning in requests.
const PIECES: [&str; 16] = [
    "&",
    "=",
    "%",
    "%00",
    "%FF",
    "+",
    ";",
    "\r\n",
    "\r\n\r\n",
    "sign",
    "version_code",
    "app_key",
    "{",
    "\"",
    "\u{0}",
    "店",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let piece = prop_oneof![
        select(PIECES.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        vec(any::<u8>(), 1..6),
    ];
    prop_oneof![
        3 => (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        3 => (any::<Index>(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let between = |from: &Index, to: &Index| {
            let (a, b) = (from.index(bytes.len()), to.index(bytes.len()));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Insert(at, piece) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Cut(from, to) => {
                let range = between(from, to);
                bytes.drain(range);
            }
            Self::Repeat(from, to) => {
                let piece = bytes[between(from, to)].to_vec();
                bytes.extend(piece);
            }
        }
    }
}

/// A raw request: its request line and headers without the length, and its body.
#[derive(Debug, Clone)]
struct RecordedCall {
    line: String,
    content_type: &'static str,
    body: Vec<u8>,
}

impl RecordedCall {
    /// The length is computed last, so that a changed body is read completely.
    fn bytes(&self) -> Vec<u8> {
        let length = match self.body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let head = format!(
            "{} HTTP/1.1\r\nHost: slipway\r\nContent-Type: {}\r\nConnection: close\r\n{length}\r\n",
            self.line, self.content_type
        );
        [head.into_bytes(), self.body.clone()].concat()
    }
}

/// Returns a request of each format.
fn recorded(client: &TopClient) -> Vec<RecordedCall> {
    let call = client
        .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
        .with("old_versions", r#"{"com.hema.wms.chuku":{"versionCode":230}}"#)
        .with("org_info", r#"{"l1Code":"HM"}"#);
    let signed = call.signed_with("");
    let urlencoded = "application/x-www-form-urlencoded;charset=UTF-8";
    let parts = signed.iter().map(|(name, value)| {
        format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let calls = format!("{}\r\n-S-\r\nN", form(&call.clone().without("app_key").params));
    let mut public = client.call(CHECK, TIMESTAMP, &[]).without("method");
    public.params.insert("format".to_owned(), "xml".to_owned());
    vec![
        RecordedCall {
            line: "POST /router/rest".to_owned(),
            content_type: urlencoded,
            body: form(&signed).into_bytes(),
        },
        RecordedCall {
            line: format!("GET /router/rest?{}", form(&signed)),
            content_type: urlencoded,
            body: Vec::new(),
        },
        RecordedCall {
            line: "POST /router/rest".to_owned(),
            content_type: "multipart/form-data; boundary=b1",
            body: (parts.collect::<String>() + "--b1--\r\n").into_bytes(),
        },
        RecordedCall {
            line: format!("POST /router/batch?{}", form(&public.signed_with(&calls))),
            content_type: "text/plain;charset=UTF-8",
            body: calls.into_bytes(),
        },
    ]
}

/// Changes some bytes of a request: those of the body before the length is computed, or any.
fn mutated(recorded: RecordedCall) -> impl Strategy<Value = Vec<u8>> {
    (vec(mutation(), 1..5), any::<bool>()).prop_map(move |(mutations, everywhere)| {
        let mut request = recorded.clone();
        if !everywhere && !request.body.is_empty() {
            for mutation in &mutations {
                mutation.apply(&mut request.body);
            }
            return request.bytes();
        }
        let mut bytes = request.bytes();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        bytes
    })
}

/// Returns the status and body of the first answer. Bytes after a shortened body are another request with its own
/// answer.
fn read(answer: &str) -> Option<(u16, &str)> {
    let (head, rest) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(Some(rest.len()), |length| length.parse().ok())?;
    Some((status, rest.get(..length)?))
}

/// Returns true if any call of the request succeeded.
fn is_accepted(body: &str) -> bool {
    body.contains("wdk_rexout_resource_list_check_response")
}

/// Returns true if the body of a 200 is valid JSON or XML. A batch has several.
fn is_well_formed(body: &str) -> bool {
    body.split("\r\n-S-\r\n").all(|piece| {
        if piece.starts_with("<?xml") {
            xml_to_json(piece).is_object()
        } else {
            serde_json::from_str::<Value>(piece).is_ok()
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_request_is_never_accepted_without_the_secret() {
    let fixture = fixture(TestDatabase::sqlite().await).await;
    let client = TopClient {
        secret: format!("{}x", fixture.client.secret),
        ..fixture.client.clone()
    };
    for mut case in fuzz_cases(300) {
        let recorded = case.draw(&select(recorded(&client)));
        let bytes = case.draw(&mutated(recorded));
        let answer = exchange(&fixture.app.url, vec![bytes.clone()]).await;
        let context = || format!("{}: {}\n{answer}", case.again(), String::from_utf8_lossy(&bytes));
        let Some((status, body)) = read(&answer) else {
            continue;
        };
        assert!(status < 500, "{}", context());
        assert!(!is_accepted(body), "{}", context());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_request_does_no_harm() {
    let fixture = fixture(TestDatabase::sqlite().await).await;
    let honest = recorded(&fixture.client);
    for recorded in &honest {
        let answer = exchange(&fixture.app.url, vec![recorded.bytes()]).await;
        assert!(is_accepted(&answer), "{answer}");
    }
    for mut case in fuzz_cases(300) {
        let recorded = case.draw(&select(honest.clone()));
        let bytes = case.draw(&mutated(recorded));
        let answer = exchange(&fixture.app.url, vec![bytes.clone()]).await;
        let context = || format!("{}: {}\n{answer}", case.again(), String::from_utf8_lossy(&bytes));
        let Some((status, body)) = read(&answer) else {
            continue;
        };
        assert!(status < 500, "{}", context());
        if status == 200 && (body.starts_with('{') || body.starts_with("<?xml")) {
            assert!(is_well_formed(body), "{}", context());
        }
    }
    let answer = exchange(&fixture.app.url, vec![honest[0].bytes()]).await;
    assert!(is_accepted(&answer), "the server goes on: {answer}");
}
