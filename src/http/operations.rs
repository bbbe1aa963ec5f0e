//! Handlers for operators: health, readiness and metrics.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, get, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use utoipa::ToSchema;

use crate::services::Context;
use crate::services::push_delivery::DeliveryStatus;

/// Health of the process.
#[derive(Debug, Serialize, ToSchema)]
struct HealthResponse {
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Readiness of the node.
#[derive(Debug, Serialize, ToSchema)]
struct ReadinessResponse {
    /// Status of the node: `ready`, `degraded`, `draining` or `unready`. A `degraded` node answers checks, but writes
    /// fail, the catalog is stale, or a background task is down. A `draining` node answers checks, but is about to
    /// stop. An `unready` node has no catalog, or its answers could be wrong. They could be wrong if the task that
    /// syncs the catalog or the revoked device tokens is down.
    status: &'static str,
    /// State of writes: `working` or `failing`.
    writes: &'static str,
    /// Cause of failing writes: `away`, `full`, `read_only`, `locked`, `timed_out`, `file_missing`, `refused`,
    /// `too_many_connections`, `out_of_memory`, `disk_error`, `damaged` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// Explanation of failing writes, and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// State of the database: `reachable` or `unreachable`. A database counts as unreachable until this node has
    /// verified its schema and the secret key. The log names any mismatch.
    database: &'static str,
    /// Connection to the MQTT broker: `connected`, `unsubscribed`, `disconnected`, or `none` if no broker is
    /// configured. `unsubscribed` means that the node is connected, but the broker refuses the subscription to the
    /// devices' acknowledgements. A node without its broker is still ready, because devices receive pushes over HTTP.
    mqtt: &'static str,
    /// State of the artifact store: `reachable` or `unreachable`. Without it, files cannot be uploaded or downloaded
    /// here; checks are answered.
    artifacts: &'static str,
    /// Explanation of an unreachable artifact store.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts_detail: Option<String>,
    /// Number of artifacts whose stored content is damaged or missing. The log names them.
    damaged_artifacts: u64,
    /// Names of background tasks that have failed and have not been restarted yet.
    #[schema(example = json!([]))]
    tasks_down: Vec<&'static str>,
    catalog: CatalogReadiness,
}

#[derive(Debug, Serialize, ToSchema)]
struct CatalogReadiness {
    loaded: bool,
    /// Seconds since the catalog last matched the database.
    age_s: Option<i64>,
    stale: bool,
    tenants: usize,
    apps: usize,
    releases: usize,
}

/// Get the health of the process
///
/// The response shows that the process is running.
#[utoipa::path(operation_id = "get_health", tag = "operations", security(()),
    responses((status = 200, description = "The process is running", body = HealthResponse)))]
#[get("/healthz")]
pub(super) async fn get_health() -> HttpResponse {
    HttpResponse::Ok().json(HealthResponse {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Get the readiness of the node
///
/// A node that loses its database continues to answer from memory. A node that started without its database answers
/// from its snapshot. Such a node stays ready, and the response reports the failure.
#[utoipa::path(operation_id = "get_readiness", tag = "operations", security(()), responses(
    (status = 200, description = "The node answers checks", body = ReadinessResponse),
    (status = 503, description = "No catalog is loaded, answers could be wrong, or the node is about to stop", body = ReadinessResponse),
))]
#[get("/readyz")]
pub(super) async fn get_readiness(ctx: web::Data<Context>) -> HttpResponse {
    let readiness = ReadinessResponse::of(&ctx).await;
    let mut response = match readiness.status {
        "ready" | "degraded" => HttpResponse::Ok(),
        _ => HttpResponse::ServiceUnavailable(),
    };
    response.json(readiness)
}

impl ReadinessResponse {
    async fn of(ctx: &Context) -> Self {
        let now = ctx.now();
        let catalog = ctx.catalog().status();
        let database_answers = ctx.database_answers().await;
        let write_failure = ctx.write_failure(database_answers);
        let stale = ctx.catalog().stale_for(now).is_some();
        let is_draining = ctx.node().is_draining();
        let tasks_down = ctx.node().tasks.down();
        let store = ctx.artifacts().health.state();
        let is_store_degraded = store.failure.is_some() || store.damaged > 0;
        let status = match catalog.synced_at {
            None => "unready",
            Some(_) if is_draining => "draining",
            Some(_) if tasks_down.has_essential => "unready",
            Some(_) if stale || write_failure.is_some() || !tasks_down.names.is_empty() => "degraded",
            Some(_) if is_store_degraded => "degraded",
            Some(_) => "ready",
        };
        Self {
            status,
            writes: if write_failure.is_some() {
                "failing"
            } else {
                "working"
            },
            cause: write_failure.as_ref().map(|failure| failure.cause),
            detail: write_failure.map(|failure| failure.detail),
            database: if database_answers {
                "reachable"
            } else {
                "unreachable"
            },
            mqtt: describe_broker(ctx.push_delivery().status()),
            artifacts: if store.failure.is_some() {
                "unreachable"
            } else {
                "reachable"
            },
            artifacts_detail: store.failure,
            damaged_artifacts: store.damaged,
            tasks_down: tasks_down.names,
            catalog: CatalogReadiness {
                loaded: catalog.synced_at.is_some(),
                age_s: catalog.synced_at.map(|at| (now - at).num_seconds()),
                stale,
                tenants: catalog.tenants,
                apps: catalog.apps,
                releases: catalog.releases,
            },
        }
    }
}

const fn describe_broker(status: DeliveryStatus) -> &'static str {
    match (status.is_broker_connected, status.is_broker_subscribed) {
        (Some(true), Some(false)) => "unsubscribed",
        (Some(true), _) => "connected",
        (Some(false), _) => "disconnected",
        (None, _) => "none",
    }
}

/// Get the metrics
///
/// Returns all metrics in the Prometheus text format.
#[utoipa::path(operation_id = "get_metrics", tag = "operations", security(()),
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain")))]
#[get("/metrics")]
pub(super) async fn get_metrics(
    ctx: web::Data<Context>,
    recorder: web::Data<PrometheusHandle>,
) -> HttpResponse {
    record_catalog_metrics(&ctx);
    record_database_metrics(&ctx);
    record_device_record_metrics(&ctx);
    record_push_delivery_metrics(&ctx);
    record_download_metrics(&ctx);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(recorder.render())
}

/// Sets the gauges at the time of the request, because the catalog holds their values.
#[expect(clippy::cast_precision_loss, reason = "counts and seconds are far below 2^52")]
fn record_catalog_metrics(ctx: &Context) {
    let now = ctx.now();
    let catalog = ctx.catalog().status();
    metrics::gauge!("slipway_catalog_tenants").set(catalog.tenants as f64);
    metrics::gauge!("slipway_catalog_apps").set(catalog.apps as f64);
    metrics::gauge!("slipway_catalog_releases").set(catalog.releases as f64);
    metrics::gauge!("slipway_catalog_prepared_bytes").set(catalog.prepared_bytes as f64);
    metrics::gauge!("slipway_catalog_revision").set(catalog.revision as f64);
    metrics::gauge!("slipway_catalog_stale").set(f64::from(u8::from(ctx.catalog().stale_for(now).is_some())));
    if let Some(at) = catalog.synced_at {
        metrics::gauge!("slipway_catalog_age_seconds").set((now - at).num_milliseconds() as f64 / 1_000.0);
    }
}

fn record_database_metrics(ctx: &Context) {
    let pool = ctx.db().pool_status();
    let gauges = [
        ("open", pool.open),
        ("idle", pool.idle),
        ("in_use", pool.open.saturating_sub(pool.idle)),
        ("limit", pool.limit),
        ("refused", pool.withheld),
    ];
    for (state, count) in gauges {
        metrics::gauge!("slipway_database_connections", "state" => state).set(f64::from(count));
    }
    metrics::gauge!("slipway_database_waiting").set(f64::from(pool.waiting));
}

#[expect(clippy::cast_precision_loss, reason = "a queue is far below 2^52")]
fn record_device_record_metrics(ctx: &Context) {
    let status = ctx.device_records().status();
    metrics::gauge!("slipway_device_records_queued").set(status.queued as f64);
    metrics::counter!("slipway_device_records_written_total").absolute(status.written);
    metrics::counter!("slipway_device_record_batches_total").absolute(status.batches);
    metrics::counter!("slipway_device_records_dropped_total").absolute(status.dropped);
    metrics::counter!("slipway_devices_over_limit_total").absolute(status.over_limit);
}

#[expect(clippy::cast_precision_loss, reason = "downloads are far below 2^52")]
fn record_download_metrics(ctx: &Context) {
    let running = ctx.artifacts().running_downloads();
    metrics::gauge!("slipway_downloads").set(running as f64);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "connections and devices are far below 2^52"
)]
fn record_push_delivery_metrics(ctx: &Context) {
    let status = ctx.push_delivery().status();
    metrics::gauge!("slipway_push_streams").set(status.streams as f64);
    metrics::gauge!("slipway_push_polls").set(status.polls as f64);
    if let Some(is_connected) = status.is_broker_connected {
        metrics::gauge!("slipway_mqtt_connected").set(f64::from(u8::from(is_connected)));
    }
    if let Some(is_subscribed) = status.is_broker_subscribed {
        metrics::gauge!("slipway_mqtt_subscribed").set(f64::from(u8::from(is_subscribed)));
    }
    metrics::gauge!("slipway_push_waiting_devices").set(status.waiting_devices as f64);
}
