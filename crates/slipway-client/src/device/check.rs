//! `slipway device check`: sends what the device has installed, and prints the offers.

use anyhow::{Context as _, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use serde_json::json;

use super::super::response::{post, print, refusal_reason};
use super::super::server::client;
use super::token::OwnToken;
use super::{DeviceProperties, DeviceTarget};

/// Arguments of `slipway device check`.
#[derive(Args)]
#[command(group(ArgGroup::new("credential").args(["token", "token_file", "device_key"]).required(true).multiple(true)))]
pub(super) struct CheckArguments {
    #[command(flatten)]
    target: DeviceTarget,

    #[command(flatten)]
    own_token: OwnToken,

    /// Device key of the tenant, for a device without a token.
    #[arg(long, env = "SLIPWAY_DEVICE_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    device_key: Option<String>,

    /// Package name of the host app.
    #[arg(long)]
    package_name: String,

    /// Installed version of the host app; 0 if it is not installed.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    version_code: i64,

    /// Other installed resources, as JSON: `{"com.hema.wms.chuku":230}`.
    #[arg(long, value_name = "JSON")]
    old_versions: Option<String>,

    #[command(flatten)]
    properties: DeviceProperties,
}

/// Checks once and prints the answer.
pub(super) async fn run(arguments: &CheckArguments) -> anyhow::Result<()> {
    let DeviceTarget { url, device } = &arguments.target;
    let check = json!({
        "device_id": device,
        "package_name": arguments.package_name,
        "version_code": arguments.version_code,
        "old_versions": arguments.old_versions,
        "device_type": arguments.properties.device_type,
        "org_info": arguments.properties.org_info,
        "attributes": arguments.properties.attributes,
    });
    let credential = arguments.credential()?;
    let (status, answer) = post(&client(url)?, url, "v1/check", &credential, &check).await?;
    if !status.is_success() {
        bail!("the check was not answered: {}", refusal_reason(status, &answer));
    }
    print(&format!("{answer:#}\n"))
}

impl CheckArguments {
    /// Returns the device's own token, otherwise the device key. With its own token, the device is also told the number
    /// of pending pushes.
    fn credential(&self) -> anyhow::Result<String> {
        let own = self.own_token.read()?;
        own.or_else(|| self.device_key.clone())
            .context("the device has no token yet; enrol it first, or give the tenant's device key")
    }
}
