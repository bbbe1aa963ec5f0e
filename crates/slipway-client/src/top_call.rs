//! `slipway top-call`: signs and sends one gateway call, and shows the request, the signed text and the answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{Args, Command};
use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode, Url};
use serde_json::{Map, Value};
use slipway_gateway::sign::{SignMethod, canonical_text};
use slipway_gateway::timestamp::format_utc8;

use super::server::client;

/// Path of the gateway on a server.
const PATH: &str = "/router/rest";
const VERSION: &str = "2.0";

/// Parameters that this command sets itself, and their sources.
const RESERVED_PARAMETERS: [(&str, &str); 8] = [
    ("app_key", "it is set by --app-key"),
    ("format", "it is set by --format"),
    ("method", "it is the first argument, METHOD"),
    ("sign", "it is made with --app-secret"),
    ("sign_method", "it is set by --sign-method"),
    ("simplify", "it is set by --simplify"),
    ("timestamp", "it is set by --timestamp"),
    ("v", "it is always 2.0"),
];

/// Arguments of `slipway top-call`.
#[derive(Args)]
pub struct TopCall {
    /// Base URL of the server (`http://host:port`), or the full URL of its gateway, which ends with /router/rest.
    #[arg(long, value_parser = gateway_url)]
    url: Url,

    /// App key, from `POST /api/v1/tenants/{tenant_id}/app-keys`.
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    app_key: String,

    /// Secret of the app key. Prefer the environment variable: other users of the machine can see the arguments of a
    /// program, but not its environment.
    #[arg(long, value_name = "SECRET", env = "SLIPWAY_APP_SECRET", hide_env_values = true,
        value_parser = NonEmptyStringValueParser::new())]
    app_secret: String,

    /// Signature algorithm.
    #[arg(long, default_value = "hmac-sha256", value_parser = ["md5", "hmac", "hmac-sha256"])]
    sign_method: String,

    /// Format of the answer.
    #[arg(long, default_value = "json", value_parser = ["json", "xml"])]
    format: String,

    /// Request JSON without the wrappers of the answer and of its lists.
    #[arg(long)]
    simplify: bool,

    /// Send a GET request with all parameters in the query, instead of a POST request with a form.
    #[arg(long)]
    get: bool,

    /// Timestamp of the call: yyyy-MM-dd HH:mm:ss in UTC+8, or milliseconds since 1970. Default: now.
    #[arg(long)]
    timestamp: Option<String>,

    /// Name of the API method, such as wdk.rexout.resource.list.check.
    #[arg(value_name = "METHOD", value_parser = method)]
    method: String,

    /// Parameters of the call, each given once. A value may contain further `=`.
    #[arg(value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
}

/// Call with its signature.
struct SignedCall {
    parameters: BTreeMap<String, String>,
    canonical_text: String,
}

/// Makes the call and prints its three parts. The exit code is a success if the answer is one, and 2 if a parameter was
/// given twice.
pub async fn run(call: &TopCall, now: DateTime<Utc>) -> anyhow::Result<ExitCode> {
    let parameters = match call.parameters(now) {
        Ok(parameters) => parameters,
        Err(usage) => {
            usage.print()?;
            return Ok(ExitCode::from(2));
        }
    };
    let signed = call.sign(parameters);
    print(&call.describe(&signed))?;
    let response = call.send(&signed).await?;
    let (status, head) = (response.status(), describe_head(&response));
    let body = response.text().await.context("the answer cannot be read")?;
    print(&format!("== answer ==\n{head}\n\n{body}\n"))?;
    if status == StatusCode::OK && is_success(&call.format, &body) {
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

impl TopCall {
    /// Returns all parameters except the signature. The error names a parameter that was given twice.
    fn parameters(&self, now: DateTime<Utc>) -> Result<BTreeMap<String, String>, clap::Error> {
        let timestamp = self.timestamp.clone();
        let mut parameters = BTreeMap::from([
            ("app_key".to_owned(), self.app_key.clone()),
            ("format".to_owned(), self.format.clone()),
            ("method".to_owned(), self.method.clone()),
            ("sign_method".to_owned(), self.sign_method.clone()),
            (
                "timestamp".to_owned(),
                timestamp.unwrap_or_else(|| format_utc8(now)),
            ),
            ("v".to_owned(), VERSION.to_owned()),
        ]);
        if self.simplify {
            parameters.insert("simplify".to_owned(), "true".to_owned());
        }
        for (name, value) in &self.parameters {
            if parameters.insert(name.clone(), value.clone()).is_some() {
                return Err(usage_error(&format!(
                    "the parameter {name} is given twice; give each parameter once"
                )));
            }
        }
        Ok(parameters)
    }

    fn sign(&self, mut parameters: BTreeMap<String, String>) -> SignedCall {
        let algorithm = SignMethod::parse(&self.sign_method).expect("clap accepts only these names");
        let borrowed = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let canonical_text = canonical_text(&borrowed.collect());
        let signature = hex::encode_upper(algorithm.sign(&self.app_secret, &canonical_text));
        parameters.insert("sign".to_owned(), signature);
        SignedCall {
            parameters,
            canonical_text,
        }
    }

    /// Describes the request and the signed text. Printed before sending, because they are needed most if there is no
    /// answer.
    fn describe(&self, signed: &SignedCall) -> String {
        let (verb, place) = if self.get {
            ("GET", "query")
        } else {
            ("POST", "form")
        };
        let lines: Vec<_> = signed
            .parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "== request ==\n{verb} {}\n\n{place}:\n{}\n\n== canonical string ==\n{}\n\n",
            self.url,
            lines.join("\n"),
            signed.canonical_text
        )
    }

    async fn send(&self, signed: &SignedCall) -> anyhow::Result<Response> {
        let client = client(&self.url)?;
        let request = if self.get {
            client.get(self.url.clone()).query(&signed.parameters)
        } else {
            client.post(self.url.clone()).form(&signed.parameters)
        };
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        sent.with_context(|| format!("{} cannot be called", self.url))
    }
}

/// Builds an error in the format of clap, for conflicts that only all arguments together show.
fn usage_error(why: &str) -> clap::Error {
    TopCall::augment_args(Command::new("slipway top-call")).error(ErrorKind::ArgumentConflict, why)
}

/// Parses `--url` and completes a base URL.
fn gateway_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|why| format!("{why}; give http://host:port"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// can be called".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no query or fragment; give parameters as NAME=VALUE".to_owned());
    }
    let base = url.path().trim_end_matches('/').to_owned();
    if !base.ends_with(PATH) {
        url.set_path(&format!("{base}{PATH}"));
    }
    Ok(url)
}

/// Parses `METHOD`. A parameter in its place means that the method was omitted.
fn method(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('=') {
        return Err(
            "the first argument is the API's name, such as wdk.rexout.resource.list.check".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Parses `NAME=VALUE`.
fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a parameter is given as NAME=VALUE, and this has no `=`")?;
    if name.is_empty() {
        return Err("a parameter is given as NAME=VALUE, and this has no name".to_owned());
    }
    match RESERVED_PARAMETERS.iter().find(|(own, _)| *own == name) {
        Some((_, how)) => Err(format!("{name} cannot be given as a parameter: {how}")),
        None => Ok((name.to_owned(), value.to_owned())),
    }
}

fn describe_head(response: &Response) -> String {
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.map_or("none".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    format!("status: {}\ncontent type: {content_type}", response.status())
}

/// Returns `true` if a body is an answer in the requested format, other than `error_response`.
fn is_success(format: &str, body: &str) -> bool {
    if format == "json" {
        let root: Result<Map<String, Value>, _> = serde_json::from_str(body);
        root.is_ok_and(|root| !root.contains_key("error_response"))
    } else {
        root_element(body).is_some_and(|name| name.ends_with("_response") && name != "error_response")
    }
}

fn root_element(xml: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => return Some(start.name().as_ref().to_owned()),
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .context("the call cannot be shown")
}
