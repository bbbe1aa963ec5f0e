//! `slipway device enrol`: authenticates the device, and obtains a token of its own.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::super::response::{post, print, refusal_reason, text};
use super::super::server::client;
use super::token::{self, TokenFile};
use super::{DeviceProperties, DeviceTarget};

/// Arguments of `slipway device enrol`.
#[derive(Args)]
pub(super) struct EnrolArguments {
    #[command(flatten)]
    target: DeviceTarget,

    /// Project that the device belongs to.
    #[arg(long)]
    project: String,

    #[command(flatten)]
    properties: DeviceProperties,

    /// Device key of the tenant, for a device without a token or with a one-time code. Prefer the environment variable:
    /// other users of the machine can see the arguments of a program, but not its environment.
    #[arg(long, env = "SLIPWAY_DEVICE_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    device_key: Option<String>,

    /// One-time enrolment code, for a device that has lost its token.
    #[arg(long, env = "SLIPWAY_ENROLMENT_CODE", hide_env_values = true)]
    code: Option<String>,

    /// File in which to store the token. If it already contains a token, the device enrols again with that token.
    /// Without this option, the token is printed.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Enrols the device, and stores or prints its token.
pub(super) async fn run(arguments: &EnrolArguments) -> anyhow::Result<()> {
    let proof = arguments.proof()?;
    let Some(file) = &arguments.token_file else {
        return print(&format!("{}\n", arguments.enrol(&proof).await?));
    };
    let token_file = TokenFile::prepare(file)?;
    token_file.store(&arguments.enrol(&proof).await?)?;
    let device = &arguments.target.device;
    print(&format!(
        "{device} is enrolled; its token is in {}\n",
        file.display()
    ))
}

impl EnrolArguments {
    /// Returns the credential: the device's token if it has one, otherwise the device key that all devices of the
    /// tenant share. A code requires the device key, because a device that needs a code has no valid token.
    fn proof(&self) -> anyhow::Result<String> {
        let kept = match &self.token_file {
            Some(file) if self.code.is_none() => token::read(file)?,
            _ => None,
        };
        kept.or_else(|| self.device_key.clone())
            .context("the tenant's device key is needed: --device-key or SLIPWAY_DEVICE_KEY")
    }

    async fn enrol(&self, proof: &str) -> anyhow::Result<String> {
        let DeviceTarget { url, device } = &self.target;
        let itself = json!({
            "device_id": device,
            "project_id": self.project,
            "device_type": self.properties.device_type,
            "org_info": self.properties.org_info,
            "attributes": self.properties.attributes,
            "enrolment_code": self.code,
        });
        let (status, answer) = post(&client(url)?, url, "v1/devices", proof, &itself).await?;
        match text(&answer["device_token"]) {
            token if status.is_success() && !token.is_empty() => Ok(token.to_owned()),
            _ => bail!("the device was not enrolled: {}", refusal_reason(status, &answer)),
        }
    }
}
