//! Requests that no HTTP client would send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Sends these bytes and reads until the server closes the connection. Bytes that can no longer be sent are dropped.
/// The answer may be empty.
pub(crate) async fn exchange(url: &str, pieces: Vec<Vec<u8>>) -> String {
    let address = url.trim_start_matches("http://").to_owned();
    tokio::task::spawn_blocking(move || exchange_now(&address, &pieces))
        .await
        .unwrap()
}

fn exchange_now(address: &str, pieces: &[Vec<u8>]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    // A reset after the answer also ends it.
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the head of a request with a JSON body.
pub(crate) fn head(method: &str, path: &str, token: &str, rest: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: slipway\r\nAuthorization: Bearer {token}\r\n\
        Content-Type: application/json\r\nConnection: close\r\n{rest}\r\n"
    )
    .into()
}

/// Splits a body into chunks of this size.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut pieces: Vec<_> = body
        .chunks(size)
        .map(|chunk| {
            let length = format!("{:x}\r\n", chunk.len());
            [length.as_bytes(), chunk, b"\r\n"].concat()
        })
        .collect();
    pieces.push(b"0\r\n\r\n".to_vec());
    pieces
}
