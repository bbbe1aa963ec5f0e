//! `slipway admin`: manages platform administrators, for anyone who can read the installation's settings.

use std::io::{BufRead as _, Read as _};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::secrets::{new_password, parse_password};
use crate::services::administrators;
use crate::storage::{Db, Durability};
use slipway_domain::access::User;
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

/// Longer than any password, so that an endless line does not exhaust memory.
const MAX_LINE: u64 = 4_096;

#[derive(Subcommand)]
pub enum AdminCommand {
    /// Create an administrator.
    Create(Box<WithPassword>),
    /// Set a new password and end the person's sessions.
    ResetPassword(Box<WithPassword>),
    /// List the administrators.
    List(Box<Config>),
    /// Disable an administrator and end their sessions. The last enabled administrator cannot be disabled.
    Disable(Box<Named>),
    /// Enable an administrator again.
    Enable(Box<Named>),
}

#[derive(Args)]
pub struct Named {
    /// Name of the administrator; also accepted as --username.
    #[arg(
        id = "administrator",
        value_name = "USERNAME",
        required_unless_present = "administrator_by_flag"
    )]
    name: Option<String>,
    #[arg(
        id = "administrator_by_flag",
        long = "username",
        value_name = "USERNAME",
        hide = true,
        conflicts_with = "administrator"
    )]
    name_by_flag: Option<String>,
    #[command(flatten)]
    config: Config,
}

/// Command that sets a password. The password is never an argument, because other users of the machine could read it.
/// It comes from standard input, or from `SLIPWAY_ADMIN_PASSWORD`, or is generated and printed once.
#[derive(Args)]
pub struct WithPassword {
    #[command(flatten)]
    named: Named,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

/// Runs the command and prints its results to `out`.
pub async fn run(
    command: AdminCommand,
    clock: &dyn Clock,
    out: &mut (dyn std::io::Write + Send),
) -> anyhow::Result<()> {
    match command {
        AdminCommand::Create(arguments) => {
            let (db, username) = arguments.named.open().await?;
            let password = arguments.password()?;
            let made = administrators::create(&db, username, password.text.clone(), clock.now()).await?;
            report(out, &made, "created", &password)
        }
        AdminCommand::ResetPassword(arguments) => {
            let (db, username) = arguments.named.open().await?;
            let password = arguments.password()?;
            let changed =
                administrators::reset_password(&db, &username, password.text.clone(), clock.now()).await?;
            report(
                out,
                &changed,
                "has a new password; their sessions have ended",
                &password,
            )?;
            if !changed.value.enabled {
                writeln!(
                    out,
                    "{} is disabled: `slipway admin enable {0}`",
                    changed.value.username
                )?;
            }
            Ok(())
        }
        AdminCommand::List(config) => list(&open(&config).await?, out).await,
        AdminCommand::Disable(named) => set_enabled(&named, false, clock, out).await,
        AdminCommand::Enable(named) => set_enabled(&named, true, clock, out).await,
    }
}

async fn open(config: &Config) -> anyhow::Result<Db> {
    app::open_existing_database(config, Durability::Full).await
}

impl Named {
    async fn open(&self) -> anyhow::Result<(Db, Username)> {
        let name = self.name.as_ref().or(self.name_by_flag.as_ref());
        let name = name.context("give the administrator's name")?.to_lowercase();
        let username = Username::parse(name).map_err(|error| anyhow::anyhow!("the username {error}"))?;
        Ok((open(&self.config).await?, username))
    }
}

struct NewPassword {
    text: String,
    is_generated: bool,
}

impl WithPassword {
    fn password(&self) -> anyhow::Result<NewPassword> {
        let given = if self.password_stdin {
            Some(read_line()?)
        } else {
            self.named.config.admin_password.clone()
        };
        let Some(text) = given else {
            return Ok(NewPassword {
                text: new_password(),
                is_generated: true,
            });
        };
        if let Err(error) = parse_password(&text) {
            bail!("the password {error}");
        }
        Ok(NewPassword {
            text,
            is_generated: false,
        })
    }
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_LINE)
        .read_line(&mut line)
        .context("the password cannot be read from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn report(
    out: &mut dyn std::io::Write,
    administrator: &Versioned<User>,
    what: &str,
    password: &NewPassword,
) -> anyhow::Result<()> {
    writeln!(out, "{}: {what}", administrator.value.username)?;
    if password.is_generated {
        writeln!(out, "password: {} (shown only now)", password.text)?;
    }
    Ok(())
}

async fn list(db: &Db, out: &mut dyn std::io::Write) -> anyhow::Result<()> {
    for stored in administrators::list(db).await? {
        let state = if stored.value.enabled {
            "enabled"
        } else {
            "disabled"
        };
        let created_at = stored.created_at.format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(out, "{}\t{state}\tcreated {created_at}", stored.value.username)?;
    }
    Ok(())
}

async fn set_enabled(
    named: &Named,
    enabled: bool,
    clock: &dyn Clock,
    out: &mut (dyn std::io::Write + Send),
) -> anyhow::Result<()> {
    let (db, username) = named.open().await?;
    administrators::set_enabled(&db, &username, enabled, clock.now()).await?;
    let what = if enabled {
        "enabled"
    } else {
        "disabled; their sessions have ended"
    };
    Ok(writeln!(out, "{username}: {what}")?)
}
