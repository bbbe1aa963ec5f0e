//! `slipway device listen`: receives pushes over a channel, and acknowledges them.

use std::collections::HashSet;
use std::io::Write;

use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};

use super::super::response::{one_line, print};
use super::DeviceTarget;
use super::api::{DeviceApi, Failure, Push};
use super::events::Events;
use super::polls::Polls;
use super::token::OwnToken;
use crate::retry::RetryBackoff;

/// Arguments of `slipway device listen`.
#[derive(Args)]
#[command(group(ArgGroup::new("credential").args(["token", "token_file"]).required(true).multiple(true)))]
pub(super) struct ListenArguments {
    #[command(flatten)]
    target: DeviceTarget,

    #[command(flatten)]
    own_token: OwnToken,

    /// Channel over which to receive pushes.
    #[arg(long, value_enum, default_value = "events")]
    channel: ChannelName,

    /// States with which to acknowledge each push, in this order. A push that is not acknowledged is delivered again
    /// until it expires.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATES")]
    acknowledge: Vec<Acknowledgement>,

    /// Text to send with each acknowledgement, for people.
    #[arg(long)]
    detail: Option<String>,

    /// Number of pushes after which to stop. Default: never.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Sequence up to which the device has every push. Over the channel `events`, later pushes are sent first.
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(i64).range(0..))]
    last_event_id: Option<i64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChannelName {
    /// Server-sent events over one persistent connection.
    Events,
    /// Long polls.
    Poll,
}

/// State that the device acknowledges.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Acknowledgement {
    /// The device has received the push.
    Received,
    /// The device has shown the mini-app.
    Opened,
    /// The package works on the device.
    Applied,
    /// The package does not work on the device.
    Failed,
}

/// Source of pushes.
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

/// Progress of the pushes so far.
struct Receiver<'a> {
    api: &'a DeviceApi,
    arguments: &'a ListenArguments,
    /// Ids of received pushes. Until the server has an acknowledgement, a push is delivered again, with the same id on
    /// every channel.
    seen: HashSet<String>,
    /// Ids of pushes that need no further action of this device.
    done: HashSet<String>,
}

/// Receives until the requested number of pushes is done, or the server refuses the device.
pub(super) async fn run(arguments: &ListenArguments) -> anyhow::Result<()> {
    let token = arguments.own_token.read()?;
    let token = token.context("the device has no token yet; enrol it first")?;
    let api = DeviceApi::new(&arguments.target, token)?;
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
    let mut backoff = RetryBackoff::default();
    loop {
        let outcome = match channel.next().await {
            Ok(pushes) => receiver.take_all(&pushes).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(()) => backoff.reset(),
            Err(Failure::Temporary { reason, after }) => {
                let wait = backoff.next(after);
                tell(&format!("{reason}; trying again in {:.1} s", wait.as_secs_f64()))?;
                tokio::time::sleep(wait).await;
            }
            Err(Failure::Permanent(error)) => return Err(error),
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
                // An unacknowledged push is delivered again.
                break;
            }
            self.take(push).await?;
        }
        Ok(())
    }

    /// Prints and acknowledges a push. A repeated push is acknowledged again, because the previous acknowledgement may
    /// have been lost.
    async fn take(&mut self, push: &Push) -> Result<(), Failure> {
        let is_new = self.seen.insert(push.id.clone());
        print(&describe(push, is_new)).map_err(Failure::Permanent)?;
        for said in &self.arguments.acknowledge {
            let detail = self.arguments.detail.as_deref();
            let counts = self.api.acknowledge(&push.id, said.name(), detail).await?;
            print(&format!("acknowledged {}  {counts}\n", push.id)).map_err(Failure::Permanent)?;
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

/// Prints messages to stderr, apart from the pushes.
fn tell(what: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr().lock(), "slipway: {what}")?;
    Ok(())
}
