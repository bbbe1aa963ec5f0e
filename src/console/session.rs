//! Cookies of the console, and the checks that a form was sent by one of its own pages.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HOST, ORIGIN};

use crate::http::problem::{Problem, ProblemCode};
use crate::http::request::context;
use crate::http::site::Site;
use crate::secrets::verify_form_token;
use crate::services::authentication::SESSION_LIFETIME;

/// Cookie of a session, and its name where the browser reaches the server without TLS.
const SESSION: CookieName = CookieName("__Host-slipway", "slipway");
/// Cookie of a browser that is not signed in, which its forms belong to.
const VISITOR: CookieName = CookieName("__Host-slipway-visitor", "slipway-visitor");
/// Cookie of the chosen language.
const LANGUAGE: CookieName = CookieName("__Host-slipway-language", "slipway-language");

const LANGUAGE_DAYS: i64 = 365;

struct CookieName(&'static str, &'static str);

impl CookieName {
    fn of(&self, request: &HttpRequest) -> &'static str {
        if Site::of(request).is_secure() {
            self.0
        } else {
            self.1
        }
    }

    fn read(&self, request: &HttpRequest) -> Option<String> {
        let cookie = request.cookie(self.of(request))?;
        Some(cookie.value().to_owned()).filter(|value| !value.is_empty())
    }

    fn cookie(&self, request: &HttpRequest, value: String) -> Cookie<'static> {
        Cookie::build(self.of(request), value)
            .http_only(true)
            .secure(Site::of(request).is_secure())
            .same_site(SameSite::Lax)
            .path("/")
            .finish()
    }
}

pub(super) fn session_of(request: &HttpRequest) -> Option<String> {
    SESSION.read(request)
}

pub(super) fn session_cookie(request: &HttpRequest, value: String) -> Cookie<'static> {
    let mut cookie = SESSION.cookie(request, value);
    cookie.set_max_age(Duration::seconds(SESSION_LIFETIME.num_seconds()));
    cookie
}

/// Returns the cookie that removes a session from the browser.
pub(super) fn ended_session_cookie(request: &HttpRequest) -> Cookie<'static> {
    let mut cookie = SESSION.cookie(request, String::new());
    cookie.make_removal();
    cookie
}

pub(super) fn visitor_of(request: &HttpRequest) -> Option<String> {
    VISITOR.read(request)
}

/// Returns `true` if a form has the token of the browser's session, or of its visit before the sign-in.
pub(super) fn is_form_token(request: &HttpRequest, token: &str) -> bool {
    let cookie = session_of(request).or_else(|| visitor_of(request));
    let is_tagged = |cookie: String| verify_form_token(context(request).keyring(), &cookie, token);
    !token.is_empty() && cookie.is_some_and(is_tagged)
}

pub(super) fn visitor_cookie(request: &HttpRequest, value: String) -> Cookie<'static> {
    VISITOR.cookie(request, value)
}

pub(super) fn language_of(request: &HttpRequest) -> Option<String> {
    LANGUAGE.read(request)
}

pub(super) fn language_cookie(request: &HttpRequest, tag: &str) -> Cookie<'static> {
    let mut cookie = LANGUAGE.cookie(request, tag.to_owned());
    cookie.set_max_age(Duration::days(LANGUAGE_DAYS));
    cookie
}

/// Refuses a form that another site's page sent. Browsers name the origin of each form; other clients need not.
pub(super) fn require_own_origin(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    if text("Sec-Fetch-Site") == Some("cross-site") {
        return Err(foreign_form());
    }
    match text(ORIGIN.as_str()) {
        Some(origin) if !Site::of(request).is_own_origin(origin) => Err(foreign_form()),
        _ => Ok(()),
    }
}

/// Returns `true` if the browser says that a page of this console sent the form. Call it after [`require_own_origin`],
/// which refuses other origins.
pub(super) fn names_own_origin(request: &HttpRequest) -> bool {
    request.headers().contains_key(ORIGIN)
}

pub(super) fn foreign_form() -> Problem {
    let detail =
        "the form was not sent by a current page of this console; open the page again and repeat the input";
    Problem::new(ProblemCode::PermissionDenied, detail)
}

/// Refuses a sign-in over a connection that others can read. Only a browser on the same machine needs no TLS.
pub(super) fn require_private_connection(request: &HttpRequest) -> Result<(), Problem> {
    let site = Site::of(request);
    if site.is_secure() || site.is_loopback() {
        return Ok(());
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let detail = format!(
        "sign in over https: {} was reached without TLS, and a password must not be sent in the clear. Behind a proxy, \
         set SLIPWAY_PUBLIC_URL or SLIPWAY_TRUSTED_PROXIES",
        host.unwrap_or("this address")
    );
    Err(Problem::new(ProblemCode::PermissionDenied, detail))
}

/// Returns a path of the console to continue at; `None` for anything that could lead elsewhere.
pub(super) fn safe_path(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("/console")?;
    let is_inside = rest.is_empty() || rest.starts_with(['/', '?']);
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_inside && is_plain && !text.contains("//")).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_console_are_continued_at() {
        for own in [
            "/console",
            "/console/",
            "/console/tenants/1/apps?cursor=YQ",
            "/console?done=signed_out",
        ] {
            assert_eq!(safe_path(own), Some(own));
        }
        for foreign in [
            "",
            "/",
            "//evil.example",
            "https://evil.example/console",
            "/consoles",
            "/console//evil.example",
            "/console/\\evil.example",
            "/console/\n",
            "/console/%0d\r",
            "/api/v1/me",
            "javascript:alert(1)",
        ] {
            assert_eq!(safe_path(foreign), None, "{foreign:?}");
        }
    }
}
