//! An HTTP relay in front of a server that drops and replaces answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Head of a request.
#[derive(Debug, Clone)]
pub(super) struct Request(String);

/// Reaction to a request.
pub(super) enum Reaction {
    Forward,
    /// Forwards the request, and closes the connection instead of answering.
    Lose,
    /// Does not forward the request, and answers with this text.
    Answer(String),
}

pub(super) struct Relay {
    pub(super) url: String,
    /// Requests whose head arrived.
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: AbortHandle,
}

type React = Arc<Mutex<dyn FnMut(&Request) -> Reaction + Send>>;

impl Request {
    /// Returns `true` for a method and the end of the path.
    pub(super) fn is(&self, method: &str, path_end: &str) -> bool {
        let line = self.0.lines().next().unwrap();
        let mut words = line.split(' ');
        let is_method = words.next() == Some(method);
        let path = words.next().unwrap().split('?').next().unwrap();
        is_method && path.ends_with(path_end)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.lines().skip(1).filter_map(|line| line.split_once(": "));
        let (_, value) = headers.find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

impl Relay {
    pub(super) async fn start(
        target: SocketAddr,
        react: impl FnMut(&Request) -> Reaction + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let react: React = Arc::new(Mutex::new(react));
        let arrived = requests.clone();
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, target, react.clone(), arrived.clone()));
            }
        };
        let accepting = tokio::spawn(accept).abort_handle();
        Self {
            url,
            requests,
            accepting,
        }
    }

    /// Requests so far with a method and the end of a path.
    pub(super) fn requests(&self, method: &str, path_end: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        let found = requests.iter().filter(|request| request.is(method, path_end));
        found.cloned().collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Relays one request, and closes the connection.
async fn relay(
    mut client: TcpStream,
    target: SocketAddr,
    react: React,
    requests: Arc<Mutex<Vec<Request>>>,
) -> Option<()> {
    let mut received = Vec::new();
    let end = loop {
        client
            .read_buf(&mut received)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            break end;
        }
    };
    let request = Request(String::from_utf8(received[..end].to_vec()).unwrap());
    requests.lock().unwrap().push(request.clone());
    let length: usize = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while received.len() < end + 4 + length {
        client
            .read_buf(&mut received)
            .await
            .ok()
            .filter(|read| *read > 0)?;
    }
    let reaction = react.lock().unwrap()(&request);
    let answer = match &reaction {
        Reaction::Answer(answer) => answer.clone().into_bytes(),
        Reaction::Forward | Reaction::Lose => {
            let head = format!("{}\r\nconnection: close\r\n\r\n", request.0);
            let mut server = TcpStream::connect(target).await.unwrap();
            server.write_all(head.as_bytes()).await.unwrap();
            server.write_all(&received[end + 4..]).await.unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).await.unwrap();
            answer
        }
    };
    if !matches!(reaction, Reaction::Lose) {
        client.write_all(&answer).await.ok()?;
    }
    Some(())
}

/// Formats an answer.
pub(super) fn answer(status: &str, media_type: &str, body: &str) -> Reaction {
    Reaction::Answer(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}
