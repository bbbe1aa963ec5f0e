//! Downloads against nginx, and checks beside downloads.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Fixture;
use super::publish::sign_in;
use crate::artifact_files::{make, upload};
use crate::connection::Connection;
use crate::devices::allow_connections;
use crate::measure::{Contestant, Rounds, Sample, in_turn};
use crate::nginx::Nginx;
use crate::node::Node;
use crate::process::settle;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread, write};
use crate::wrk;

const MIB: f64 = 1_048_576.0;
/// As many as a node permits by default.
const DOWNLOADS: usize = 256;
const BEGUN_WITHIN: Duration = Duration::from_secs(10);

/// Files of each size from a node and from nginx, both on the server's core, in turn.
pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let files = tempfile::tempdir()?;
    let node = fixture.node_with_files()?;
    let nginx = Nginx::start(files.path())?;
    let token = sign_in(node.address)?;
    for bytes in fixture.plan.download_bytes {
        let name = format!("file-{bytes}");
        let file = make(files.path(), &name, bytes, bytes)?;
        let uploaded = upload(&node, &token, &file)?;
        let (of_node, of_nginx) = (uploaded.path, format!("/{name}"));
        let content = Connection::open(node.address)?.get(&of_node)?;
        ensure!(
            content.body == std::fs::read(&file)?,
            "a download differs from its file"
        );
        let requests = [of_node, of_nginx].map(|path| {
            (
                files
                    .path()
                    .join("requests")
                    .with_extension(path.len().to_string()),
                path,
            )
        });
        for (file, path) in &requests {
            write(file, &[get(path)])?;
        }
        let contestants = [
            Contestant::node(&node, &requests[0].0),
            Contestant {
                address: nginx.address,
                process: &nginx.process,
                requests: &requests[1].0,
            },
        ];
        let rounds = (fixture.plan.rounds, fixture.plan.load);
        let [own, nginx] = in_turn(contestants, rounds, || Ok(()))?;
        add_rows(report, bytes, (&own, &nginx));
    }
    Ok(())
}

fn add_rows(report: &mut Report, bytes: u64, (own, nginx): (&[Sample], &[Sample])) {
    let size = bytes as f64 / MIB;
    let rates = [own, nginx]
        .map(|samples| Rounds::of(samples.iter().map(|sample| sample.bytes_per_second / MIB)).median);
    let busy =
        [own, nginx].map(|samples| Rounds::of(samples.iter().map(|sample| sample.busy * 100.0)).median);
    let seen = format!(
        "{:.0} against {:.0} MiB/s; {:.0} and {:.0} % of the core used",
        rates[0], rates[1], busy[0], busy[1]
    );
    let ratio = Rounds::ratio(own, nginx, |sample| sample.bytes_per_second);
    let goal = Goal::AtLeast { must: 0.7, aim: 1.0 };
    report.figure(
        &format!("downloads of {size} MiB against nginx"),
        goal,
        (ratio, ""),
        &seen,
    );
}

/// The rate of checks beside as many downloads as a node permits, of that without.
pub(super) fn measure_beside(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    allow_connections(DOWNLOADS)?;
    let directory = tempfile::tempdir()?;
    let node = fixture.node_with_files()?;
    let token = sign_in(node.address)?;
    let [_, bytes] = fixture.plan.download_bytes;
    let file = make(directory.path(), "file", bytes, bytes)?;
    let uploaded = upload(&node, &token, &file)?;
    let downloads = directory.path().join("downloads");
    write(&downloads, &[get(&uploaded.path)])?;
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    requests.try_all(&node)?;
    node.wait_for_snapshot()?;
    settle();
    let contestant = Contestant::node(&node, &requests.path);
    let (mut alone, mut beside, mut downloaded) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..fixture.plan.rounds {
        requests.write()?;
        alone.push(Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load)?);
        settle();
        requests.write()?;
        thread::scope(|scope| {
            // The downloads begin before the checks and end after them.
            let load = fixture.plan.load + Duration::from_secs(3);
            let others = scope.spawn({
                let (address, downloads) = (node.address, &downloads);
                move || wrk::run_beside(address, downloads, DOWNLOADS, load)
            });
            wait_for_downloads(&node)?;
            beside.push(Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load)?);
            downloaded.push(others.join().expect("downloads do not panic")?.bytes_per_second() / MIB);
            anyhow::Ok(())
        })?;
        settle();
    }
    let seen = format!(
        "{:.0} against {:.0} checks/s; p99 {:.1} against {:.1} ms; {:.0} MiB/s downloaded before, beside and after",
        Rounds::rate(&beside).median,
        Rounds::rate(&alone).median,
        Rounds::p99_ms(&beside).median,
        Rounds::p99_ms(&alone).median,
        Rounds::of(downloaded).median,
    );
    let ratio = Rounds::ratio(&beside, &alone, |sample| sample.rate);
    let goal = Goal::AtLeast { must: 0.9, aim: 1.0 };
    let what = format!("rate beside {DOWNLOADS} downloads, of that without");
    report.figure(&what, goal, (ratio, ""), &seen);
    Ok(())
}

fn wait_for_downloads(node: &Node) -> anyhow::Result<()> {
    let began = Instant::now();
    while node.metric("slipway_downloads ", "")? < DOWNLOADS as f64 {
        ensure!(began.elapsed() < BEGUN_WITHIN, "the downloads did not begin");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: slipway.example\r\n\r\n").into_bytes()
}
