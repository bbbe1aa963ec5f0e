//! A TCP proxy between a server and those who use it, which can misbehave like a network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Open,
    /// Every connection is cut, and new ones are closed at once.
    Refuse,
    /// Half open: what is sent is taken and goes nowhere. A connection that was silenced stays so for ever, as after
    /// a firewall forgot it; only new ones work again. The server learns of it when the silence ends.
    Silent,
}

/// Listens on a port of 127.0.0.1 and forwards to what `target` names at the time.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
    accepting: AbortHandle,
}

/// Where a proxy connects to; shared by those that follow one server.
pub(crate) type Target = Arc<Mutex<Endpoint>>;

#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// A Unix socket.
    Socket(PathBuf),
    Address(SocketAddr),
}

impl Proxy {
    pub(crate) async fn start(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = watch::Sender::new(Mode::Open);
        let accepting = tokio::spawn(accept(listener, target, mode.clone())).abort_handle();
        Self {
            port,
            mode,
            accepting,
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Target, mode: watch::Sender<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let server = target.lock().unwrap().clone();
        connections.spawn(connection(client, server, mode.subscribe()));
    }
}

async fn connection(client: TcpStream, server: Endpoint, mode: watch::Receiver<Mode>) {
    let now = *mode.borrow();
    match now {
        Mode::Open => forward(client, server, mode).await,
        Mode::Refuse => {}
        Mode::Silent => swallow(client).await,
    }
}

async fn forward(client: TcpStream, server: Endpoint, mode: watch::Receiver<Mode>) {
    match server {
        Endpoint::Socket(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                between(client, server, mode).await;
            }
        }
        Endpoint::Address(address) => {
            if let Ok(server) = TcpStream::connect(address).await {
                between(client, server, mode).await;
            }
        }
    }
}

async fn between(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) {
    let fault = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        fault = mode.wait_for(|mode| *mode != Mode::Open) => fault.map_or(Mode::Refuse, |fault| *fault),
    };
    if fault == Mode::Silent {
        let until_the_server_learns = async {
            // The proxy is gone: as good as the end of the silence.
            let _ = mode.wait_for(|mode| *mode != Mode::Silent).await;
            drop(server);
        };
        tokio::join!(swallow(client), until_the_server_learns);
    }
}

/// Takes what comes until the other end gives up.
async fn swallow(mut client: impl AsyncRead + Unpin) {
    let _ = copy(&mut client, &mut sink()).await;
}
