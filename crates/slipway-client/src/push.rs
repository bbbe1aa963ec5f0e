//! `slipway push`: sends a package to devices over the admin API, and shows its progress on each device.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use super::response::{body, one_line, post, print, refusal_reason, text};
use super::server::{client, server_url};

/// Interval between polls of the states.
const EVERY: Duration = Duration::from_secs(1);

/// States in which the sender stops waiting: the device has acknowledged the push, or the push is no longer offered to
/// it.
const SETTLED_STATES: [&str; 6] = ["received", "opened", "applied", "failed", "expired", "withdrawn"];
/// Settled states in which the device has the push.
const ARRIVED_STATES: [&str; 3] = ["received", "opened", "applied"];

/// Arguments of `slipway push`.
#[derive(Args)]
pub struct PushCommand {
    /// Base URL of the server, `http://host:port`.
    #[arg(long, value_parser = server_url)]
    url: Url,

    /// API token with the role publisher or above, or an access token. Prefer the environment variable: other users of
    /// the machine can see the arguments of a program, but not its environment.
    #[arg(long, env = "SLIPWAY_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    token: String,

    /// Number of the tenant.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    tenant: i64,

    /// Device and its project, as `id@project`. Can be given several times.
    #[arg(long = "device", value_name = "ID@PROJECT", required = true, value_parser = device)]
    devices: Vec<(String, String)>,

    /// Id of the mini-app.
    #[arg(long)]
    app_id: String,

    /// Type of the mini-app.
    #[arg(long, default_value = "tinyApp")]
    app_type: String,

    /// URL from which the device downloads the package.
    #[arg(long)]
    pack_url: String,

    /// URL of the package's sources.
    #[arg(long)]
    source_url: Option<String>,

    /// Purpose of the push. A `preview` is offered for a shorter time than other pushes.
    #[arg(long, default_value = "preview")]
    action: String,

    /// Id by which to find the push again. Pushes with the same trace id and content within ten minutes are one push.
    #[arg(long)]
    trace_id: Option<String>,

    /// Show every state change until each device has acknowledged the push, or the push has expired or was withdrawn.
    #[arg(long)]
    wait: bool,
}

/// State of each device.
type States = BTreeMap<String, String>;

/// Sends the push and prints the states. The exit code is a success if the push was accepted. With `--wait`, the push
/// must also have arrived on every device and failed on none.
pub async fn run(push: &PushCommand) -> anyhow::Result<ExitCode> {
    let client = client(&push.url)?;
    let answer = push.send(&client).await?;
    let id = answer["id"].as_str().context("the answer contains no push id")?;
    let path = format!("{}/{id}", push.path());
    let url = push.url.join(&path).context("the answer contains no push id")?;
    print(&format!("push {id}, expires {}\n", text(&answer["expires_at"])))?;
    let mut states = States::new();
    show(&mut states, &answer)?;
    while push.wait
        && !states
            .values()
            .all(|state| SETTLED_STATES.contains(&state.as_str()))
    {
        tokio::time::sleep(EVERY).await;
        if let Some(answer) = push.read(&client, url.clone()).await? {
            show(&mut states, &answer)?;
        }
    }
    let has_arrived = states
        .values()
        .all(|state| ARRIVED_STATES.contains(&state.as_str()));
    Ok(if has_arrived || !push.wait {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl PushCommand {
    /// Returns the path of the tenant's pushes.
    fn path(&self) -> String {
        format!("api/v1/tenants/{}/pushes", self.tenant)
    }

    fn body(&self) -> Value {
        let target =
            |(device, project): &(String, String)| json!({"hardware_id": device, "project_id": project});
        let info = json!({"pack_url": self.pack_url, "app_type": self.app_type, "app_id": self.app_id});
        json!({
            "target_info": self.devices.iter().map(target).collect::<Vec<_>>(),
            "package_push_info": info,
            "action": self.action,
            "trace_id": self.trace_id,
            "source_url": self.source_url,
        })
    }

    async fn send(&self, client: &Client) -> anyhow::Result<Value> {
        let (status, answer) = post(client, &self.url, &self.path(), &self.token, &self.body()).await?;
        if status.is_success() {
            return Ok(answer);
        }
        bail!("the push was not accepted: {}", refusal_reason(status, &answer))
    }

    /// Returns the current push; `None` if the server is temporarily unavailable.
    async fn read(&self, client: &Client, url: Url) -> anyhow::Result<Option<Value>> {
        let Ok(response) = client.get(url).bearer_auth(&self.token).send().await else {
            return Ok(None);
        };
        match response.status() {
            StatusCode::OK => Ok(Some(body(response).await)),
            StatusCode::SERVICE_UNAVAILABLE => Ok(None),
            status => bail!(
                "the push cannot be read: {}",
                refusal_reason(status, &body(response).await)
            ),
        }
    }
}

/// Prints the states that have changed.
fn show(states: &mut States, push: &Value) -> anyhow::Result<()> {
    for target in push["targets"].as_array().into_iter().flatten() {
        let (device, state) = (text(&target["device_id"]), text(&target["state"]));
        if states.insert(device.to_owned(), state.to_owned()).as_deref() == Some(state) {
            continue;
        }
        let mut line = format!("{}  {device}  {state}", text(&target["changed_at"]));
        for member in ["channel", "detail"] {
            if let Some(more) = target[member].as_str() {
                line = format!("{line}  {}", one_line(more));
            }
        }
        print(&(line + "\n"))?;
    }
    Ok(())
}

/// Parses `--device`. The last `@` is the separator, because an id may contain one.
fn device(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('@') {
        Some((device, project)) if !device.is_empty() && !project.is_empty() => {
            Ok((device.to_owned(), project.to_owned()))
        }
        _ => Err("a device is given as ID@PROJECT".to_owned()),
    }
}
