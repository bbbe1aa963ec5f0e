//! A client of server-sent events that exposes comments and the end of the stream.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time limit for an event.
const DEADLINE: Duration = Duration::from_mins(1);

/// An open stream.
pub struct SseStream {
    reader: BufReader<TcpStream>,
    /// Data that was read but not returned yet.
    text: String,
    pub status: u16,
    /// The head of the response, in lower case.
    pub head: String,
}

/// An event, or a line outside of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem {
    Push(SsePush),
    Comment,
    Retry(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsePush {
    pub id: i64,
    pub data: Value,
}

impl SsePush {
    pub fn push_id(&self) -> &str {
        self.data["push_id"].as_str().unwrap()
    }
}

impl SseStream {
    /// Opens a device's event stream. `url` is the server's.
    pub async fn open(url: &str, device: &str, token: &str, last_event_id: Option<i64>) -> Self {
        Self::open_with_method("GET", url, device, token, last_event_id).await
    }

    pub async fn open_with_method(
        method: &str,
        url: &str,
        device: &str,
        token: &str,
        last_event_id: Option<i64>,
    ) -> Self {
        let opened = timeout(
            DEADLINE,
            Self::try_open(method, url, device, token, last_event_id),
        );
        opened.await.expect("the server answers").unwrap()
    }

    /// Opens a device's event stream, or returns an error if the server is down.
    pub async fn try_open(
        method: &str,
        url: &str,
        device: &str,
        token: &str,
        last_event_id: Option<i64>,
    ) -> io::Result<Self> {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await?;
        let resume = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "{method} /v1/devices/{device}/events HTTP/1.1\r\nHost: slipway\r\nAuthorization: Bearer {token}\r\n\
             Accept: text/event-stream\r\n{resume}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).await? == 0 {
                return Err(io::Error::other(format!("the server closed after {head:?}")));
            }
        }
        Ok(Self {
            reader,
            text: String::new(),
            status: head[9..12].parse().unwrap(),
            head: head.to_lowercase(),
        })
    }

    /// Closes the sending half of the connection. The server sees the same as when a client disconnects.
    pub async fn close_sending_half(&mut self) {
        self.reader.get_mut().shutdown().await.unwrap();
    }

    /// Returns the next item, or `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<SseItem> {
        timeout(DEADLINE, async {
            loop {
                let end = if self.text.starts_with("event:") {
                    "\n\n"
                } else {
                    "\n"
                };
                if let Some((item, rest)) = self.text.split_once(end) {
                    let (item, rest) = (read(item), rest.to_owned());
                    self.text = rest;
                    return Some(item);
                }
                let chunk = self.chunk().await?;
                self.text.push_str(&chunk);
            }
        })
        .await
        .expect("the stream gives something")
    }

    /// Returns the next push.
    pub async fn push(&mut self) -> SsePush {
        loop {
            match self.next().await {
                Some(SseItem::Push(push)) => return push,
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        }
    }

    /// Reads to the end of the stream.
    pub async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }

    async fn chunk(&mut self) -> Option<String> {
        let mut length = String::new();
        // A cut connection also ends the stream.
        self.reader.read_line(&mut length).await.ok()?;
        let length = usize::from_str_radix(length.trim(), 16)
            .ok()
            .filter(|length| *length > 0)?;
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).await.ok()?;
        chunk.truncate(length);
        Some(String::from_utf8(chunk).unwrap())
    }
}

fn read(item: &str) -> SseItem {
    let field = |name: &str| {
        let line = item
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    if let Some(milliseconds) = field("retry") {
        return SseItem::Retry(milliseconds.parse().unwrap());
    }
    if item == ":" {
        return SseItem::Comment;
    }
    assert_eq!(field("event").as_deref(), Some("push"), "{item}");
    SseItem::Push(SsePush {
        id: field("id").unwrap().parse().unwrap(),
        data: serde_json::from_str(&field("data").unwrap()).unwrap(),
    })
}
