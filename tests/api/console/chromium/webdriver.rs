//! Client of the `WebDriver` protocol (<https://www.w3.org/TR/webdriver2/>): each command is a request with JSON.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Member of an element's JSON that contains its id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Command that failed.
#[derive(Debug)]
pub(super) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Session of a browser. The driver closes sessions that failed tests leave open.
pub(super) struct Session {
    http: Client,
    url: String,
}

/// Element of the current page.
pub(super) struct Element<'s> {
    session: &'s Session,
    id: String,
}

impl Session {
    /// Starts a browser.
    pub(super) async fn start(driver: &str, capabilities: Value) -> Self {
        let mut session = Self {
            http: Client::new(),
            url: format!("{driver}/session"),
        };
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities}});
        let started = session.post("", wanted).await.unwrap();
        let id = started["sessionId"].as_str().unwrap();
        session.url = format!("{}/{id}", session.url);
        session
    }

    /// Ends the browser.
    pub(super) async fn end(self) {
        self.call(Method::DELETE, "", None).await.unwrap();
    }

    pub(super) async fn get(&self, command: &str) -> Result<Value, Failure> {
        self.call(Method::GET, command, None).await
    }

    pub(super) async fn post(&self, command: &str, body: Value) -> Result<Value, Failure> {
        self.call(Method::POST, command, Some(body)).await
    }

    async fn call(&self, method: Method, command: &str, body: Option<Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{command}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let is_done = response.status().is_success();
        let mut answer: Value = response.json().await.unwrap();
        let value = answer["value"].take();
        if is_done {
            Ok(value)
        } else {
            Err(Failure(format!(
                "{command}: {}: {}",
                value["error"], value["message"]
            )))
        }
    }

    /// Finds the first element of a CSS selector.
    pub(super) async fn find(&self, css: &str) -> Result<Element<'_>, Failure> {
        self.find_by("css selector", css).await
    }

    /// Finds the first link with this text.
    pub(super) async fn find_link(&self, text: &str) -> Result<Element<'_>, Failure> {
        self.find_by("link text", text).await
    }

    async fn find_by(&self, using: &str, value: &str) -> Result<Element<'_>, Failure> {
        let wanted = json!({"using": using, "value": value});
        let found = self.post("/element", wanted).await?;
        Ok(Element {
            session: self,
            id: found[ELEMENT].as_str().unwrap().to_owned(),
        })
    }

    /// Sends a command of the `DevTools` protocol.
    pub(super) async fn tell(&self, command: &str, parameters: Value) -> Value {
        let command = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", command).await.unwrap()
    }

    /// Returns a PNG screenshot of the visible part of the page.
    pub(super) async fn screenshot(&self) -> Vec<u8> {
        let picture = self.get("/screenshot").await.unwrap();
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }
}

impl Element<'_> {
    async fn act(&self, action: &str, body: Value) {
        let command = format!("/element/{}/{action}", self.id);
        self.session.post(&command, body).await.unwrap();
    }

    async fn read(&self, what: &str) -> Result<Value, Failure> {
        self.session.get(&format!("/element/{}/{what}", self.id)).await
    }

    /// Clicks, and waits for the next page.
    pub(super) async fn click(&self) {
        self.act("click", json!({})).await;
    }

    /// Replaces the content of the field.
    pub(super) async fn fill(&self, text: &str) {
        self.act("clear", json!({})).await;
        self.act("value", json!({ "text": text })).await;
    }

    /// Chooses a file.
    pub(super) async fn attach(&self, file: &Path) {
        self.act("value", json!({ "text": file.to_str().unwrap() })).await;
    }

    /// Returns the visible text.
    pub(super) async fn text(&self) -> Result<String, Failure> {
        let text = self.read("text").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Returns the value of a field.
    pub(super) async fn value(&self) -> String {
        let value = self.read("property/value").await.unwrap();
        value.as_str().unwrap_or_default().to_owned()
    }
}
