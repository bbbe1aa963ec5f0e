//! Formats of requests that existing clients send and HTTP libraries do not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture};
use crate::api::harness::raw::{chunked, exchange};
use crate::api::harness::{CHECK, TopCall};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const FORM: &str = "application/x-www-form-urlencoded";

fn call(fixture: &Fixture) -> TopCall {
    fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK)
}

fn head(content_type: &str, rest: &str) -> Vec<u8> {
    format!(
        "POST /router/rest HTTP/1.1\r\nHost: slipway:8443\r\nContent-Type: {content_type}\r\nConnection: close\r\n{rest}\r\n"
    )
    .into()
}

/// Sends a complete body with its length.
async fn send(fixture: &Fixture, content_type: &str, body: &[u8]) -> String {
    let head = head(content_type, &format!("Content-Length: {}\r\n", body.len()));
    exchange(&fixture.app.url, vec![head, body.to_vec()]).await
}

#[track_caller]
fn assert_offered(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"version_code\":240"), "{answer}");
}

/// Details of a client's multipart encoding.
#[derive(Clone, Copy)]
struct Multipart {
    boundary: &'static str,
    /// Text before the first boundary.
    before: &'static str,
    /// Text before the name of a part.
    disposition: &'static str,
    /// Text after the name of a part, before the empty line.
    after: &'static str,
}

const USUAL: Multipart = Multipart {
    boundary: "--------------------------1ae7d7eb",
    before: "",
    disposition: "Content-Disposition: form-data; name=",
    after: "",
};

impl Multipart {
    fn body(self, call: &TopCall, more: &str) -> String {
        let Self {
            boundary,
            before,
            disposition,
            after,
        } = self;
        let mut body = before.to_owned();
        for (name, value) in call.signed_with("") {
            let part = format!("--{boundary}\r\n{disposition}\"{name}\"{after}\r\n\r\n{value}\r\n");
            body.push_str(&part);
        }
        body + more + &format!("--{boundary}--\r\n")
    }

    fn content_type(self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }
}

async fn a_body_may_come_in_chunks(database: TestDatabase) {
    let fixture = fixture(database).await;
    let form = call(&fixture).form();
    for size in [1, 7, 1_000] {
        let mut pieces = vec![head(FORM, "Transfer-Encoding: chunked\r\n")];
        pieces.extend(chunked(form.as_bytes(), size));
        assert_offered(&exchange(&fixture.app.url, pieces).await);
    }
}

/// The client sends the body only after `100 Continue`.
async fn a_client_that_expects_to_be_told_to_continue_is_told(database: TestDatabase) {
    let fixture = fixture(database).await;
    let form = call(&fixture).form();
    let length = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", form.len());
    let head = head(FORM, &length);
    let address = fixture.app.url.trim_start_matches("http://").to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&head).unwrap();
        let mut told = [0; 25];
        stream.read_exact(&mut told).unwrap();
        assert_eq!(String::from_utf8_lossy(&told), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(form.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_offered(&answer.await.unwrap());
}

async fn every_way_to_write_parts_is_read(database: TestDatabase) {
    let fixture = fixture(database).await;
    let call = call(&fixture).with("attributes", r#"{"店":"🚀 &=%+\r\n--1"}"#);
    for way in [
        USUAL,
        Multipart {
            disposition: "Content-Disposition:form-data;name=",
            ..USUAL
        },
        Multipart {
            disposition: "content-disposition:FORM-DATA; NAME=",
            ..USUAL
        },
        Multipart {
            before: "\r\n",
            ..USUAL
        },
        Multipart {
            before: "a preamble\r\n",
            ..USUAL
        },
        Multipart {
            boundary: "1772416800123",
            ..USUAL
        },
        Multipart {
            boundary: "1",
            ..USUAL
        },
        Multipart {
            after: "\r\nContent-Type: text/plain; charset=UTF-8",
            ..USUAL
        },
        Multipart {
            after: "\r\nContent-Type:text/plain\r\nContent-Transfer-Encoding: 8bit",
            ..USUAL
        },
    ] {
        let body = way.body(&call, "");
        assert_offered(&send(&fixture, &way.content_type(), body.as_bytes()).await);
    }
    let quoted = format!(
        "Multipart/Form-Data;charset=utf-8;boundary=\"{}\"",
        USUAL.boundary
    );
    assert_offered(&send(&fixture, &quoted, USUAL.body(&call, "").as_bytes()).await);
}

async fn a_file_is_not_signed(database: TestDatabase) {
    let fixture = fixture(database).await;
    let call = call(&fixture);
    let part = |disposition: &str| {
        format!(
            "--{}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n7\r\n",
            USUAL.boundary
        )
    };
    for disposition in [
        "name=\"image\"; filename=\"a.png\"",
        "filename=\"\"; name=\"device_id\"",
        "name=image;filename=a",
    ] {
        let body = USUAL.body(&call, &part(disposition));
        assert_offered(&send(&fixture, &USUAL.content_type(), body.as_bytes()).await);
    }
    let body = USUAL.body(&call, &part("name=\"image\""));
    let answer = send(&fixture, &USUAL.content_type(), body.as_bytes()).await;
    assert!(answer.contains("\"code\":25"), "{answer}");
}

async fn the_label_of_a_form_does_not_matter(database: TestDatabase) {
    let fixture = fixture(database).await;
    let form = call(&fixture).with("attributes", r#"{"note":"🚀杭州"}"#).form();
    for label in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=gbk",
        "application/x-www-form-urlencoded; charset=ISO-8859-1",
        "APPLICATION/X-WWW-FORM-URLENCODED;CHARSET=UTF-8",
    ] {
        assert_offered(&send(&fixture, label, form.as_bytes()).await);
        let get = format!(
            "GET /router/rest?{form} HTTP/1.1\r\nHost: slipway\r\nContent-Type: {label}\r\nConnection: close\r\n\r\n"
        );
        assert_offered(&exchange(&fixture.app.url, vec![get.into()]).await);
    }
    // A body without a type is read as a form.
    let untyped = format!(
        "POST /router/rest HTTP/1.1\r\nHost: slipway\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    assert_offered(&exchange(&fixture.app.url, vec![untyped.into()]).await);
}

async fn values_are_signed_as_they_were_decoded(database: TestDatabase) {
    let fixture = fixture(database).await;
    let call = call(&fixture)
        .with("device_id", "PDA 🚀+%")
        .with("attributes", " {\"a\" : \"\\u5e97\\/\"} ");
    let form = call.form();
    for form in [form.clone(), form.replace("%20", "+"), form.replace("%2B", "%2b")] {
        assert_offered(&send(&fixture, FORM, form.as_bytes()).await);
    }
    // Unescaped bytes above ASCII are UTF-8 too.
    let raw = form.replace("%F0%9F%9A%80", "🚀");
    assert_ne!(raw, form);
    assert_offered(&send(&fixture, FORM, raw.as_bytes()).await);
}

on_both_databases!(
    a_body_may_come_in_chunks,
    a_client_that_expects_to_be_told_to_continue_is_told,
    every_way_to_write_parts_is_read,
    a_file_is_not_signed,
    the_label_of_a_form_does_not_matter,
    values_are_signed_as_they_were_decoded,
);
