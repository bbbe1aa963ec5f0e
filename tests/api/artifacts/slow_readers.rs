//! A client that reads slowly keeps its permit only for a while.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Interval, interval};

use super::downloads::fetch;
use super::fixture::{Fixture, TestStorage, local, on_every_store};
use slipway_test_support::wait::until;

/// Time limit, below the time after which a connection without any progress is closed.
const WITHIN: Duration = Duration::from_secs(25);

/// Starts a download, and reads its first bytes.
async fn begin(fixture: &Fixture, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let address = fixture.app.url.trim_start_matches("http://");
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: slipway\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

/// Reads 2 KiB at each tick until the server closes the connection.
async fn read_slowly(mut stream: TcpStream, mut ticks: Interval) {
    let mut bytes = [0; 2048];
    while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
        ticks.tick().await;
    }
}

async fn a_slow_reader_loses_its_permit(storage: TestStorage) {
    let fixture = Fixture::start_with(storage, |config| {
        config.artifacts.downloads = 1;
        config.artifacts.download_min_rate = 4 << 20;
    })
    .await;
    // Larger than all buffers between the server and the client.
    let stored = fixture.upload(&vec![1; 30_000_000], "").await.expect(201);
    let path = local(&stored);
    let stream = begin(&fixture, &path).await;
    let byte = [("range", "bytes=0-0")];
    assert_eq!(fetch(&fixture, &path, &byte).await.0, 503, "the permit is in use");
    let reader = tokio::spawn(read_slowly(stream, interval(Duration::from_millis(5))));
    until("the permit is free", WITHIN, async || {
        fetch(&fixture, &path, &byte).await.0 == 206
    })
    .await;
    reader.abort();
}

on_every_store!(a_slow_reader_loses_its_permit);
