//! Downloads against nginx, and checks beside downloads.

use std::thread;
use std::time::Duration;

use anyhow::ensure;

use super::publish::sign_in;
use super::{Fixture, Requests, wait_until_recorded};
use crate::arguments::Downloads;
use crate::artifact_files::{make, upload};
use crate::connection::Connection;
use crate::devices::allow_connections;
use crate::download_load::DownloadLoad;
use crate::measure::{Contestant, Rounds, Sample};
use crate::nginx::Nginx;
use crate::node::Node;
use crate::process::{Process, settle};
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

const KIB: f64 = 1_024.0;
const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1_073_741_824.0;
/// Time of the load that is not counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// Number of slow clients: as many as a node permits by default.
const SLOW_CLIENTS: usize = 256;
/// Bytes per second of a slow client: 2 Mbit/s, as for a device that shares the link of a store. Together they take half
/// of a gigabit link of the node.
const CLIENT_RATE: u64 = 256 << 10;
/// Time in which the server fills its send buffers for slow clients. Until then it sends faster than they read.
const BUFFERS_FILLED_AFTER: Duration = Duration::from_secs(3);

/// Result of one round of downloads from one server.
struct Transfer {
    bytes_per_second: f64,
    /// Processor time of the server.
    cpu_s_per_gib: f64,
    /// Share of the time in which the server used its core.
    busy: f64,
}

/// Downloads files of each size from a node and from nginx, both on the server's core, in turn.
pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let files = tempfile::tempdir()?;
    let node = fixture.node_with_files()?;
    let nginx = Nginx::start(files.path())?;
    let token = sign_in(node.address)?;
    for file_bytes in fixture.plan.download_bytes {
        let name = format!("file-{file_bytes}");
        let file = make(files.path(), &name, file_bytes, file_bytes)?;
        let uploaded = upload(&node, &token, &file)?;
        let content = Connection::open(node.address)?.get(&uploaded.path)?;
        ensure!(
            content.body == std::fs::read(&file)?,
            "a download differs from its file"
        );
        let of_node = Downloads {
            address: node.address,
            path: uploaded.path,
            file_bytes,
            connections: wrk::CONNECTIONS,
            client_rate: None,
        };
        let of_nginx = Downloads {
            address: nginx.address,
            path: format!("/{name}"),
            ..of_node.clone()
        };
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for _ in 0..fixture.plan.rounds {
            own.push(Transfer::take(&node.process, &of_node, fixture.plan.load)?);
            other.push(Transfer::take(&nginx.process, &of_nginx, fixture.plan.load)?);
        }
        add_rows(report, file_bytes, (&own, &other));
    }
    Ok(())
}

impl Transfer {
    fn take(server: &Process, downloads: &Downloads, load: Duration) -> anyhow::Result<Self> {
        let mut clients = DownloadLoad::start(downloads)?;
        thread::sleep(WARM_UP);
        let (cpu_before, before) = (server.cpu_seconds()?, clients.progress()?);
        thread::sleep(load);
        let (cpu_after, after) = (server.cpu_seconds()?, clients.progress()?);
        drop(clients);
        settle();
        let used = cpu_after - cpu_before;
        Ok(Self {
            bytes_per_second: after.rate_since(&before),
            cpu_s_per_gib: used * GIB / (after.bytes - before.bytes) as f64,
            busy: used / (after.seconds - before.seconds),
        })
    }
}

fn add_rows(report: &mut Report, file_bytes: u64, (own, nginx): (&[Transfer], &[Transfer])) {
    let median = |transfers: &[Transfer], figure: fn(&Transfer) -> f64| {
        Rounds::of(transfers.iter().map(figure)).median
    };
    let what = format!("downloads of {} against nginx", written_size(file_bytes));
    let goal = Goal::AtLeast { must: 0.7, aim: 1.0 };
    let rate = |transfers| median(transfers, |transfer| transfer.bytes_per_second / MIB);
    let busy = |transfers| median(transfers, |transfer| transfer.busy * 100.0);
    let seen = format!(
        "{:.0} against {:.0} MiB/s; {:.0} and {:.0} % of the core used",
        rate(own),
        rate(nginx),
        busy(own),
        busy(nginx),
    );
    let by_rate = Rounds::ratio(own, nginx, |transfer| transfer.bytes_per_second);
    report.figure(&what, goal, (by_rate, ""), &seen);
    let cpu = |transfers| median(transfers, |transfer| transfer.cpu_s_per_gib);
    let seen = format!(
        "{:.2} against {:.2} s of processor time for a GiB",
        cpu(own),
        cpu(nginx),
    );
    let by_cpu = Rounds::ratio(nginx, own, |transfer| transfer.cpu_s_per_gib);
    report.figure(&format!("{what}, by processor time"), goal, (by_cpu, ""), &seen);
}

fn written_size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes < MIB {
        format!("{:.0} KiB", bytes / KIB)
    } else {
        format!("{:.0} MiB", bytes / MIB)
    }
}

/// Rounds of checks without and beside downloads.
#[derive(Default)]
struct BesideDownloads {
    alone: Vec<Sample>,
    beside: Vec<Sample>,
    /// Bytes per second that the clients received during the checks.
    received: Vec<f64>,
    /// Number of downloads after the checks.
    running: Vec<f64>,
}

/// Measures the rate of checks beside as many downloads as a node permits, relative to that without.
pub(super) fn measure_beside(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    allow_connections(SLOW_CLIENTS)?;
    let directory = tempfile::tempdir()?;
    let node = fixture.node_with_files()?;
    let token = sign_in(node.address)?;
    let [.., file_bytes] = fixture.plan.download_bytes;
    let file = make(directory.path(), "file", file_bytes, file_bytes)?;
    let uploaded = upload(&node, &token, &file)?;
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    requests.try_all(&node)?;
    wait_until_recorded(&node)?;
    node.wait_for_snapshot()?;
    settle();
    let downloads = Downloads {
        address: node.address,
        path: uploaded.path,
        file_bytes,
        connections: SLOW_CLIENTS,
        client_rate: Some(CLIENT_RATE),
    };
    let mut rounds = BesideDownloads::default();
    for _ in 0..fixture.plan.rounds {
        rounds.add(&node, &requests, &downloads, fixture.plan.load)?;
    }
    rounds.report(report);
    Ok(())
}

impl BesideDownloads {
    fn add(
        &mut self,
        node: &Node,
        requests: &Requests,
        downloads: &Downloads,
        load: Duration,
    ) -> anyhow::Result<()> {
        let contestant = Contestant::node(node, &requests.path);
        requests.write()?;
        self.alone.push(Sample::take(contestant, wrk::CONNECTIONS, load)?);
        settle();
        let mut clients = DownloadLoad::start(downloads)?;
        thread::sleep(BUFFERS_FILLED_AFTER);
        requests.write()?;
        let before = clients.progress()?;
        self.beside
            .push(Sample::take(contestant, wrk::CONNECTIONS, load)?);
        let after = clients.progress()?;
        self.received.push(after.rate_since(&before));
        self.running.push(node.metric("slipway_downloads ", "")?);
        drop(clients);
        settle();
        Ok(())
    }

    fn report(self, report: &mut Report) {
        let seen = format!(
            "{:.0} against {:.0} checks/s; p99 {:.1} against {:.1} ms; {:.0} clients received {:.1} MiB/s of {:.0}, which is \
             2 Mbit/s each",
            Rounds::rate(&self.beside).median,
            Rounds::rate(&self.alone).median,
            Rounds::p99_ms(&self.beside).median,
            Rounds::p99_ms(&self.alone).median,
            Rounds::of(self.running).lowest,
            Rounds::of(self.received).median / MIB,
            (CLIENT_RATE * SLOW_CLIENTS as u64) as f64 / MIB,
        );
        let ratio = Rounds::ratio(&self.beside, &self.alone, |sample| sample.rate);
        let goal = Goal::AtLeast { must: 0.9, aim: 1.0 };
        let what = format!("rate beside {SLOW_CLIENTS} downloads, of that without");
        report.figure(&what, goal, (ratio, ""), &seen);
    }
}
