//! Arguments of `slipway publish`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::failure::Failure;

/// Maximum size of `--notes`: longer notes are refused by the server anyway.
const MAX_NOTES_BYTES: u64 = 64 * 1024;

/// Arguments of `slipway publish`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(group = ArgGroup::new("source").required(true).args(["files", "url"]))]
pub struct PublishCommand {
    /// Files to publish, each as PATH or IDENTIFIER=PATH. Several files are published together or not at all.
    #[arg(value_name = "FILE", value_parser = given_file)]
    pub(super) files: Vec<GivenFile>,

    /// Address of a file outside the server. It is downloaded and inspected here; devices download it from there.
    /// It must contain no user or password. A query, such as a signature, becomes part of the release but is never
    /// printed.
    // Not parsed here: clap prints invalid values, and they may contain a secret.
    #[arg(long, value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    pub(super) url: Option<String>,

    /// Base URL of the server, `http://host:port`.
    #[arg(long, env = "SLIPWAY_URL", hide_env_values = true, value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "dry_run")]
    pub(super) server: Option<String>,

    /// API token with the role publisher or above, or an access token. Prefer the environment variable: other users of
    /// the machine can see the arguments of a program, but not its environment.
    #[arg(long, env = "SLIPWAY_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "dry_run")]
    pub(super) token: Option<String>,

    /// Number of the tenant.
    #[arg(long, env = "SLIPWAY_TENANT", value_parser = clap::value_parser!(i64).range(1..))]
    pub(super) tenant: i64,

    /// Package name of the app. If absent, the identifier of the first file.
    #[arg(long, env = "SLIPWAY_APP", value_parser = NonEmptyStringValueParser::new())]
    pub(super) app: Option<String>,

    /// Identifier of the resource, for one file. If absent, the package name in the file.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) identifier: Option<String>,

    /// Version code, for those files that state none. If the only file states one, both must be equal.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub(super) version_code: Option<i64>,

    /// Version name, for one file, or for those of several that state none. If absent, the one that the file states.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) version_name: Option<String>,

    /// Text file with the release notes.
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,

    /// Percentage of the devices that are offered the releases, 0 to 100. If absent, every device.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(super) rollout: Option<f64>,

    /// Unit of the rollout: `device`, or `l1` to `l5` for all devices below an org node together.
    #[arg(long, requires = "rollout", value_parser = ["device", "l1", "l2", "l3", "l4", "l5"])]
    pub(super) unit: Option<String>,

    /// Org node that the releases apply to, as its codes from the top: HM/HM-SH. Can be given several times.
    #[arg(long = "scope", value_name = "CODE/CODE…", value_parser = scope)]
    pub(super) scopes: Vec<Value>,

    /// Create drafts, and do not publish them.
    #[arg(long)]
    pub(super) draft: bool,

    /// Print what would be sent, and send nothing.
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Number of times that a call is repeated while the server cannot be reached.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) retries: u32,

    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,

    /// Publish even if version names contradict the version codes.
    #[arg(long)]
    force: bool,

    /// Publish an APK that is signed with another key than the newest release.
    #[arg(long)]
    accept_signer_change: bool,

    /// Publish an APK that is debuggable, for tests only, or without a v2 or v3 signature.
    #[arg(long)]
    accept_unsafe_package: bool,
}

/// File of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenFile {
    pub(super) identifier: Option<String>,
    pub(super) path: PathBuf,
}

impl PublishCommand {
    /// Returns the overrides of a publication, as members of a request.
    pub(super) fn overrides(&self) -> Value {
        json!({
            "force": self.force,
            "accept_signer_change": self.accept_signer_change,
            "accept_unsafe_package": self.accept_unsafe_package,
        })
    }

    pub(super) fn read_notes(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.notes else {
            return Ok(None);
        };
        let usage = |why: String| Failure::Usage(format!("--notes {}: {why}", path.display()));
        let size = std::fs::metadata(path)
            .map_err(|why| usage(why.to_string()))?
            .len();
        if size > MAX_NOTES_BYTES {
            return Err(usage(format!("it has {size} bytes, more than {MAX_NOTES_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(|why| usage(why.to_string()))?;
        Ok(Some(text.trim_end().to_owned()))
    }
}

/// Parses PATH or IDENTIFIER=PATH. A path that exists is not split, because it may contain an equals sign.
fn given_file(text: &str) -> Result<GivenFile, String> {
    let path = PathBuf::from(text);
    if text.is_empty() {
        return Err("a file is given as PATH or IDENTIFIER=PATH".to_owned());
    }
    let named = text.split_once('=').filter(|_| !path.exists());
    match named {
        Some((identifier, path)) if !identifier.is_empty() && !path.is_empty() => Ok(GivenFile {
            identifier: Some(identifier.to_owned()),
            path: path.into(),
        }),
        Some(_) => Err("a file is given as PATH or IDENTIFIER=PATH".to_owned()),
        None => Ok(GivenFile {
            identifier: None,
            path,
        }),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent @ 0.0..=100.0) => Ok(percent),
        _ => Err("a percentage is a number from 0 to 100".to_owned()),
    }
}

/// Parses an org node, as the scope of the API.
fn scope(text: &str) -> Result<Value, String> {
    let codes: Vec<_> = text.split('/').map(str::trim).collect();
    if codes.len() > 5 || codes.iter().any(|code| code.is_empty()) {
        return Err("a scope is given as 1 to 5 codes from the top, such as HM/HM-SH".to_owned());
    }
    let levels = codes.into_iter().enumerate();
    Ok(levels
        .map(|(index, code)| (format!("l{}Code", index + 1), json!(code)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_its_levels_from_the_top() {
        assert_eq!(scope("HM/HM-SH"), Ok(json!({"l1Code": "HM", "l2Code": "HM-SH"})));
        for invalid in ["", "HM/", "/HM", "a/b/c/d/e/f"] {
            assert!(scope(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_file_may_have_an_identifier() {
        let given = |identifier: Option<&str>, path: &str| GivenFile {
            identifier: identifier.map(str::to_owned),
            path: path.into(),
        };
        assert_eq!(given_file("a.apk"), Ok(given(None, "a.apk")));
        assert_eq!(given_file("com.a.b=m.zip"), Ok(given(Some("com.a.b"), "m.zip")));
        assert!(given_file("=m.zip").is_err() && given_file("com.a.b=").is_err() && given_file("").is_err());
    }

    #[test]
    fn a_percentage_is_a_number_in_its_range() {
        assert_eq!(percent("12.5"), Ok(12.5));
        for invalid in ["-1", "100.1", "NaN", "all", ""] {
            assert!(percent(invalid).is_err(), "{invalid}");
        }
    }
}
