//! Output for people and for machines. Progress and codes appear on terminals only.

use std::io::{IsTerminal as _, Write};

use fast_qr::qr::QRBuilder;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use super::local_file::LocalFile;
use super::release::ReleasePlan;
use crate::inspect::{facts, lines};
use crate::response::{is_unprintable, json_text, one_line, printable, text};

pub(super) struct Output {
    /// Print one JSON document at the end, and nothing else.
    json: bool,
    /// Standard output is a terminal.
    is_terminal: bool,
    /// Text that is never printed.
    secret: Option<String>,
}

/// Release on the server.
pub(super) struct Published {
    pub(super) app: String,
    /// `false` if the server had it already.
    pub(super) is_new: bool,
    pub(super) release: Value,
}

impl Published {
    pub(super) fn id(&self) -> &str {
        text(&self.release["id"])
    }
}

impl Output {
    /// `secret` is a text that is never printed.
    pub(super) fn new(json: bool, secret: Option<String>) -> Self {
        Self {
            json,
            is_terminal: std::io::stdout().is_terminal(),
            secret,
        }
    }

    /// Writes text. All output goes through here: control characters of files and servers do not reach the terminal, and
    /// secrets do not reach the log of a pipeline.
    fn write(&self, mut to: impl Write, text: &str) -> std::io::Result<()> {
        let text = match &self.secret {
            Some(secret) => text.replace(secret, "").replace(&escaped(secret), ""),
            None => text.to_owned(),
        };
        let text = text.replace(|c: char| c != '\n' && is_unprintable(c), "\u{fffd}");
        to.write_all(text.as_bytes())?;
        // Flushed, so that the output appears immediately, even through a pipe.
        to.flush()
    }

    fn print(&self, text: &str) -> Result<(), Failure> {
        self.write(std::io::stdout().lock(), text)
            .map_err(|why| Failure::local(format!("standard output cannot be written: {why}")))
    }

    /// Prints a failure. Machines get the message on standard output too.
    pub(super) fn fail(&self, failure: &Failure) {
        let message = one_line(failure.message());
        // There is nothing left to do if this fails.
        let _ = self.write(std::io::stderr().lock(), &format!("slipway: {message}\n"));
        if self.json {
            let _ = self.print(&json_text(&json!({"error": message})));
        }
    }

    /// Prints a line for people.
    pub(super) fn note(&self, line: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.print(&format!("{}\n", printable(line)))
    }

    pub(super) fn show_file(&self, file: &LocalFile) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let header = format!(
            "{}\nsize: {}\nmd5: {}\nsha256: {}\n",
            printable(&file.filename),
            file.size,
            file.md5,
            file.sha256_hex()
        );
        self.print(&format!("{header}{}\n", lines(&facts(&file.facts))))
    }

    /// Prints the requests of a dry run.
    pub(super) fn show_plans(&self, plans: &[ReleasePlan<'_>]) -> Result<(), Failure> {
        let releases: Vec<_> = plans
            .iter()
            .map(|plan| json!({"app": plan.app, "release": plan.fields}))
            .collect();
        let document = json!({"dry_run": true, "releases": releases});
        self.note("nothing was sent; these releases would be created:")?;
        self.print(&json_text(&document))
    }

    pub(super) fn show_published(&self, published: &[Published]) -> Result<(), Failure> {
        if self.json {
            let releases: Vec<_> = published
                .iter()
                .map(|one| json!({"app": one.app, "is_new": one.is_new, "release": one.release}))
                .collect();
            return self.print(&json_text(&json!({"releases": releases})));
        }
        published.iter().try_for_each(|one| self.show_release(one))
    }

    fn show_release(&self, Published { is_new, release, .. }: &Published) -> Result<(), Failure> {
        let known = if *is_new { "" } else { " (it was there already)" };
        let download = text(&release["download_url"]);
        self.note(&format!(
            "{} {} ({}) is {}{known}",
            text(&release["identifier"]),
            text(&release["version_name"]),
            release["version_code"],
            text(&release["state"]),
        ))?;
        self.note(&format!("release: {}", text(&release["id"])))?;
        // A server of an earlier version does not state it.
        if let Some(targeting) = release["targeting"].as_str() {
            self.note(&format!("for: {targeting}"))?;
        }
        self.note(&format!("download: {download}"))?;
        let ignored = release["ignored"].as_array().into_iter().flatten();
        let ignored: Vec<_> = ignored.filter_map(Value::as_str).collect();
        if !ignored.is_empty() {
            self.note(&format!(
                "not changed, because the release exists: {}",
                ignored.join(", ")
            ))?;
        }
        let Some(page) = page_of(download).filter(|_| self.is_terminal) else {
            return Ok(());
        };
        self.note(&format!("page: {page}"))?;
        match QRBuilder::new(page).build() {
            Ok(code) => self.print(&format!("{}\n", code.to_str())),
            // Too long for a code; the address is enough.
            Err(_) => Ok(()),
        }
    }

    pub(super) fn progress(&self, name: &str, size: u64) -> Progress {
        if self.json || !self.is_terminal {
            return Progress(None);
        }
        let bar = ProgressBar::new(size).with_message(printable(name));
        if let Ok(style) = ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Progress(Some(bar))
    }
}

/// Returns a text as it is within a JSON string.
fn escaped(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted.trim_matches('"').to_owned()
}

/// Returns the address of the page for people, which has the key of the download.
fn page_of(download: &str) -> Option<String> {
    let (base, rest) = download.rsplit_once("/dl/")?;
    let (key, _) = rest.split_once('/')?;
    Some(format!("{base}/get/{key}"))
}

/// Progress of a transfer; shown on a terminal only.
#[derive(Clone)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    #[cfg(test)]
    pub(super) const fn hidden() -> Self {
        Self(None)
    }

    /// Shows a new attempt.
    pub(super) fn restart(&self) {
        if let Some(bar) = &self.0 {
            bar.set_position(0);
        }
    }

    pub(super) fn advance(&self, bytes: usize) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes as u64);
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, page_of};

    #[test]
    fn nothing_is_written_raw_and_no_secret_at_all() {
        let output = Output {
            json: false,
            is_terminal: false,
            secret: Some("?key=a\\b".to_owned()),
        };
        let mut written = Vec::new();
        let text = "\u{1b}[2J https://files.example/a.apk?key=a\\b\n\"a.apk?key=a\\\\b\"\u{9b}\n";
        output.write(&mut written, text).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(
            written,
            "\u{fffd}[2J https://files.example/a.apk\n\"a.apk\"\u{fffd}\n"
        );
    }

    #[test]
    fn the_page_has_the_key_of_the_download() {
        let page = page_of("https://files.example/dl/dl/abc/dl.apk");
        assert_eq!(page.as_deref(), Some("https://files.example/dl/get/abc"));
        assert_eq!(page_of("https://files.example/a.apk"), None);
    }
}
