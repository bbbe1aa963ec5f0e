//! Parts of the benchmark, in order.

mod attacks;
mod downloads;
mod growth;
mod heavy_load;
mod latency;
mod publish;
mod publish_rate;
mod pushes;
mod resolver;
mod start;
mod statements;
mod streams;
mod throughput;
mod uploads;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tempfile::TempDir;

use crate::arguments::{Arguments, Part, Plan};
use crate::bulk_data::Catalog;
use crate::install::install_missing;
use crate::node::{Node, Setup};
use crate::postgres::Postgres;
use crate::process::settle;
use crate::report::Report;
use crate::requests::{Answers, Face, Questions, Spread, write};

/// Number of releases in the small catalog.
const FEW_RELEASES: u32 = 1_000;

/// Time limit for recording all devices.
const RECORDED_WITHIN: Duration = Duration::from_mins(5);

/// Shared state of all parts.
struct Fixture {
    plan: Plan,
    postgres: Postgres,
    large: Catalog,
    /// Directory of the request files.
    directory: TempDir,
}

/// A kind of requests for one server. They are written anew before each round, because signatures contain the time.
struct Requests {
    questions: Questions,
    face: Face,
    path: PathBuf,
}

impl Requests {
    fn write(&self) -> anyhow::Result<()> {
        write(&self.path, &self.questions.requests(self.face)?)
    }

    fn try_all(&self, node: &Node) -> anyhow::Result<Answers> {
        self.questions.try_all(node, self.face)
    }
}

impl Fixture {
    fn new(plan: Plan) -> anyhow::Result<Self> {
        let postgres = Postgres::start()?;
        Ok(Self {
            plan,
            large: Catalog::make(&postgres, "large", plan.releases)?,
            postgres,
            directory: tempfile::tempdir()?,
        })
    }

    /// Starts a node on the server's core with the files of this catalog. A database accepts one store.
    fn node_with_files(&self) -> anyhow::Result<Node> {
        let files = self.directory.path().join("artifacts");
        std::fs::create_dir_all(&files)?;
        Node::start(Setup {
            database_url: &self.large.url,
            on_one_core: true,
            settings: &[("SLIPWAY_ARTIFACTS_URL", &format!("file://{}", files.display()))],
            ..Setup::default()
        })
    }

    fn requests(&self, catalog: &Catalog, spread: Spread, face: Face) -> Requests {
        let name = format!("{}-{spread:?}-{face:?}", catalog.name);
        Requests {
            questions: Questions::new(catalog, spread, self.plan.requests),
            face,
            path: self.directory.path().join(name),
        }
    }
}

/// Measures the selected parts and prints the table.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    install_missing()?;
    let plan = arguments.plan();
    let mut report = Report::default();
    if arguments.measures(Part::Resolver) {
        resolver::measure(plan, &mut report);
    }
    let beyond_resolver =
        arguments.only.is_empty() || arguments.only.iter().any(|part| *part != Part::Resolver);
    if beyond_resolver {
        let fixture = Fixture::new(plan)?;
        measure_starts(arguments, &fixture, &mut report)?;
        measure_checks(arguments, &fixture, &mut report)?;
        if arguments.measures(Part::Streams) {
            streams::measure(&fixture, &mut report)?;
        }
        if arguments.measures(Part::Pushes) {
            pushes::measure(&fixture, &mut report)?;
        }
        if arguments.measures(Part::Uploads) {
            uploads::measure(&fixture, &mut report)?;
        }
        if arguments.measures(Part::Downloads) {
            downloads::measure(&fixture, &mut report)?;
        }
        if arguments.measures(Part::DownloadsBeside) {
            downloads::measure_beside(&fixture, &mut report)?;
        }
        if arguments.measures(Part::Superseded) {
            growth::measure_memory(&fixture, &mut report)?;
        }
        if arguments.measures(Part::Growth) {
            growth::measure(&fixture, &mut report)?;
        }
        // Runs last, because it changes the catalog.
        if arguments.measures(Part::Publish) {
            publish::measure(&fixture, &mut report)?;
        }
    }
    report.print(&format!(
        "At {} releases, {} tenants:",
        plan.releases,
        plan.releases / 100
    ));
    Ok(())
}

fn measure_starts(arguments: &Arguments, fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    if arguments.measures(Part::Memory) {
        start::measure_memory(fixture, report)?;
    }
    if arguments.measures(Part::Start) {
        start::measure_start(fixture, report)?;
    }
    if arguments.measures(Part::Snapshot) {
        start::measure_snapshot(fixture, report)?;
    }
    Ok(())
}

/// Measures all parts that need one node on one core.
fn measure_checks(arguments: &Arguments, fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    type Measure = fn(&Fixture, &Node, &mut Report) -> anyhow::Result<()>;
    let all: [(Part, Measure); 10] = [
        (Part::Gateway, throughput::measure_gateway),
        (Part::Native, throughput::measure_native),
        (Part::Query, throughput::measure_query),
        (Part::Sizes, throughput::measure_sizes),
        (Part::Latency, latency::measure),
        (Part::Statements, statements::measure),
        (Part::Overload, heavy_load::measure_overload),
        (Part::Costly, heavy_load::measure_costly),
        (Part::Attacks, attacks::measure),
        (Part::PublishRate, publish_rate::measure),
    ];
    let wanted: Vec<_> = all.iter().filter(|(part, _)| arguments.measures(*part)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let node = Node::on_one_core(&fixture.large.url)?;
    come_to_rest(fixture, &node, report)?;
    for (part, measure) in wanted {
        eprintln!("measuring {part:?}");
        measure(fixture, &node, report)?;
    }
    Ok(())
}

/// Waits for the work that follows a start, which is not measured: records of devices seen for the first time, plans
/// for tables that were empty before, and the first snapshot.
fn come_to_rest(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    eprintln!("waiting until the node has come to rest");
    let first_checks = Instant::now();
    for spread in [Spread::Uniform, Spread::Skewed] {
        fixture
            .requests(&fixture.large, spread, Face::Gateway)
            .try_all(node)?;
    }
    wait_until_recorded(node)?;
    let written = node.metric("slipway_device_records_written_total", "")?;
    let dropped = node.metric("slipway_device_records_dropped_total", "")?;
    report.note(format!(
        "Records of {written:.0} checks of new devices were written at {:.0} a second ({dropped:.0} dropped); one \
         connection sent the checks.",
        written / first_checks.elapsed().as_secs_f64()
    ));
    node.wait_for_snapshot()?;
    fixture.postgres.execute(&fixture.large.name, "VACUUM ANALYZE")?;
    settle();
    Ok(())
}

fn wait_until_recorded(node: &Node) -> anyhow::Result<()> {
    let began = Instant::now();
    while node.metric("slipway_device_records_queued", "")? > 0.0 {
        ensure!(began.elapsed() < RECORDED_WITHIN, "the devices were not recorded");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
