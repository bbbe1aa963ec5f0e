//! API documentation: the OpenAPI description, and pages to read and try it.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentEncoding, HeaderValue, REFERRER_POLICY, VARY,
    X_FRAME_OPTIONS,
};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, ResponseError, guard};
use serde_json::Value;
use tokio::sync::OnceCell;
use utoipa_swagger_ui::Config;

use super::compression::{CODINGS, Coding};
use super::describe;
use super::problem::Problem;
use slipway_domain::catalog::json::JsonText;

const DESCRIPTION: &str = "/openapi.json";
const PAGES: &str = "/docs/{file:.*}";
/// Paths of the documentation, which the description does not contain.
pub(super) const PATHS: [&str; 2] = [DESCRIPTION, PAGES];

/// OpenAPI description of a server. The first request builds it; the others share it, because anybody may request it.
pub struct Description {
    public_url: Option<String>,
    encoded: OnceCell<EncodedDescription>,
}

/// Description as JSON, plain and compressed.
struct EncodedDescription {
    plain: Bytes,
    gzip: Bytes,
    zstd: Bytes,
}

impl Description {
    pub fn new(public_url: Option<String>) -> Self {
        Self {
            public_url,
            encoded: OnceCell::new(),
        }
    }

    async fn encoded(&self) -> Result<&EncodedDescription, Problem> {
        self.encoded.get_or_try_init(|| self.build()).await
    }

    /// Builds the description on a thread of its own, so that it does not delay checks.
    async fn build(&self) -> Result<EncodedDescription, Problem> {
        let public_url = self.public_url.clone();
        web::block(move || EncodedDescription::of(&describe(public_url.as_deref())))
            .await
            .map_err(|error| {
                tracing::error!(%error, "the API description could not be built");
                Problem::internal()
            })
    }
}

impl EncodedDescription {
    fn of(api: &Value) -> Self {
        let plain = JsonText::of(api).into_string().into_bytes();
        Self {
            gzip: Coding::Gzip.encode(&plain).into(),
            zstd: Coding::Zstd.encode(&plain).into(),
            plain: plain.into(),
        }
    }
}

/// Content security policy of the pages.
struct ContentPolicy(HeaderValue);

/// Registers the documentation routes. The library's own routes would copy a file of 1 MB and serialize the description
/// for each request.
pub(super) fn routes(
    config: &mut web::ServiceConfig,
    description: &Arc<Description>,
    public_url: Option<&str>,
) {
    config
        .app_data(web::Data::new(ContentPolicy(policy(public_url))))
        .app_data(web::Data::from(description.clone()))
        .app_data(web::Data::new(Config::new([DESCRIPTION])))
        .service(web::redirect("/docs", "/docs/"))
        .service(
            web::resource(DESCRIPTION)
                .guard(guard::Get())
                .to(serve_description),
        )
        .service(web::resource(PAGES).guard(guard::Get()).to(serve_page));
}

async fn serve_description(
    request: HttpRequest,
    description: web::Data<Description>,
) -> Result<HttpResponse, Problem> {
    let description = description.encoded().await?;
    let coding = Coding::accepted_by(&request, &CODINGS);
    let mut response = HttpResponse::Ok();
    response
        .content_type("application/json")
        .insert_header((VARY, "Accept-Encoding"));
    if let Some(coding) = coding {
        response.insert_header((CONTENT_ENCODING, coding.header()));
    }
    Ok(response.body(match coding {
        None => description.plain.clone(),
        Some(Coding::Gzip) => description.gzip.clone(),
        Some(Coding::Zstd) => description.zstd.clone(),
    }))
}

async fn serve_page(file: web::Path<String>, pages: web::Data<Config<'static>>) -> HttpResponse {
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&pages));
    let Ok(Some(file)) = found.inspect_err(|error| tracing::error!(%error, "a page failed to load")) else {
        return Problem::not_found().error_response();
    };
    let mut response = HttpResponse::Ok();
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip));
    }
    response.content_type(file.content_type).body(match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    })
}

/// Adds the headers that restrict a page: it may load files of this server and call the API, and it may not be framed.
pub(super) fn add_page_headers<B>(response: &mut ServiceResponse<B>) {
    let policy = response.request().app_data::<web::Data<ContentPolicy>>();
    let policy = policy.map_or_else(|| policy_for(""), |policy| policy.0.clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Builds the policy. The pages call the address in the description, which may differ from their own origin.
fn policy(public_url: Option<&str>) -> HeaderValue {
    policy_for(public_url.and_then(origin_of).unwrap_or_default())
}

/// Builds the policy for an API origin. The pages' library sets styles from scripts and embeds its icons as `data:`
/// URLs.
fn policy_for(origin: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self' {origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // An origin contains only characters that are valid in a header.
    HeaderValue::try_from(policy.replace(" ;", ";"))
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// Returns the scheme and host of a URL; `None` if it contains characters with a meaning in a policy.
fn origin_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte))
    };
    (is_plain(scheme) && is_plain(host)).then(|| &url[..scheme.len() + 3 + host.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_origin_that_is_called_and_nothing_else_of_it() {
        assert_eq!(
            origin_of("https://a.example:8443/x?y"),
            Some("https://a.example:8443")
        );
        assert_eq!(origin_of("http://[::1]:80"), Some("http://[::1]:80"));
        for url in [
            "a.example",
            "https://a.example; script-src *",
            "https://*",
            "https://u@a",
            "://a",
            "https://",
        ] {
            assert_eq!(origin_of(url), None, "{url}");
        }
        let policy = |url| policy(url).to_str().unwrap().to_owned();
        assert!(policy(None).contains("connect-src 'self';"));
        assert!(policy(Some("https://a.example/x")).contains("connect-src 'self' https://a.example;"));
    }
}
