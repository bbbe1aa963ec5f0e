//! A browser with one page open.

use std::path::Path;

use serde_json::{Value, json};
use slipway_test_support::wait::{comes_true, until};
use tempfile::TempDir;

use super::driver;
use super::webdriver::{Element, Session};
use crate::api::harness::DEADLINE;

/// Arguments of Chromium: no window, no sandbox (tests may run as root), and no background traffic.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// Width of the narrowest screen that pages are made for.
pub(super) const NARROW: u32 = 360;

pub(super) struct Tab {
    session: Session,
    server: String,
    /// Deleted with the tab.
    _profile: TempDir,
}

impl Tab {
    /// Opens a browser with an empty profile for the server at this address.
    pub(super) async fn open(server: &str) -> Self {
        let profile = TempDir::new().unwrap();
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let driver = tokio::task::spawn_blocking(driver::url).await.unwrap();
        Self {
            session: Session::start(driver, wanted).await,
            server: server.to_owned(),
            _profile: profile,
        }
    }

    /// Opens a browser and signs in.
    pub(super) async fn signed_in(server: &str, username: &str, password: &str) -> Self {
        let tab = Self::open(server).await;
        tab.sign_in("/console", username, password).await;
        tab
    }

    /// Opens a page, is redirected to the login form, and signs in.
    pub(super) async fn sign_in(&self, page: &str, username: &str, password: &str) {
        self.go(page).await;
        self.fill("#sign-in-username", username).await;
        self.fill("#sign-in-password", password).await;
        self.submit("sign-in").await;
    }

    /// Closes the browser. No script may have failed, and the pages' policy may have blocked nothing.
    pub(super) async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        self.session.end().await;
    }

    /// Opens a path of the server.
    pub(super) async fn go(&self, path: &str) {
        self.open_url(&format!("{}{path}", self.server)).await;
    }

    /// Opens any address.
    pub(super) async fn open_url(&self, url: &str) {
        self.session.post("/url", json!({ "url": url })).await.unwrap();
    }

    pub(super) async fn reload(&self) {
        self.session.post("/refresh", json!({})).await.unwrap();
    }

    /// Returns the path of the page, without its query.
    pub(super) async fn path(&self) -> String {
        let url = self.session.get("/url").await.unwrap();
        let path = url.as_str().unwrap().strip_prefix(&self.server).unwrap();
        path.split('?').next().unwrap().to_owned()
    }

    async fn element(&self, css: &str) -> Element<'_> {
        let found = self.session.find(css).await;
        found.unwrap_or_else(|failure| panic!("{css} is not on the page: {failure}"))
    }

    pub(super) async fn click(&self, css: &str) {
        self.element(css).await.click().await;
    }

    /// Clicks an element that leads to another page, and waits for that page.
    pub(super) async fn leave_by(&self, css: &str) {
        Self::leave(&self.element(css).await).await;
    }

    /// Follows the link with this text.
    pub(super) async fn follow(&self, text: &str) {
        Self::leave(&self.session.find_link(text).await.unwrap()).await;
    }

    async fn leave(element: &Element<'_>) {
        element.click().await;
        // Reading an element of a replaced page fails.
        let is_gone = async || element.text().await.is_err();
        until("the next page opens", DEADLINE, is_gone).await;
    }

    /// Replaces the content of a field.
    pub(super) async fn fill(&self, css: &str, text: &str) {
        self.element(css).await.fill(text).await;
    }

    /// Chooses a file in a field for files.
    pub(super) async fn attach(&self, css: &str, file: &Path) {
        self.element(css).await.attach(file).await;
    }

    /// Presses keys one after the other, in the focused element.
    pub(super) async fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        });
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>()});
        let actions = json!({ "actions": [keyboard] });
        self.session.post("/actions", actions).await.unwrap();
    }

    /// Chooses an option of a field by its value.
    pub(super) async fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value='{value}']")).await;
    }

    /// Opens a collapsed form.
    pub(super) async fn disclose(&self, form: &str) {
        self.click(&format!("details:has(> #{form}) > summary")).await;
    }

    /// Sends a form with its submit button.
    pub(super) async fn submit(&self, form: &str) {
        self.leave_by(&format!("#{form} .actions button")).await;
    }

    /// Returns the visible text of the first element.
    async fn text(&self, css: &str) -> String {
        self.element(css).await.text().await.unwrap()
    }

    pub(super) async fn value(&self, css: &str) -> String {
        self.element(css).await.value().await
    }

    pub(super) async fn has(&self, css: &str) -> bool {
        self.session.find(css).await.is_ok()
    }

    /// Asserts that the text of an element contains this one.
    pub(super) async fn expect(&self, css: &str, part: &str) {
        let text = self.text(css).await;
        assert!(text.contains(part), "{css} is {text:?}, without {part:?}");
    }

    /// Waits until the text of an element contains this one, without reloading the page.
    pub(super) async fn expect_soon(&self, css: &str, part: &str) {
        // The element may be replaced while its text is read.
        let is_so = async || match self.session.find(css).await {
            Ok(element) => element.text().await.is_ok_and(|text| text.contains(part)),
            Err(_) => false,
        };
        if !comes_true(DEADLINE, is_so).await {
            self.expect(css, part).await;
        }
    }

    /// Reloads the page until it has an element.
    pub(super) async fn reload_until(&self, css: &str) {
        until(css, DEADLINE, async || {
            self.reload().await;
            self.has(css).await
        })
        .await;
    }

    /// Runs a script in the page, and returns its result.
    pub(super) async fn run(&self, script: &str) -> Value {
        let script = json!({"script": script, "args": []});
        self.session.post("/execute/sync", script).await.unwrap()
    }

    /// Runs a script that passes its result to its last argument.
    pub(super) async fn run_async(&self, script: &str) -> Value {
        let script = json!({"script": script, "args": []});
        self.session.post("/execute/async", script).await.unwrap()
    }

    pub(super) async fn set_width(&self, width: u32) {
        let screen = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.session
            .tell("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    pub(super) async fn set_dark(&self, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        // Colours change at once, without a transition.
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        let media = json!({ "features": features });
        self.session.tell("Emulation.setEmulatedMedia", media).await;
    }

    pub(super) async fn set_zone(&self, zone: &str) {
        let zone = json!({ "timezoneId": zone });
        self.session.tell("Emulation.setTimezoneOverride", zone).await;
    }

    /// Sets the languages that the browser requests.
    pub(super) async fn set_languages(&self, languages: &str) {
        let agent = self.run("return navigator.userAgent").await;
        let agent = json!({"userAgent": agent, "acceptLanguage": languages});
        self.session.tell("Emulation.setUserAgentOverride", agent).await;
    }

    /// Switches the scripts of pages off. Scripts of the test still run.
    pub(super) async fn forbid_scripts(&self) {
        self.session
            .tell("Emulation.setScriptExecutionDisabled", json!({"value": true}))
            .await;
    }

    /// Disables the browser's cache.
    pub(super) async fn forbid_cache(&self) {
        self.session.tell("Network.enable", json!({})).await;
        self.session
            .tell("Network.setCacheDisabled", json!({"cacheDisabled": true}))
            .await;
    }

    /// Runs a script in each page before the page's own.
    pub(super) async fn preload(&self, script: &str) {
        let source = json!({ "source": script });
        self.session
            .tell("Page.addScriptToEvaluateOnNewDocument", source)
            .await;
    }

    /// Hides scrollbars.
    pub(super) async fn hide_scrollbars(&self) {
        self.session
            .tell("Emulation.setScrollbarsHidden", json!({"hidden": true}))
            .await;
    }

    /// Saves a screenshot of the visible part of the page.
    pub(super) async fn screenshot(&self, file: &Path) {
        std::fs::write(file, self.session.screenshot().await).unwrap();
    }

    /// Returns the errors of pages since the last call. An error status of a page does not count.
    async fn complaints(&self) -> Vec<String> {
        let log = self.session.post("/se/log", json!({"type": "browser"})).await;
        let log = log.unwrap();
        let entries = log.as_array().unwrap().iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .filter(|line| !line.contains("Failed to load resource: the server responded with"))
            .collect()
    }
}
