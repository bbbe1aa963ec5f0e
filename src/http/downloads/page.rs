//! Page for people: what the file is, a button, and a QR code for wide screens.

use actix_web::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY,
    X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::http::problem::Problem;
use crate::services::Context;
use crate::services::artifacts::PageFacts;
use slipway_domain::catalog::artifact::{Artifact, ArtifactFacts};
use slipway_domain::catalog::language::Language;

/// Nothing but the page's own style and images of this host.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "get.html")]
struct Page<'a> {
    language: &'static str,
    words: &'static Words,
    title: String,
    version: Option<&'a str>,
    notes: Option<&'a str>,
    filename: &'a str,
    size: String,
    sha256: &'a str,
    /// Relative to the page, so that it works behind any base URL.
    download: String,
    icon: Option<String>,
    qr: Option<String>,
}

struct Words {
    version: &'static str,
    size: &'static str,
    notes: &'static str,
    download: &'static str,
    scan: &'static str,
}

const ENGLISH: Words = Words {
    version: "Version",
    size: "Size",
    notes: "What is new",
    download: "Download",
    scan: "Scan to open this page on a device",
};

const CHINESE: Words = Words {
    version: "版本",
    size: "大小",
    notes: "更新内容",
    download: "下载",
    scan: "扫码在设备上打开此页面",
};

/// Returns the preferred one of the languages that a request accepts.
pub(super) fn accepted_language(request: &HttpRequest) -> Language {
    let header = request.headers().get(ACCEPT_LANGUAGE);
    header
        .and_then(|header| Language::preferred(header.to_str().ok()?))
        .unwrap_or_default()
}

const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    }
}

/// Renders the page of an artifact.
pub(super) fn render(
    ctx: &Context,
    artifact: &Artifact,
    facts: Option<&PageFacts>,
    language: Language,
) -> Result<HttpResponse, Problem> {
    let key = &artifact.link.key;
    let package = artifact.facts.package();
    let name =
        percent_encoding::utf8_percent_encode(artifact.filename.as_str(), percent_encoding::NON_ALPHANUMERIC);
    let page = Page {
        language: language.tag(),
        words: words(language),
        title: title(artifact, facts, language),
        version: facts
            .map(|facts| facts.version_name.as_str())
            .or_else(|| package.and_then(|package| package.version_name)),
        notes: facts
            .map(|facts| facts.update_desc.as_str())
            .filter(|notes| !notes.is_empty()),
        filename: artifact.filename.as_str(),
        size: readable_size(artifact.size),
        sha256: artifact.sha256.as_str(),
        download: format!("../dl/{key}/{name}"),
        icon: artifact.icon.map(|_| format!("{key}/icon")),
        qr: ctx.download_urls().page(key).map(|_| format!("{key}/qr.svg")),
    };
    let html = page.render().map_err(|_| Problem::internal())?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((VARY, "Accept-Language"))
        .insert_header((CONTENT_LANGUAGE, language.tag()))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        // The address of the page is a credential.
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(html))
}

/// Returns the name of the app in the page's language, or of the file.
fn title(artifact: &Artifact, facts: Option<&PageFacts>, language: Language) -> String {
    if let Some(facts) = facts {
        return facts.app_name.to_string();
    }
    if let (ArtifactFacts::Apk(apk), Language::Chinese) = (&artifact.facts, language)
        && let Some((_, label)) = apk.labels.iter().find(|(tag, _)| tag.starts_with("zh"))
    {
        return label.clone();
    }
    let label = artifact.facts.package().and_then(|package| package.label);
    label.unwrap_or(artifact.filename.as_str()).to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn readable_size(bytes: i64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB"] {
        if size < 1024.0 {
            let decimals = usize::from(unit != "B");
            return format!("{size:.decimals$} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(readable_size(0), "0 B");
        assert_eq!(readable_size(1_536), "1.5 KiB");
        assert_eq!(readable_size(52_428_800), "50.0 MiB");
        assert_eq!(readable_size(2 << 30), "2.0 GiB");
    }
}
