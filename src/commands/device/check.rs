//! `slipway device check`: the device says what it has, and is told what is new for it.

use anyhow::{Context as _, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use serde_json::json;

use super::super::answer::{post, print, why};
use super::super::server::client;
use super::token::OwnToken;
use super::{Description, Identity};

/// A check.
#[derive(Args)]
#[command(group(ArgGroup::new("credential").args(["token", "token_file", "device_key"]).required(true).multiple(true)))]
pub(super) struct CheckArguments {
    #[command(flatten)]
    identity: Identity,

    #[command(flatten)]
    own_token: OwnToken,

    /// The tenant's device key, for a device that has no token.
    #[arg(long, env = "SLIPWAY_DEVICE_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    device_key: Option<String>,

    /// The host app.
    #[arg(long)]
    package_name: String,

    /// The installed version of the host app, 0 for none.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    version_code: i64,

    /// What else is installed, as JSON: `{"com.hema.wms.chuku":230}`.
    #[arg(long, value_name = "JSON")]
    old_versions: Option<String>,

    #[command(flatten)]
    description: Description,
}

/// Checks once and prints the answer.
pub(super) async fn run(arguments: &CheckArguments) -> anyhow::Result<()> {
    let Identity { url, device } = &arguments.identity;
    let check = json!({
        "device_id": device,
        "package_name": arguments.package_name,
        "version_code": arguments.version_code,
        "old_versions": arguments.old_versions,
        "device_type": arguments.description.device_type,
        "org_info": arguments.description.org_info,
        "attributes": arguments.description.attributes,
    });
    let credential = arguments.credential()?;
    let (status, answer) = post(&client(url)?, (url, "v1/check"), &credential, &check).await?;
    if !status.is_success() {
        bail!("the check was not answered: {}", why(status, &answer));
    }
    print(&format!("{answer:#}\n"))
}

impl CheckArguments {
    /// Either will do; with its own token a device is told how many pushes wait for it.
    fn credential(&self) -> anyhow::Result<String> {
        let own = self.own_token.read()?;
        own.or_else(|| self.device_key.clone())
            .context("the device has no token yet; enrol it first, or give the tenant's device key")
    }
}
