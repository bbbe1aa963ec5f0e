//! Metrics of responses by route, method and status.

use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

/// Metrics of one route, by method and status.
type RouteMetrics = Vec<(&'static str, StatusCode, Counter, Histogram)>;

thread_local! {
    /// Metrics cached by this thread. Requesting them from the recorder each time would take a lock and build every
    /// label.
    static METRICS: RefCell<Vec<(String, RouteMetrics)>> = RefCell::default();
}

/// Counts a response, and records how long it took.
pub(super) fn measure(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = method_label(method);
    METRICS.with_borrow_mut(|routes| {
        let index = routes.iter().position(|(known, _)| known == route);
        let index = index.unwrap_or_else(|| {
            routes.push((route.to_owned(), RouteMetrics::new()));
            routes.len() - 1
        });
        let (_, metrics) = &mut routes[index];
        let known = metrics
            .iter()
            .position(|(own, of_status, ..)| *own == method && *of_status == status);
        let index = known.unwrap_or_else(|| {
            metrics.push(register_metrics(method, route, status));
            metrics.len() - 1
        });
        let (.., requests, durations) = &metrics[index];
        requests.increment(1);
        durations.record(took.as_secs_f64());
    });
}

fn register_metrics(
    method: &'static str,
    route: &str,
    status: StatusCode,
) -> (&'static str, StatusCode, Counter, Histogram) {
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    let requests = metrics::counter!("slipway_http_requests_total", &labels);
    let durations = metrics::histogram!("slipway_http_request_duration_seconds", &labels[..2]);
    (method, status, requests, durations)
}

/// Maps a method to a label. Unknown methods share one label, because clients may invent any number of them.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
