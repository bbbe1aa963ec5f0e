//! `slipway device listen`: receives pushes over a channel, and acknowledges them.

use std::collections::HashSet;
use std::io::Write;

use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};

use super::super::answer::{one_line, print};
use super::Identity;
use super::api::{DeviceApi, Failure, Push};
use super::events::Events;
use super::pause::Pause;
use super::polls::Polls;
use super::token::OwnToken;

/// A device that listens.
#[derive(Args)]
#[command(group(ArgGroup::new("credential").args(["token", "token_file"]).required(true).multiple(true)))]
pub(super) struct ListenArguments {
    #[command(flatten)]
    identity: Identity,

    #[command(flatten)]
    own_token: OwnToken,

    /// How pushes come.
    #[arg(long, value_enum, default_value = "events")]
    channel: ChannelName,

    /// What to say of each push, one after the other; absent: nothing, and it comes again until it expires.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATES")]
    acknowledge: Vec<Acknowledgement>,

    /// What to say beside it, for people.
    #[arg(long)]
    detail: Option<String>,

    /// Stop after so many pushes; absent: never.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// The sequence up to which the device has every push; over `events` what comes after it is sent first.
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(i64).range(0..))]
    last_event_id: Option<i64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChannelName {
    /// Server-sent events, over one connection that stays.
    Events,
    /// Long polls.
    Poll,
}

/// What a device says of a push.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Acknowledgement {
    /// It has the push.
    Received,
    /// It showed the mini-app.
    Opened,
    /// The package works.
    Applied,
    /// It does not.
    Failed,
}

/// Where pushes come from.
enum Channel<'a> {
    Events(Box<Events<'a>>),
    Poll(Polls<'a>),
}

impl Channel<'_> {
    async fn next(&mut self) -> Result<Vec<Push>, Failure> {
        match self {
            Self::Events(events) => events.next().await,
            Self::Poll(polls) => polls.next().await,
        }
    }
}

/// What became of the pushes so far.
struct Receiver<'a> {
    api: &'a DeviceApi,
    arguments: &'a ListenArguments,
    /// Pushes come again until the server has an acknowledgement, over every channel with the same id.
    seen: HashSet<String>,
    /// Pushes that need nothing more from this device.
    done: HashSet<String>,
}

/// Receives until as many pushes as were asked for are done, or the server refuses the device.
pub(super) async fn run(arguments: &ListenArguments) -> anyhow::Result<()> {
    let token = arguments.own_token.read()?;
    let token = token.context("the device has no token yet; enrol it first")?;
    let api = DeviceApi::new(&arguments.identity, token)?;
    let mut channel = match arguments.channel {
        ChannelName::Events => Channel::Events(Box::new(Events::new(&api, arguments.last_event_id))),
        ChannelName::Poll => Channel::Poll(Polls { api: &api }),
    };
    let mut receiver = Receiver {
        api: &api,
        arguments,
        seen: HashSet::new(),
        done: HashSet::new(),
    };
    let mut pause = Pause::default();
    loop {
        let outcome = match channel.next().await {
            Ok(pushes) => receiver.take_all(&pushes).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(()) => pause.reset(),
            Err(Failure::Passing { why, after }) => {
                let wait = pause.next(after);
                tell(&format!("{why}; trying again in {:.1} s", wait.as_secs_f64()))?;
                tokio::time::sleep(wait).await;
            }
            Err(Failure::Lasting(error)) => return Err(error),
        }
        if receiver.has_enough() {
            return Ok(());
        }
    }
}

impl Receiver<'_> {
    fn has_enough(&self) -> bool {
        let count = self.arguments.count;
        count.is_some_and(|count| self.done.len() as u64 >= count)
    }

    async fn take_all(&mut self, pushes: &[Push]) -> Result<(), Failure> {
        for push in pushes {
            if self.has_enough() {
                // It was not acknowledged, and so comes again.
                break;
            }
            self.take(push).await?;
        }
        Ok(())
    }

    /// A push that comes again is not handled again, but acknowledged: the last time that may have been lost.
    async fn take(&mut self, push: &Push) -> Result<(), Failure> {
        let is_new = self.seen.insert(push.id.clone());
        print(&describe(push, is_new)).map_err(Failure::Lasting)?;
        for said in &self.arguments.acknowledge {
            let detail = self.arguments.detail.as_deref();
            let counts = self.api.acknowledge(&push.id, said.name(), detail).await?;
            print(&format!("acknowledged {}  {counts}\n", push.id)).map_err(Failure::Lasting)?;
        }
        self.done.insert(push.id.clone());
        Ok(())
    }
}

impl Acknowledgement {
    const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Opened => "opened",
            Self::Applied => "applied",
            Self::Failed => "failed",
        }
    }
}

fn describe(push: &Push, is_new: bool) -> String {
    let head = format!("push {}  sequence {}", push.id, push.sequence);
    if !is_new {
        return format!("{head}  again\n");
    }
    let parts = [&push.action, &push.app_type, &push.app_id, &push.pack_url];
    let parts: Vec<_> = parts.into_iter().map(|part| one_line(part)).collect();
    format!("{head}  {}\n", parts.join("  "))
}

/// What is no push goes beside them.
fn tell(what: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr().lock(), "slipway: {what}")?;
    Ok(())
}
