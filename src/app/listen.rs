//! The listener and its limits.

use std::net::TcpListener;
use std::num::NonZero;
use std::thread;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::{self, ServerDependencies, TimedStream};

/// Time limit for the head of the first request on a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Time that an idle connection is kept open.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Time limit for a client to close its end of the connection.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Time limit in seconds for requests in flight when the server stops.
pub(super) const STOP_WITHIN_S: u64 = 30;
/// File descriptors reserved for the database, the broker, snapshots and logs.
const OTHER_FILES: u64 = 160;

/// Serves on this listener. The number of connections is bounded by the available file descriptors.
pub(super) fn serve(
    dependencies: ServerDependencies,
    listener: TcpListener,
    workers: Option<usize>,
    connections: u32,
) -> std::io::Result<Server> {
    let workers = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let connections = connections_per_worker(connections, raise_file_limit(), workers);
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .disable_signals()
        .shutdown_timeout(STOP_WITHIN_S)
        .listen("slipway", listener, move || {
            let app = http::server(&dependencies)
                .into_factory()
                .map_err(|error: actix_web::Error| error.error_response());
            let service = HttpService::build()
                .client_request_timeout(HEAD_WITHIN)
                .keep_alive(KEEP_ALIVE)
                .client_disconnect_timeout(DISCONNECT_WITHIN)
                .on_connect_ext(|stream: &TimedStream, extensions| stream.on_connect(extensions))
                .finish(map_config(app, |()| AppConfig::default()));
            fn_service(|stream: TcpStream| async {
                let peer = stream.peer_addr().ok();
                Ok::<_, DispatchError>((TimedStream::new(stream), Protocol::Http1, peer))
            })
            .and_then(service)
        })?;
    Ok(server.run())
}

/// Raises the soft limit of open files to the hard limit, and returns the result.
fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Returns the configured number of connections, reduced if file descriptors would run out.
fn connections_per_worker(wanted: u32, files: Option<u64>, workers: usize) -> usize {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let Some(files) = files else {
        return wanted;
    };
    let for_connections = files.saturating_sub(OTHER_FILES.min(files / 2));
    let share = usize::try_from(for_connections).unwrap_or(usize::MAX) / workers.max(1);
    let allowed = wanted.min(share.max(1));
    if allowed < wanted {
        tracing::warn!(
            files,
            workers,
            connections_per_worker = allowed,
            "the limit of open files allows fewer connections than SLIPWAY_CONNECTIONS_PER_WORKER"
        );
    } else {
        tracing::info!(
            files,
            workers,
            connections_per_worker = allowed,
            "limit of open files"
        );
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_rest_of_the_program() {
        assert_eq!(connections_per_worker(25_000, None, 2), 25_000);
        assert_eq!(connections_per_worker(25_000, Some(1_000_000), 2), 25_000);
        assert_eq!(connections_per_worker(25_000, Some(1_024), 2), 432);
        assert_eq!(connections_per_worker(25_000, Some(64), 2), 16);
        assert_eq!(connections_per_worker(25_000, Some(1), 2), 1);
    }
}
