//! A load balancer in front of nodes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Forwards connections to nodes in turn. A node that refuses a connection is skipped.
pub struct Balancer {
    url: String,
    nodes: Nodes,
    accepting: AbortHandle,
}

type Nodes = Arc<Mutex<Vec<SocketAddr>>>;

impl Balancer {
    pub async fn start(nodes: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let nodes = Arc::new(Mutex::new(nodes));
        let accepting = tokio::spawn(accept(listener, nodes.clone())).abort_handle();
        Self {
            url,
            nodes,
            accepting,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Replaces the address of a node that was restarted.
    pub fn replace(&self, index: usize, address: SocketAddr) {
        self.nodes.lock().unwrap()[index] = address;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, nodes: Nodes) {
    let mut connections = JoinSet::new();
    let mut turn = 0;
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let mut candidates = nodes.lock().unwrap().clone();
        let count = candidates.len();
        candidates.rotate_left(turn % count);
        turn += 1;
        connections.spawn(forward(client, candidates));
    }
}

/// Forwards a connection to the first node that accepts one; closes it if none does.
async fn forward(mut client: TcpStream, candidates: Vec<SocketAddr>) {
    for node in candidates {
        if let Ok(mut server) = TcpStream::connect(node).await {
            // An error ends the connection, like a regular close.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
