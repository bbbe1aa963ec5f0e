//! Checks beside each attack. An attack runs in threads of the benchmark until it is told that it is over.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::Stage;
use crate::connection::Connection;
use crate::measure::{Contestant, Rounds, Sample};
use crate::node::{ADMIN, Node};
use crate::process::settle;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

const LOGIN_CONNECTIONS: usize = 32;
/// Connections that are opened and kept.
const SLOW_CONNECTIONS: usize = 500;
/// Interval at which a slow connection sends its next byte.
const DRIP: Duration = Duration::from_secs(1);

/// An attack: its name, and what one thread of it does until the flag is set.
struct Attack {
    name: &'static str,
    threads: usize,
    act: fn(SocketAddr, &AtomicBool) -> anyhow::Result<()>,
}

const ATTACKS: [Attack; 4] = [
    Attack {
        name: "bodies that arrive byte by byte",
        threads: 1,
        act: |address, is_over| drip(address, SLOW_BODY, is_over),
    },
    Attack {
        name: "heads that do not end",
        threads: 1,
        act: |address, is_over| drip(address, SLOW_HEAD, is_over),
    },
    Attack {
        name: "idle connections",
        threads: 1,
        act: |address, is_over| drip(address, b"", is_over),
    },
    Attack {
        name: "a flood of logins",
        threads: LOGIN_CONNECTIONS,
        act: flood_with_logins,
    },
];

const SLOW_BODY: &[u8] =
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: slipway\r\nContent-Type: application/json\r\n\
    Content-Length: 10000\r\n\r\n{";
const SLOW_HEAD: &[u8] = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: slipway\r\nX-Padding: ";

/// The rate of checks beside each attack, of that without.
pub(super) fn measure(stage: &Stage, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = stage.requests(&stage.large, Spread::Uniform, Face::Gateway);
    let contestant = Contestant::node(node, &requests.path);
    for attack in &ATTACKS {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..stage.plan.rounds {
            requests.write()?;
            alone.push(Sample::take(contestant, wrk::CONNECTIONS, stage.plan.load)?);
            settle();
            requests.write()?;
            beside.push(attack.during(node.address, || {
                Sample::take(contestant, wrk::CONNECTIONS, stage.plan.load)
            })?);
            settle();
        }
        let seen = format!(
            "{:.0} against {:.0} checks/s; p99 {:.1} against {:.1} ms",
            Rounds::rate(&beside).median,
            Rounds::rate(&alone).median,
            Rounds::p99_ms(&beside).median,
            Rounds::p99_ms(&alone).median,
        );
        let ratio = Rounds::ratio(&beside, &alone, |sample| sample.rate);
        let goal = Goal::AtLeast { must: 0.8, aim: 1.0 };
        let name = format!("rate beside {}, of that without", attack.name);
        report.figure(&name, goal, (ratio, ""), &seen);
    }
    Ok(())
}

impl Attack {
    fn during<T>(&self, address: SocketAddr, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let attackers: Vec<_> = (0..self.threads)
                .map(|_| scope.spawn(|| (self.act)(address, &is_over)))
                .collect();
            let acted = act();
            is_over.store(true, Ordering::Relaxed);
            for attacker in attackers {
                attacker.join().expect("an attacker does not panic")?;
            }
            acted
        })
    }
}

/// Keeps many connections on which a request begins with `head` and goes on one byte at a time. What the server closes
/// is opened again. With an empty `head` nothing is sent.
fn drip(address: SocketAddr, head: &[u8], is_over: &AtomicBool) -> anyhow::Result<()> {
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

fn flood_with_logins(address: SocketAddr, is_over: &AtomicBool) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    while !is_over.load(Ordering::Relaxed) {
        let body = json!({"username": ADMIN, "password": "a wrong password"});
        let answer = connection.post("/api/v1/auth/login", None, &body)?;
        let is_expected = matches!(answer.status, 401 | 429 | 503);
        ensure!(is_expected, "a login was answered with {}", answer.status);
    }
    Ok(())
}
