//! The access log: one entry for each response.

use std::time::Duration;

use actix_web::http::header::USER_AGENT;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest};

use super::Console;
use super::client_address::client_address;
use slipway_domain::access::Principal;
use slipway_domain::catalog::field::MAX_ECHO_CHARACTERS;
use slipway_domain::catalog::ids::TenantId;

/// Returns the part of a path to log. A path without a route is arbitrary external text, so it is truncated.
pub(super) fn loggable_path<'a>(path: &'a str, route: &str) -> &'a str {
    // The key in these paths is a credential.
    if let Some(prefix) = ["/dl/", "/get/"]
        .into_iter()
        .find(|prefix| path.starts_with(prefix) || route.starts_with(prefix))
    {
        return prefix;
    }
    if route == "none" {
        path.get(..path.floor_char_boundary(MAX_ECHO_CHARACTERS))
            .unwrap_or_default()
    } else {
        path
    }
}

/// Authenticated caller of a request.
struct RequestPrincipal(Principal);

/// Records the caller for the access log.
pub(crate) fn record_principal(request: &HttpRequest, principal: &Principal) {
    request
        .extensions_mut()
        .insert(RequestPrincipal(principal.clone()));
}

/// Known origin of a request.
#[derive(Default)]
struct RequestOrigin {
    /// Key of the caller: `user:…` or `token:…`.
    principal: Option<String>,
    principal_name: Option<String>,
    /// Tenant in the path, otherwise the tenant of the caller.
    tenant: Option<i64>,
    address: Option<String>,
    user_agent: Option<String>,
}

impl RequestOrigin {
    fn of(request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        let principal = extensions.get::<RequestPrincipal>().map(|caller| &caller.0);
        let in_path = request.match_info().get("tenant_id");
        let in_path = in_path.and_then(|tenant| tenant.parse().ok());
        let own = principal.and_then(|principal| principal.tenant);
        let user_agent = request.headers().get(USER_AGENT);
        Self {
            principal: principal.map(Principal::key),
            principal_name: principal.map(|principal| printable(&principal.name)),
            tenant: in_path.or(own.map(TenantId::get)),
            address: client_address(request).map(|address| address.to_string()),
            user_agent: user_agent.map(|agent| printable(&String::from_utf8_lossy(agent.as_bytes()))),
        }
    }
}

/// Maximum number of characters of external text in a log line.
const MAX_LOGGED: usize = 256;

/// Prepares external text for the log. It is truncated, and characters that control a terminal or reorder text are
/// escaped.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(MAX_LOGGED) {
        let is_invisible = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_invisible {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Entry of the access log: one response.
pub(super) struct AccessLogEntry<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) route: &'a str,
    pub(super) status: StatusCode,
    pub(super) took: Duration,
}

impl AccessLogEntry<'_> {
    /// Logs the response. Devices and probes send requests all the time, so these are logged at debug level. Those of
    /// people and pipelines are logged at info level, as are server errors.
    pub(super) fn log(&self, request: Option<&HttpRequest>) {
        let is_for_the_record = self.route.starts_with("/api/")
            || self.route.starts_with(Console::PATH)
            || self.status.as_u16() >= 500;
        if !is_for_the_record && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let Self { method, took, .. } = self;
        let path = printable(self.path);
        let status = self.status.as_u16();
        let duration_ms = took.as_secs_f64() * 1_000.0;
        let from = request.map(RequestOrigin::of).unwrap_or_default();
        let RequestOrigin {
            principal,
            principal_name,
            tenant,
            address,
            user_agent,
        } = &from;
        // A field without a value is omitted.
        macro_rules! record {
            ($level:ident) => {
                tracing::$level!(
                    %method, path, status, duration_ms,
                    principal = principal.as_deref(),
                    principal_name = principal_name.as_deref(),
                    tenant = *tenant,
                    address = address.as_deref(),
                    user_agent = user_agent.as_deref(),
                    "answered"
                )
            };
        }
        if is_for_the_record {
            record!(info);
        } else {
            record!(debug);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_cut_off_and_escaped() {
        assert_eq!(printable("curl/8.5 (店)"), "curl/8.5 (店)");
        assert_eq!(
            printable("a\nb\u{1b}[2J\u{202e}c"),
            "a\\u{a}b\\u{1b}[2J\\u{202e}c"
        );
        assert_eq!(printable(&"x".repeat(1_000)).len(), MAX_LOGGED);
    }
}
