//! The listening servers: one for all APIs, or two if operators have a separate address.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use super::listen::serve;
use crate::config::Config;
use crate::console;
use crate::http::{Description, ExposedApis, ServerDependencies, TrustedProxies};
use crate::services::Context;

/// Maximum number of connections to the operations server: monitoring and a few people.
const OPERATIONS_CONNECTIONS: u32 = 256;

/// Servers that are bound but not started.
pub(super) struct Servers {
    pub(super) address: SocketAddr,
    pub(super) operations_address: Option<SocketAddr>,
    main: Server,
    operations: Option<Server>,
}

/// Servers that are started.
pub(super) struct RunningServers {
    main: JoinHandle<std::io::Result<()>>,
    operations: Option<JoinHandle<std::io::Result<()>>>,
    handles: ServerHandles,
}

/// Handles that stop the servers.
#[derive(Clone)]
pub(super) struct ServerHandles {
    main: ServerHandle,
    operations: Option<ServerHandle>,
}

impl Servers {
    pub(super) fn bind(
        config: &Config,
        context: &Arc<Context>,
        metrics: &PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let description = Arc::new(Description::new(config.public_url.clone()));
        let dependencies = |exposed| ServerDependencies {
            context: context.clone(),
            trusted_proxies: TrustedProxies::new(&config.trusted_proxies, config.forwarded_header),
            metrics: metrics.clone(),
            public_url: config.public_url.clone(),
            description: description.clone(),
            exposed,
            console: console::CONSOLE,
        };
        let exposed = match config.operations_listen {
            Some(_) => ExposedApis::Clients,
            None => ExposedApis::All,
        };
        let (address, listener) = listen(config.listen, "SLIPWAY_LISTEN")?;
        let connections = config.connections_per_worker;
        let main = serve(dependencies(exposed), listener, config.workers, connections)?;
        let Some(operations) = config.operations_listen else {
            return Ok(Self {
                address,
                operations_address: None,
                main,
                operations: None,
            });
        };
        let (operations_address, listener) = listen(operations, "SLIPWAY_OPERATIONS_LISTEN")?;
        let operations = serve(
            dependencies(ExposedApis::Operations),
            listener,
            Some(1),
            OPERATIONS_CONNECTIONS,
        )?;
        Ok(Self {
            address,
            operations_address: Some(operations_address),
            main,
            operations: Some(operations),
        })
    }

    pub(super) fn handles(&self) -> ServerHandles {
        ServerHandles {
            main: self.main.handle(),
            operations: self.operations.as_ref().map(Server::handle),
        }
    }

    pub(super) fn start(self) -> RunningServers {
        RunningServers {
            handles: self.handles(),
            main: tokio::spawn(self.main),
            operations: self.operations.map(tokio::spawn),
        }
    }
}

impl RunningServers {
    pub(super) fn handles(&self) -> ServerHandles {
        self.handles.clone()
    }

    /// Waits until the servers have stopped. The operations server stops last, so that monitoring works until then.
    pub(super) async fn wait(self) -> anyhow::Result<()> {
        let stopped = self.main.await;
        if let (Some(handle), Some(server)) = (self.handles.operations, self.operations) {
            handle.stop(true).await;
            server.await??;
        }
        Ok(stopped??)
    }
}

impl ServerHandles {
    /// Finishes requests in flight, and stops.
    pub(super) async fn stop(&self) {
        self.main.stop(true).await;
        if let Some(operations) = &self.operations {
            operations.stop(true).await;
        }
    }
}

fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<(SocketAddr, TcpListener)> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; change {setting}"))?;
    Ok((listener.local_addr()?, listener))
}
