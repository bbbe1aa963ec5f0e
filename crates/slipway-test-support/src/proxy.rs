//! A TCP proxy between a server and its clients that simulates network faults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// State of the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Open,
    /// Cuts every connection and closes new ones at once.
    Refuse,
    /// Half open: data is accepted and dropped. A silenced connection stays silent, as after a firewall has forgotten
    /// it; only new connections work again. The server notices when the mode ends.
    Silent,
}

/// Listens on a port of 127.0.0.1 and forwards to the current `target`.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    /// Number of connections that are being forwarded.
    forwarded: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

/// Destination of a proxy. Proxies to the same server share it.
pub type Target = Arc<Mutex<Endpoint>>;

#[derive(Debug, Clone)]
pub enum Endpoint {
    /// A Unix socket.
    Socket(PathBuf),
    Address(SocketAddr),
}

impl Proxy {
    pub async fn start(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = watch::Sender::new(Mode::Open);
        let forwarded = Arc::<AtomicUsize>::default();
        let accepting =
            tokio::spawn(accept(listener, target, mode.clone(), forwarded.clone())).abort_handle();
        Self {
            port,
            mode,
            forwarded,
            accepting,
        }
    }

    /// Silences every connection, and returns when nothing is forwarded any more.
    pub async fn silence(&self) {
        self.set(Mode::Silent);
        while self.forwarded.load(Ordering::Acquire) > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: Target,
    mode: watch::Sender<Mode>,
    forwarded: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let server = target.lock().unwrap().clone();
        connections.spawn(connection(client, server, mode.subscribe(), forwarded.clone()));
    }
}

async fn connection(
    client: TcpStream,
    server: Endpoint,
    mode: watch::Receiver<Mode>,
    forwarded: Arc<AtomicUsize>,
) {
    let now = *mode.borrow();
    match now {
        Mode::Open => forward(client, server, mode, forwarded).await,
        Mode::Refuse => {}
        Mode::Silent => swallow(client).await,
    }
}

async fn forward(
    client: TcpStream,
    server: Endpoint,
    mode: watch::Receiver<Mode>,
    forwarded: Arc<AtomicUsize>,
) {
    match server {
        Endpoint::Socket(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                between(client, server, mode, forwarded).await;
            }
        }
        Endpoint::Address(address) => {
            if let Ok(server) = TcpStream::connect(address).await {
                between(client, server, mode, forwarded).await;
            }
        }
    }
}

async fn between(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    forwarded: Arc<AtomicUsize>,
) {
    forwarded.fetch_add(1, Ordering::AcqRel);
    let fault = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => None,
        fault = mode.wait_for(|mode| *mode != Mode::Open) => Some(fault.map_or(Mode::Refuse, |fault| *fault)),
    };
    forwarded.fetch_sub(1, Ordering::AcqRel);
    if fault == Some(Mode::Silent) {
        let until_the_server_learns = async {
            // The proxy was dropped, which also ends the silence.
            let _ = mode.wait_for(|mode| *mode != Mode::Silent).await;
            drop(server);
        };
        tokio::join!(swallow(client), until_the_server_learns);
    }
}

/// Reads and drops data until the other end closes the connection.
async fn swallow(mut client: impl AsyncRead + Unpin) {
    let _ = copy(&mut client, &mut sink()).await;
}

/// Starts a proxy to a test database on a Unix socket. Returns the proxy and the URL through it.
pub async fn behind(url: &str) -> (Proxy, String) {
    let (address, directory) = url.split_once("?host=").expect("the database is on a socket");
    let (_, database) = address.rsplit_once('/').expect("a URL names its database");
    let socket = PathBuf::from(directory).join(".s.PGSQL.5432");
    let proxy = Proxy::start(Arc::new(Mutex::new(Endpoint::Socket(socket)))).await;
    let url = format!("postgres://slipway@127.0.0.1:{}/{database}", proxy.port);
    (proxy, url)
}
