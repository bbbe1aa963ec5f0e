//! One round: writers write, a component fails and recovers, and then every node must serve the correct state.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::history::Pair;
use super::installation::Installation;
use super::node::Node;
use super::writer::{Orders, Writer};
use slipway_test_support::cluster::Cluster;
use slipway_test_support::proxy::Mode;
use slipway_test_support::wait::until;

/// Time after the end of a fault within which every node must serve the state of the database.
const CONVERGE_WITHIN: Duration = Duration::from_secs(15);
const WRITERS_END_WITHIN: Duration = Duration::from_secs(90);
/// Minimum number of commits that a standby misses.
const MISSED_COMMITS: i64 = 8;
/// Time limit for refusing a write without the database.
const REFUSE_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing fails; commits are slow and frequent.
    None,
    /// A node's connections to the database are cut, and new ones refused.
    Cut,
    /// A node's connections to the database are half open.
    Silence,
    /// The database is killed and restarted.
    Crash,
    /// The database is killed, and a standby that has missed commits is promoted.
    FailOver,
    /// A node is stopped with `SIGSTOP`, as on a hanging machine, and then continues.
    Stop,
    /// A node is killed and restarted.
    Kill,
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::None,
        Self::Cut,
        Self::Silence,
        Self::Crash,
        Self::FailOver,
        Self::Stop,
        Self::Kill,
    ];
}

pub(super) struct Runner {
    installation: Arc<Installation>,
    cluster: Cluster,
    rng: fastrand::Rng,
    rounds: u32,
    acknowledged: u64,
    refused: u64,
    unanswered: u64,
    lost: usize,
}

/// The writers of a round.
struct Writers {
    orders: Arc<Orders>,
    tasks: JoinSet<(i64, Option<Pair>)>,
}

impl Runner {
    pub(super) fn new(installation: Arc<Installation>, cluster: Cluster, rng: fastrand::Rng) -> Self {
        Self {
            installation,
            cluster,
            rng,
            rounds: 0,
            acknowledged: 0,
            refused: 0,
            unanswered: 0,
            lost: 0,
        }
    }

    pub(super) fn shuffled(&mut self, mut faults: [Fault; 7]) -> [Fault; 7] {
        self.rng.shuffle(&mut faults);
        faults
    }

    pub(super) fn has_no_failures(&self) -> bool {
        self.installation.has_no_failures()
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} rounds; {} checks compared, {} not; writes: {} acknowledged, {} refused, {} not answered; \
             {} commits lost in failovers",
            self.rounds,
            self.installation.verified.load(Ordering::Relaxed),
            self.installation.unverified.load(Ordering::Relaxed),
            self.acknowledged,
            self.refused,
            self.unanswered,
            self.lost,
        )
    }

    pub(super) async fn round(&mut self, fault: Fault) {
        self.rounds += 1;
        let pace = [0, 10, 60][self.rng.usize(..3)];
        let pace = if fault == Fault::None { 100 } else { pace };
        self.installation.log(&format!(
            "round {}: {fault:?}, commits take up to {pace} ms",
            self.rounds
        ));
        self.installation
            .history
            .slow_commits_down(Duration::from_millis(pace))
            .await;
        if fault == Fault::FailOver {
            self.cluster.add_standby().await;
        }
        let writers = self.set_to_work();
        self.a_while().await;
        let written = match fault {
            Fault::FailOver => {
                self.fail_over(writers).await;
                None
            }
            fault => {
                self.break_and_mend(fault).await;
                self.a_while().await;
                self.bring_home(writers, false).await
            }
        };
        self.settle(written).await;
    }

    fn set_to_work(&mut self) -> Writers {
        let orders = Arc::new(Orders::default());
        let mut tasks = JoinSet::new();
        for (index, tenant) in self.installation.tenants.iter().enumerate() {
            let (id, rng) = (tenant.id, self.rng.fork());
            let writer = Writer {
                installation: self.installation.clone(),
                index,
                orders: orders.clone(),
                rng,
            };
            tasks.spawn(async move { (id, writer.work().await) });
        }
        Writers { orders, tasks }
    }

    /// Lets the current condition last for a random time.
    async fn a_while(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(300..1_500))).await;
    }

    async fn break_and_mend(&mut self, fault: Fault) {
        let node = self
            .rng
            .choice(&self.installation.nodes)
            .expect("there are nodes")
            .clone();
        self.installation
            .log(&format!("{fault:?} begins, for node {} if for one", node.number));
        match fault {
            Fault::None | Fault::FailOver => self.a_while().await,
            Fault::Cut => self.without_database(&node, Mode::Refuse).await,
            Fault::Silence => self.without_database(&node, Mode::Silent).await,
            Fault::Crash => {
                self.cluster.crash();
                self.a_while().await;
                self.cluster.restart().await;
            }
            Fault::Stop => {
                node.signal("STOP");
                self.a_while().await;
                node.signal("CONT");
            }
            Fault::Kill => {
                node.kill();
                self.a_while().await;
                node.start_again().await;
            }
        }
        self.installation.log(&format!("{fault:?} ends"));
    }

    /// Runs a node without its database. Its checks continue and are compared, and a write must be refused.
    async fn without_database(&mut self, node: &Node, mode: Mode) {
        node.proxy.set(mode);
        self.a_while().await;
        let tenant = &self.installation.tenants[0];
        let path = format!("/api/v1/tenants/{}/org-directory", tenant.id);
        let write = json!({"nodes": []});
        let token = Some(tenant.token.as_str());
        match node.call(Method::PUT, &path, token, &write, REFUSE_WITHIN).await {
            Ok(answer) if answer.status == 503 => {
                self.installation
                    .log(&format!("a write was refused after {:?}", answer.took));
            }
            Ok(answer) => self
                .installation
                .report(format!("without database: {} {}", answer.status, answer.body)),
            Err(why) => self
                .installation
                .report(format!("without database a write is not refused: {why:?}")),
        }
        self.a_while().await;
        node.proxy.set(Mode::Open);
    }

    /// Stops the writers. Returns the last pair of each tenant.
    async fn bring_home(&mut self, mut writers: Writers, give_up: bool) -> Option<Vec<(i64, Option<Pair>)>> {
        writers.orders.stop.store(true, Ordering::Relaxed);
        writers.orders.give_up.store(give_up, Ordering::Relaxed);
        let all = async {
            let mut written = Vec::new();
            while let Some(task) = writers.tasks.join_next().await {
                written.push(task.unwrap());
            }
            written
        };
        let written = tokio::time::timeout(WRITERS_END_WITHIN, all).await;
        let orders = &writers.orders;
        self.acknowledged += orders.acknowledged.load(Ordering::Relaxed);
        self.refused += orders.refused.load(Ordering::Relaxed);
        self.unanswered += orders.unanswered.load(Ordering::Relaxed);
        if written.is_err() {
            self.installation.report(format!(
                "within {WRITERS_END_WITHIN:?} some writes are not acknowledged"
            ));
        }
        written.ok()
    }

    async fn fail_over(&mut self, writers: Writers) {
        let history = &self.installation.history;
        let before = history.commit_count().await;
        self.cluster.leave_standby_behind();
        self.installation.log("the standby is left behind");
        until("the standby misses commits", Duration::from_mins(1), async || {
            self.installation.history.commit_count().await >= before + MISSED_COMMITS
        })
        .await;
        self.set_proxies(Mode::Refuse);
        self.bring_home(writers, true).await;
        self.installation.history.is_left_alone().await;
        self.installation.history.learn_all().await;
        self.installation
            .log("the primary is killed, the standby promoted");
        self.cluster.fail_over().await;
        let lost = self.installation.history.fail_over(self.cluster.pool()).await;
        self.installation.log(&format!("{lost} commits are lost"));
        assert!(lost > 0, "the standby has missed commits");
        self.lost += lost;
        self.set_proxies(Mode::Open);
    }

    fn set_proxies(&self, mode: Mode) {
        for node in &self.installation.nodes {
            node.proxy.set(mode);
        }
    }

    /// Checks the recovery: every node serves the state of the database, which is the state that the writers left.
    async fn settle(&mut self, written: Option<Vec<(i64, Option<Pair>)>>) {
        self.installation.log("settles");
        let installation = &self.installation;
        installation.history.slow_commits_down(Duration::ZERO).await;
        installation.converge(CONVERGE_WITHIN).await;
        let current = installation.history.current().await;
        for (tenant, pair) in written.unwrap_or_default() {
            if pair.as_ref() != current.get(&tenant) {
                let now = current.get(&tenant);
                installation.report(format!("tenant {tenant} was left at {pair:?} and is at {now:?}"));
            }
        }
        for (tenant, count, highest) in installation.history.gaps().await {
            installation.report(format!(
                "tenant {tenant} has {count} commits up to revision {highest}"
            ));
        }
        installation.catch_up_with_verifying().await;
        for node in &installation.nodes {
            node.drop_floors();
        }
        installation.history.forget();
    }
}
