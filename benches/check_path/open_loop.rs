//! Load at a constant rate, independent of the server's answers. Latency counts from the scheduled send, so a stalled
//! server does not lower the figure by receiving fewer requests.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

use crate::arguments;
use crate::connection::answer_length;
use crate::measure::percentile;
use crate::process::{GENERATOR_CORE, on_core};

const CONNECTIONS: usize = 64;
/// Time at the beginning that is not counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// Latencies from the scheduled send to the complete answer, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Latencies {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// The rate that was achieved, in requests per second.
    pub(crate) rate: f64,
}

/// Sends at `rate` from the generator's core, in a separate process.
pub(crate) fn measure(
    address: SocketAddr,
    requests: &Path,
    rate: f64,
    load: Duration,
) -> anyhow::Result<Latencies> {
    let output = on_core(GENERATOR_CORE, std::env::current_exe()?)
        .args([
            "open-loop",
            "--address",
            &address.to_string(),
            "--rate",
            &rate.to_string(),
        ])
        .args(["--seconds", &load.as_secs().max(1).to_string(), "--requests"])
        .arg(requests)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the open loop failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

struct Lane {
    stream: TcpStream,
    /// Scheduled time of the request in progress.
    due: Option<Instant>,
    received: Vec<u8>,
}

/// Runs the generator. It polls for answers without sleeping, because a wake-up would take longer than an answer.
pub(crate) fn run(load: &arguments::OpenLoop) -> anyhow::Result<()> {
    let requests = read(&load.requests)?;
    let mut poll = Poll::new()?;
    let mut lanes = open(&poll, load.address)?;
    let mut free: Vec<usize> = (0..lanes.len()).collect();
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut latencies = Vec::new();
    let interval = Duration::from_secs_f64(1.0 / load.rate);
    let began = Instant::now();
    let end = began + WARM_UP + Duration::from_secs(load.seconds);
    let (mut next_due, mut sent) = (began, 0);
    while Instant::now() < end || free.len() < lanes.len() {
        let now = Instant::now();
        while next_due <= now && next_due < end {
            waiting.push_back(next_due);
            next_due += interval;
        }
        while let Some(&lane) = free.last()
            && let Some(due) = waiting.pop_front()
        {
            free.pop();
            lanes[lane].send(due, &requests[sent % requests.len()])?;
            sent += 1;
        }
        poll.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            let lane = event.token().0;
            if let Some(due) = lanes[lane].receive()? {
                free.push(lane);
                if due >= began + WARM_UP {
                    latencies.push(due.elapsed().as_secs_f64() * 1e6);
                }
            }
        }
        ensure!(now < end + Duration::from_secs(10), "the server does not keep up");
    }
    latencies.sort_by(f64::total_cmp);
    let summary = Latencies {
        p50_us: percentile(&latencies, 50.0),
        p99_us: percentile(&latencies, 99.0),
        max_us: percentile(&latencies, 100.0),
        rate: latencies.len() as f64 / load.seconds as f64,
    };
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}

fn open(poll: &Poll, address: SocketAddr) -> anyhow::Result<Vec<Lane>> {
    (0..CONNECTIONS)
        .map(|number| {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            Ok(Lane {
                stream,
                due: None,
                received: Vec::with_capacity(16_384),
            })
        })
        .collect()
}

impl Lane {
    fn send(&mut self, due: Instant, request: &[u8]) -> anyhow::Result<()> {
        self.due = Some(due);
        // Requests are far smaller than the socket's buffer, which is empty.
        let written = self.stream.write(request)?;
        ensure!(
            written == request.len(),
            "a request did not fit into the socket's buffer"
        );
        Ok(())
    }

    /// Reads the available bytes. Returns the scheduled time of the request when its answer is complete.
    fn receive(&mut self) -> anyhow::Result<Option<Instant>> {
        let mut chunk = [0; 16_384];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => anyhow::bail!("the server closed a connection"),
                Ok(read) => self.received.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let is_whole = match answer_length(&self.received)? {
            Some(length) => {
                ensure!(length.status == 200, "answered with {}", length.status);
                self.received.len() >= length.total
            }
            None => false,
        };
        if !is_whole {
            return Ok(None);
        }
        self.received.clear();
        Ok(self.due.take())
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let line = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .context("a length has no end")?;
        let length: usize = std::str::from_utf8(&rest[..line])?.parse()?;
        requests.push(rest[line + 1..line + 1 + length].to_vec());
        rest = &rest[line + 1 + length..];
    }
    Ok(requests)
}
