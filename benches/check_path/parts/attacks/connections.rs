//! Connections that stay open and never send a complete request.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SLOW_CONNECTIONS: usize = 500;
/// Interval at which a slow connection sends its next byte.
const DRIP: Duration = Duration::from_secs(1);

pub(super) const SLOW_BODY: &[u8] =
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: slipway\r\nContent-Type: application/json\r\n\
    Content-Length: 10000\r\n\r\n{";
pub(super) const SLOW_HEAD: &[u8] = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: slipway\r\nX-Padding: ";

/// Keeps many connections open. Each sends `head` and then one byte at a time. A connection that the server closes is
/// reopened. With an empty `head` nothing is sent.
pub(super) fn drip(address: SocketAddr, head: &[u8], is_over: &AtomicBool) -> anyhow::Result<()> {
    let open = || -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(head)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let mut streams: Vec<_> = (0..SLOW_CONNECTIONS).map(|_| open()).collect::<Result<_, _>>()?;
    while !is_over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            let has_ended = match stream.read(&mut [0; 1_024]) {
                Ok(_) => true,
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            let is_open = !has_ended && (head.is_empty() || stream.write_all(b"x").is_ok());
            if !is_open {
                *stream = open()?;
            }
        }
        thread::sleep(DRIP);
    }
    Ok(())
}
