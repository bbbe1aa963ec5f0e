//! `slipway push`: sends a package to devices over the admin API, and shows how far it comes on each.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use super::answer::{body, one_line, post, print, text, why};
use super::server::{client, server_url};

/// How often the states are asked for.
const EVERY: Duration = Duration::from_secs(1);

/// States in which the sender need not wait: the device said something, or will not be asked any more.
const SETTLED: [&str; 6] = ["received", "opened", "applied", "failed", "expired", "withdrawn"];
/// Those of them in which the device has the push.
const ARRIVED: [&str; 3] = ["received", "opened", "applied"];

/// A push.
#[derive(Args)]
pub struct PushCommand {
    /// The server's base, `http://host:port`.
    #[arg(long, value_parser = server_url)]
    url: Url,

    /// An API token of the role publisher or above, or an access token. Other users of the machine can see a program's
    /// arguments, but not its environment.
    #[arg(long, env = "SLIPWAY_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    token: String,

    /// The tenant's number.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    tenant: i64,

    /// A device and its project, as `id@project`; may be given again.
    #[arg(long = "device", value_name = "ID@PROJECT", required = true, value_parser = device)]
    devices: Vec<(String, String)>,

    /// The id of the mini-app.
    #[arg(long)]
    app_id: String,

    /// The type of the mini-app.
    #[arg(long, default_value = "tinyApp")]
    app_type: String,

    /// Where the device gets the package.
    #[arg(long)]
    pack_url: String,

    /// Where its sources are.
    #[arg(long)]
    source_url: Option<String>,

    /// What the push is for; a `preview` is offered for a shorter time.
    #[arg(long, default_value = "preview")]
    action: String,

    /// Finds the push again; the same one with the same content within ten minutes is one push.
    #[arg(long)]
    trace_id: Option<String>,

    /// Show every change until each device has acknowledged the push, or it has expired or was withdrawn there.
    #[arg(long)]
    wait: bool,
}

/// The state of each device.
type States = BTreeMap<String, String>;

/// Sends the push and prints the states. The exit code says whether it was taken, and with `--wait` whether it arrived on
/// every device and failed on none.
pub async fn run(push: &PushCommand) -> anyhow::Result<ExitCode> {
    let client = client(&push.url)?;
    let answer = push.send(&client).await?;
    let id = answer["id"].as_str().context("the answer names no push")?;
    let path = format!("{}/{id}", push.path());
    let url = push.url.join(&path).context("the answer names no push")?;
    print(&format!("push {id}, expires {}\n", text(&answer["expires_at"])))?;
    let mut states = States::new();
    show(&mut states, &answer)?;
    while push.wait && !states.values().all(|state| SETTLED.contains(&state.as_str())) {
        tokio::time::sleep(EVERY).await;
        if let Some(answer) = push.read(&client, url.clone()).await? {
            show(&mut states, &answer)?;
        }
    }
    let has_arrived = states.values().all(|state| ARRIVED.contains(&state.as_str()));
    Ok(if has_arrived || !push.wait {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl PushCommand {
    /// Where the tenant's pushes are.
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
        let (status, answer) = post(client, (&self.url, &self.path()), &self.token, &self.body()).await?;
        if status.is_success() {
            return Ok(answer);
        }
        bail!("the push was not taken: {}", why(status, &answer))
    }

    /// The push as it is now; `None` where the server is away for a moment.
    async fn read(&self, client: &Client, url: Url) -> anyhow::Result<Option<Value>> {
        let Ok(response) = client.get(url).bearer_auth(&self.token).send().await else {
            return Ok(None);
        };
        match response.status() {
            StatusCode::OK => Ok(Some(body(response).await)),
            StatusCode::SERVICE_UNAVAILABLE => Ok(None),
            status => bail!("the push cannot be read: {}", why(status, &body(response).await)),
        }
    }
}

/// Prints the states that are new.
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

/// Reads `--device`. The last `@` divides, since an id may have one.
fn device(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('@') {
        Some((device, project)) if !device.is_empty() && !project.is_empty() => {
            Ok((device.to_owned(), project.to_owned()))
        }
        _ => Err("a device is given as ID@PROJECT".to_owned()),
    }
}
