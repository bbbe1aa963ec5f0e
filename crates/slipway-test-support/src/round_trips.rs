//! A proxy in front of PostgreSQL that records the round trips of each connection.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::AbortHandle;

/// A round trip: the bytes that a client sent before it waited for the server.
#[derive(Debug, Clone)]
pub struct RoundTrip {
    /// Number of the connection.
    pub connection: usize,
    /// Texts of the statements that were prepared or executed; empty for a ping.
    pub text: String,
}

impl RoundTrip {
    /// Returns `false` for the checks of a connection that returns to the pool, and for the end of a read transaction. No
    /// call waits for them.
    pub fn is_of_call(&self) -> bool {
        !["", "ROLLBACK", "SELECT now() = statement_timestamp()"].contains(&self.text.as_str())
    }
}

/// A proxy that forwards to a server on a Unix socket.
pub struct RoundTripProxy {
    port: u16,
    trips: Arc<Mutex<Vec<RoundTrip>>>,
    accepting: AbortHandle,
}

impl RoundTripProxy {
    /// Starts a proxy to a test database, and returns it with the URL through it.
    pub async fn start(url: &str) -> (Self, String) {
        let (address, directory) = url.split_once("?host=").expect("the database is on a socket");
        let (_, database) = address.rsplit_once('/').expect("a URL names its database");
        let socket = PathBuf::from(directory).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let trips = Arc::default();
        let accepting = tokio::spawn(accept(listener, socket, Arc::clone(&trips))).abort_handle();
        let proxy = Self {
            port,
            trips,
            accepting,
        };
        let url = format!(
            "postgres://slipway@127.0.0.1:{}/{database}?sslmode=disable",
            proxy.port
        );
        (proxy, url)
    }

    /// Removes and returns the round trips recorded so far.
    pub fn take(&self) -> Vec<RoundTrip> {
        std::mem::take(&mut self.trips.lock().unwrap())
    }
}

impl Drop for RoundTripProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Trips = Arc<Mutex<Vec<RoundTrip>>>;

async fn accept(listener: TcpListener, socket: PathBuf, trips: Trips) {
    let mut connection = 0;
    while let Ok((client, _)) = listener.accept().await {
        connection += 1;
        if let Ok(server) = UnixStream::connect(&socket).await {
            tokio::spawn(forward(client, server, Recorder::new(connection, trips.clone())));
        }
    }
}

async fn forward(client: TcpStream, server: UnixStream, mut recorder: Recorder) {
    client.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
        recorder.record(&bytes[..count]);
        if to_server.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    answers.abort();
}

/// Reader of a client's messages.
struct Recorder {
    connection: usize,
    trips: Trips,
    unread: Vec<u8>,
    /// True after the first message, which has no type.
    is_started: bool,
    prepared: HashMap<Vec<u8>, String>,
    current: Vec<String>,
}

impl Recorder {
    fn new(connection: usize, trips: Trips) -> Self {
        Self {
            connection,
            trips,
            unread: Vec::new(),
            is_started: false,
            prepared: HashMap::new(),
            current: Vec::new(),
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        loop {
            let head = usize::from(self.is_started);
            let Some(length) = self.unread.get(head..head + 4) else {
                return;
            };
            let end = head + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.unread.len() < end {
                return;
            }
            let message: Vec<_> = self.unread.drain(..end).collect();
            if self.is_started {
                self.read(message[0], &message[5..]);
            }
            self.is_started = true;
        }
    }

    fn read(&mut self, kind: u8, body: &[u8]) {
        match kind {
            b'Q' => {
                self.current.push(text(body).0);
                self.end();
            }
            b'P' => {
                let name: Vec<_> = body.iter().copied().take_while(|byte| *byte != 0).collect();
                let sql = text(&body[name.len() + 1..]).0;
                self.current.push(format!("PREPARE {sql}"));
                self.prepared.insert(name, sql);
            }
            b'B' => {
                let after_portal = text(body).1;
                let rest = &body[after_portal..];
                let name: Vec<_> = rest.iter().copied().take_while(|byte| *byte != 0).collect();
                self.current
                    .push(self.prepared.get(&name).cloned().unwrap_or_default());
            }
            b'S' => self.end(),
            _ => {}
        }
    }

    fn end(&mut self) {
        let text = std::mem::take(&mut self.current).join("; ");
        let connection = self.connection;
        self.trips.lock().unwrap().push(RoundTrip { connection, text });
    }
}

/// Splits bytes into a zero-terminated text and the number of bytes it takes.
fn text(bytes: &[u8]) -> (String, usize) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 1)
}
