//! Output for people and for machines. Progress and codes appear on terminals only.

use std::io::{IsTerminal as _, Write as _};

use fast_qr::qr::QRBuilder;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use super::local_file::LocalFile;
use super::release::ReleasePlan;
use crate::inspect::{facts, lines};
use crate::response::{one_line, print, text};

pub(super) struct Output {
    /// Print one JSON document at the end, and nothing else.
    json: bool,
    /// Standard output is a terminal.
    is_terminal: bool,
}

/// Release on the server.
pub(super) struct Published {
    pub(super) app: String,
    /// `false` if the server had it already.
    pub(super) is_new: bool,
    pub(super) release: Value,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            is_terminal: std::io::stdout().is_terminal(),
        }
    }

    /// Prints a failure. Machines get the message on standard output too.
    pub(super) fn fail(&self, failure: &Failure) {
        let message = one_line(failure.message());
        // There is nothing left to do if this fails.
        let _ = writeln!(std::io::stderr().lock(), "slipway: {message}");
        if self.json {
            let _ = print(&format!("{:#}\n", json!({"error": message})));
        }
    }

    /// Prints a line for people.
    pub(super) fn note(&self, line: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        print(&format!("{line}\n")).map_err(Failure::local)
    }

    pub(super) fn show_file(&self, file: &LocalFile) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let header = format!(
            "{}\nsize: {}\nmd5: {}\nsha256: {}\n",
            one_line(&file.filename),
            file.size,
            file.md5,
            file.sha256_hex()
        );
        print(&format!("{header}{}\n", lines(&facts(&file.facts)))).map_err(Failure::local)
    }

    /// Prints the requests of a dry run.
    pub(super) fn show_plans(&self, plans: &[ReleasePlan<'_>]) -> Result<(), Failure> {
        let releases: Vec<_> = plans
            .iter()
            .map(|plan| json!({"app": plan.app, "release": plan.fields}))
            .collect();
        let document = json!({"dry_run": true, "releases": releases});
        self.note("nothing was sent; these releases would be created:")?;
        print(&format!("{document:#}\n")).map_err(Failure::local)
    }

    pub(super) fn show_published(&self, published: &[Published]) -> Result<(), Failure> {
        if self.json {
            let releases: Vec<_> = published
                .iter()
                .map(|one| json!({"app": one.app, "is_new": one.is_new, "release": one.release}))
                .collect();
            return print(&format!("{:#}\n", json!({"releases": releases}))).map_err(Failure::local);
        }
        published.iter().try_for_each(|one| self.show_release(one))
    }

    fn show_release(&self, Published { is_new, release, .. }: &Published) -> Result<(), Failure> {
        let known = if *is_new { "" } else { " (it was there already)" };
        let download = text(&release["download_url"]);
        self.note(&format!(
            "{} {} ({}) is {}{known}\nrelease: {}\ndownload: {download}",
            text(&release["identifier"]),
            text(&release["version_name"]),
            release["version_code"],
            text(&release["state"]),
            text(&release["id"]),
        ))?;
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
            Ok(code) => self.note(&code.to_str()),
            // Too long for a code; the address is enough.
            Err(_) => Ok(()),
        }
    }

    pub(super) fn progress(&self, name: &str, size: u64) -> Progress {
        if self.json || !self.is_terminal {
            return Progress(None);
        }
        let bar = ProgressBar::new(size).with_message(one_line(name));
        if let Ok(style) = ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Progress(Some(bar))
    }
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
    use super::page_of;

    #[test]
    fn the_page_has_the_key_of_the_download() {
        let page = page_of("https://files.example/dl/dl/abc/dl.apk");
        assert_eq!(page.as_deref(), Some("https://files.example/dl/get/abc"));
        assert_eq!(page_of("https://files.example/a.apk"), None);
    }
}
