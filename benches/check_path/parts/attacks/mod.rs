//! Checks during each attack. Attacks run in threads of the benchmark until a flag is set.

mod calls;
mod connections;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use self::connections::{SLOW_BODY, SLOW_HEAD, drip};
use super::Fixture;
use super::publish::sign_in;
use crate::measure::{Contestant, Rounds, Sample};
use crate::node::Node;
use crate::process::settle;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

/// Attack of one thread. It runs until the flag is set.
type Act<'a> = Box<dyn Fn(&AtomicBool) -> anyhow::Result<()> + Sync + 'a>;

/// An attack of several identical threads.
struct Attack<'a> {
    name: &'static str,
    threads: usize,
    act: Act<'a>,
}

/// Measures the rate of checks during each attack, relative to the rate without.
pub(super) fn measure(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let contestant = Contestant::node(node, &requests.path);
    let token = sign_in(node.address)?;
    calls::prepare(node.address, &token)?;
    settle();
    for attack in &attacks(node.address, &token) {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..fixture.plan.rounds {
            requests.write()?;
            alone.push(Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load)?);
            settle();
            requests.write()?;
            beside.push(attack.during(|| Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load))?);
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

fn attacks(address: SocketAddr, token: &str) -> Vec<Attack<'_>> {
    let slow = |name, head: &'static [u8]| Attack {
        name,
        threads: 1,
        act: Box::new(move |is_over| drip(address, head, is_over)),
    };
    vec![
        slow("bodies that arrive byte by byte", SLOW_BODY),
        slow("heads that do not end", SLOW_HEAD),
        slow("idle connections", b""),
        Attack::of_calls("a flood of logins", 32, 0, address, calls::wrong_password),
        Attack::of_calls("invalid API tokens", 8, 20, address, calls::invalid_token),
        Attack::of_calls(
            "checks with the most attributes",
            4,
            40,
            address,
            calls::check_with_many_attributes,
        ),
        Attack::of_calls(
            "batches of 50 long names",
            2,
            200,
            address,
            calls::batch_of_long_names,
        ),
        Attack::of_calls("pages of long lists", 2, 0, address, || {
            calls::page_of_long_lists(token)
        }),
        Attack::of_calls("explanations by 100,000 nodes", 4, 0, address, || {
            calls::explanation(token)
        }),
    ]
}

impl<'a> Attack<'a> {
    /// Builds an attack that repeats a call on several connections, with `pause_ms` after each answer.
    fn of_calls(
        name: &'static str,
        connections: usize,
        pause_ms: u64,
        address: SocketAddr,
        request: impl Fn() -> Vec<u8> + Sync + 'a,
    ) -> Self {
        let pause = Duration::from_millis(pause_ms);
        Self {
            name,
            threads: connections,
            act: Box::new(move |is_over| calls::repeat(address, pause, is_over, &request)),
        }
    }

    fn during<T>(&self, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let attackers: Vec<_> = (0..self.threads)
                .map(|_| scope.spawn(|| (self.act)(&is_over)))
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
