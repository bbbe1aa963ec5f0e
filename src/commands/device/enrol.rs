//! `slipway device enrol`: the device proves itself, and gets a token that it alone has.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::super::answer::{post, print, text, why};
use super::super::server::client;
use super::token::{self, TokenPlace};
use super::{Description, Identity};

/// An enrolment.
#[derive(Args)]
pub(super) struct EnrolArguments {
    #[command(flatten)]
    identity: Identity,

    /// The project that the device belongs to.
    #[arg(long)]
    project: String,

    #[command(flatten)]
    description: Description,

    /// The tenant's device key: for a device that has no token, or has a code. Other users of the machine can see a
    /// program's arguments, but not its environment.
    #[arg(long, env = "SLIPWAY_DEVICE_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    device_key: Option<String>,

    /// A one-time code, for a device that has lost its token.
    #[arg(long, env = "SLIPWAY_ENROLMENT_CODE", hide_env_values = true)]
    code: Option<String>,

    /// Where to keep the token; a device that has one there enrols again with it. Absent: the token is printed.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Enrols the device and keeps or prints its token.
pub(super) async fn run(arguments: &EnrolArguments) -> anyhow::Result<()> {
    let proof = arguments.proof()?;
    let Some(file) = &arguments.token_file else {
        return print(&format!("{}\n", arguments.enrol(&proof).await?));
    };
    let place = TokenPlace::prepare(file)?;
    place.keep(&arguments.enrol(&proof).await?)?;
    let device = &arguments.identity.device;
    print(&format!(
        "{device} is enrolled; its token is in {}\n",
        file.display()
    ))
}

impl EnrolArguments {
    /// What the device shows: its token where it has one, else the key that all devices of the tenant share. A code goes
    /// with that key, since whoever needs one has no token that is good.
    fn proof(&self) -> anyhow::Result<String> {
        let kept = match &self.token_file {
            Some(file) if self.code.is_none() => token::read(file)?,
            _ => None,
        };
        kept.or_else(|| self.device_key.clone())
            .context("the tenant's device key is needed: --device-key or SLIPWAY_DEVICE_KEY")
    }

    async fn enrol(&self, proof: &str) -> anyhow::Result<String> {
        let Identity { url, device } = &self.identity;
        let itself = json!({
            "device_id": device,
            "project_id": self.project,
            "device_type": self.description.device_type,
            "org_info": self.description.org_info,
            "attributes": self.description.attributes,
            "enrolment_code": self.code,
        });
        let (status, answer) = post(&client(url)?, (url, "v1/devices"), proof, &itself).await?;
        match text(&answer["device_token"]) {
            token if status.is_success() && !token.is_empty() => Ok(token.to_owned()),
            _ => bail!("the device was not enrolled: {}", why(status, &answer)),
        }
    }
}
