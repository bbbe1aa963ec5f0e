//! A minimal HTTP/1.1 client: raw requests and complete answers over one persistent connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(self) -> anyhow::Result<String> {
        ensure!(self.status == 200, "answered with {}", self.status);
        Ok(String::from_utf8(self.body)?)
    }

    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, address })
    }

    /// Sends a complete request unchanged and reads the answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request)?;
        let mut bytes = Vec::with_capacity(8_192);
        loop {
            if let Some(length) = answer_length(&bytes)?
                && bytes.len() >= length.total
            {
                return Ok(Answer {
                    status: length.status,
                    body: bytes[length.head..length.total].to_vec(),
                });
            }
            let mut chunk = [0; 16_384];
            let read = self.stream.read(&mut chunk)?;
            ensure!(read > 0, "the connection was closed before the answer's end");
            bytes.extend_from_slice(&chunk[..read]);
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.send(request.as_bytes())
    }

    pub(crate) fn post(&mut self, path: &str, bearer: Option<&str>, body: &Value) -> anyhow::Result<Answer> {
        let request = post(path, bearer, "application/json", &body.to_string());
        self.send(&request)
    }
}

/// Builds a complete `POST` request.
pub(crate) fn post(path: &str, bearer: Option<&str>, content_type: &str, body: &str) -> Vec<u8> {
    request("POST", path, bearer, content_type, body)
}

/// Builds a complete request.
pub(crate) fn request(
    method: &str,
    path: &str,
    bearer: Option<&str>,
    content_type: &str,
    body: &str,
) -> Vec<u8> {
    let authorization = bearer.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nHost: slipway.example\r\nContent-Type: {content_type}\r\n{authorization}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Status of an answer, and the lengths of its head and of the whole.
pub(crate) struct AnswerLength {
    pub(crate) status: u16,
    pub(crate) head: usize,
    pub(crate) total: usize,
}

/// Returns `None` while the head is incomplete. Every server in the benchmark sends `Content-Length`.
pub(crate) fn answer_length(bytes: &[u8]) -> anyhow::Result<Option<AnswerLength>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.get(9..12).context("no status")?.parse()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse::<usize>())
        .transpose()?
        .unwrap_or(0);
    let head = end + 4;
    Ok(Some(AnswerLength {
        status,
        head,
        total: head + length,
    }))
}
