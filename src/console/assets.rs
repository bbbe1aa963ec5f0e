//! Style sheet and script. Their addresses contain a digest of their content, so browsers keep them.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, web};
use sha2::{Digest, Sha256};

use super::page_error::PageError;
use crate::http::problem::Problem;

/// Style sheet as browsers get it: without comments and most spaces, which count in the budget of every page.
static STYLE: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("assets/console.css").lines().map(str::trim);
    let rules = lines.filter(|line| !line.is_empty() && !line.starts_with("/*"));
    let shorter = |rule: &str| rule.replace(" { ", "{").replace(": ", ":").replace("; ", ";");
    let shorter: Vec<_> = rules.map(shorter).collect();
    shorter.join("\n")
});
/// Script as browsers get it: without indentation and comments.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("assets/console.js").lines().map(str::trim);
    let code: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect();
    code.join("\n")
});
const ICON: &str = include_str!("assets/icon.svg");

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path(&STYLE, "console.css"));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path(&SCRIPT, "console.js"));

fn path(content: &str, name: &str) -> String {
    format!("/console/assets/{}/{name}", digest(content))
}

fn digest(content: &str) -> String {
    hex::encode(&Sha256::digest(content)[..8])
}

pub(super) fn style_path() -> &'static str {
    &STYLE_PATH
}

pub(super) fn script_path() -> &'static str {
    &SCRIPT_PATH
}

/// Sends a file. During an update, pages and files may come from nodes of different versions. A file with another digest
/// is sent, but not kept.
pub(super) async fn send_asset(path: web::Path<(String, String)>) -> Result<HttpResponse, PageError> {
    let (content, kind) = match path.1.as_str() {
        "console.css" => (STYLE.as_str(), "text/css; charset=utf-8"),
        "console.js" => (SCRIPT.as_str(), "text/javascript; charset=utf-8"),
        "icon.svg" => (ICON, "image/svg+xml"),
        _ => return Err(Problem::not_found().into()),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(kind)));
    if path.0 == digest(content) {
        response.insert_header((
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ));
    }
    Ok(response.body(content))
}
